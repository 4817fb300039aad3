"""The key of a row, by which labels find their prediction: found, or asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from penumbra.core.text.quoting import list_names
from penumbra.drafting.analysis.moments import is_nearly_full
from penumbra.drafting.analysis.observation import Observation
from penumbra.drafting.analysis.profiles import ColumnProfile
from penumbra.drafting.analysis.readings import Reading
from penumbra.drafting.analysis.tables import DataTable
from penumbra.drafting.analysis.text_patterns import is_matched
from penumbra.drafting.analysis.words import ENTITY_WORDS, KEY_WORDS, has_word_of, is_counter_name, split_name
from penumbra.drafting.draft import DraftQuestion, DraftRefused, Unsaid

KEY_DTYPES = (pl.String, pl.Int64, pl.UInt64)
MAX_REPEATED_SHARE = 0.01  # of the rows, whose key another row has, too
MIN_DISTINCT_SHARE = 0.85  # of a key's values, as they are counted roughly
MIN_MEETINGS = 5  # that chance would give, from which on their absence is no chance
CODE_PATTERN = r"\S*[0-9]\S*"
MAX_KEY_LENGTH = 64
PLAIN_KEY_NAMES = ("id", "uuid", "guid", "key")


@dataclass(frozen=True)
class KeyChoice:
    """The columns that tell rows apart.

    Attributes:
        columns: Their names; none where rows have no key.
        repeated: How many rows have the key of an earlier row.
        reason: Why it is that one, as a phrase; empty where the user said so.
    """

    columns: tuple[str, ...]
    repeated: int = 0
    reason: str = ""


def choose_key(seen: Observation, time: str | None, target: str, said: Sequence[str] | Unsaid) -> KeyChoice:
    """Choose the columns that tell rows apart.

    Args:
        seen: What is seen of the table.
        time: The time column; None without one.
        target: The target's column.
        said: What the user chose.

    Returns:
        The user's choice; else a column whose name and values are an identifier's; else such a one together with the
        time; else none.

    Raises:
        DraftRefused: The user's choice tells too few rows apart.
        DraftQuestion: Several columns fit equally well.
    """
    table, readings, profiles = seen.table, seen.readings, seen.profiles
    if not isinstance(said, Unsaid):
        return _check_key(table, readings, tuple(said))
    names = [
        name for name in readings if name not in (time, target) and _is_possible(name, readings[name], profiles[name])
    ]
    named = [name for name in names if has_word_of(KEY_WORDS, name)]
    coded = [name for name in names if name in named or _is_code(seen.values[name])]
    single = [name for name in coded if _may_be_unique(profiles[name])]
    if found := _list_unique(table, readings, [(name,) for name in single]):
        return _prefer_one(found)
    things = [name for name in names if name not in single and (name in named or has_word_of(ENTITY_WORDS, name))]
    pairs = [(name, time) for name in things if time and _would_meet(profiles[name], profiles[time])]
    found = _list_unique(table, readings, pairs)
    if len(found) == 1:
        return found[0]
    return KeyChoice((), reason="no column, alone or with the time, tells all rows apart")


def count_repeated(table: DataTable, readings: Mapping[str, Reading], columns: Sequence[str]) -> int:
    """Count rows that have the key of another row before them.

    Args:
        table: The table.
        readings: How each column is read.
        columns: The key's columns.

    Returns:
        How many rows there are beyond the different keys.
    """
    keys = table.rows.select(readings[name].values.alias(f"{n}") for n, name in enumerate(columns))
    counts = keys.select(pl.len().alias("rows"), pl.struct(pl.all()).n_unique().alias("keys"))
    rows, different = counts.collect(engine="streaming").row(0)
    return rows - different


def _is_possible(name: str, reading: Reading, profile: ColumnProfile) -> bool:
    """Whether each row has a short text or a whole number, which no tool wrote as the row's number."""
    is_short = profile.max_length <= MAX_KEY_LENGTH
    has_dtype = reading.dtype in KEY_DTYPES and not reading.is_left_out
    return has_dtype and is_nearly_full(profile) and is_short and not is_counter_name(name)


def _is_code(values: pl.Series) -> bool:
    """Whether text has digits and no blanks, as order numbers have and names haven't."""
    return values.dtype == pl.String and is_matched(values.drop_nulls(), CODE_PATTERN)


def _would_meet(thing: ColumnProfile, time: ColumnProfile) -> bool:
    """Whether a thing would be there twice at some time, if its rows were spread by chance."""
    rows, together = thing.rows, thing.rows / max(time.distinct, 1)
    return rows * (together - 1) / 2 / max(thing.distinct, 1) >= MIN_MEETINGS


def _may_be_unique(profile: ColumnProfile) -> bool:
    return profile.distinct >= MIN_DISTINCT_SHARE * profile.rows


def _list_unique(
    table: DataTable, readings: Mapping[str, Reading], candidates: Sequence[tuple[str, ...]]
) -> list[KeyChoice]:
    """Those of the candidates that tell about all rows apart."""
    found = []
    for columns in candidates:
        repeated = count_repeated(table, readings, columns)
        rows = table.rows.select(pl.len()).collect(engine="streaming").item()
        if repeated <= MAX_REPEATED_SHARE * rows:
            together = "an identifier, different in every row"
            found.append(
                KeyChoice(columns, repeated, together if len(columns) == 1 else "with the time, it tells rows apart")
            )
    return found


def _prefer_one(found: Sequence[KeyChoice]) -> KeyChoice:
    """The only one, or the one that is called id."""
    plain = [each for each in found if "_".join(split_name(each.columns[0])) in PLAIN_KEY_NAMES]
    likely = plain or found
    if len(likely) == 1:
        return likely[0]
    names = [each.columns[0] for each in likely]
    raise DraftQuestion(
        f"several columns tell rows apart ({list_names(names)}): pass --key with the one that labels are reported by, "
        "or --no-key",
        "--key",
        names,
    )


def _check_key(table: DataTable, readings: Mapping[str, Reading], columns: tuple[str, ...]) -> KeyChoice:
    if not columns:
        return KeyChoice(())
    if lost := [name for name in columns if name not in readings]:
        raise DraftRefused(f"the data have no column {list_names(lost)}: --key takes any of {list_names(readings)}")
    rows = table.rows.select(pl.len()).collect(engine="streaming").item()
    if (repeated := count_repeated(table, readings, columns)) > MAX_REPEATED_SHARE * rows:
        raise DraftRefused(
            f"--key {list_names(columns)} tells too few rows apart: {repeated:,} of {rows:,} rows have the key of an "
            "earlier row"
        )
    return KeyChoice(columns, repeated)
