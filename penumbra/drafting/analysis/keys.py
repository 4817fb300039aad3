"""The key of a row, by which labels find their prediction: found, or asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from penumbra.core.text.counts import format_count
from penumbra.core.text.quoting import list_names
from penumbra.drafting.draft import DraftQuestion, DraftRefused, Unsaid
from penumbra.drafting.reading.observation import Observation
from penumbra.drafting.reading.profiles import ColumnProfile, is_nearly_full
from penumbra.drafting.reading.text_patterns import is_matched
from penumbra.drafting.reading.words import ENTITY_WORDS, KEY_WORDS, has_word_of, is_counter_name, split_name

KEY_DTYPES = (pl.String, pl.Int64, pl.UInt64)
MAX_REPEATED_SHARE = 0.01  # of the rows, whose key another row has, too
MIN_DISTINCT_SHARE = 0.75  # of the rows: values that may all be different, as the estimate is rough
MAX_REPEATED_PAIRS = 0.001  # the same of a thing at a time, which is no more than a guess
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
        is_shared: Whether rows of different batches share it; within one batch, ingest quarantines them.
        reason: Why it is that one, as a phrase; empty where the user said so.
        almost: Where there is none, the one that would be but for a few rows; None without one.
    """

    columns: tuple[str, ...]
    repeated: int = 0
    is_shared: bool = False
    reason: str = ""
    almost: "KeyChoice | None" = None

    def list_faulty(self, profiles: Mapping[str, ColumnProfile]) -> list[str]:
        """List what of the key the doctor will find fault with.

        Args:
            profiles: What all rows say of each column.

        Returns:
            The key as a whole where rows of different batches share it, and the columns of it that rows lack; as the
            doctor names them.
        """
        lacking = [name for name in self.columns if name in profiles and profiles[name].missing]
        return list(dict.fromkeys([*([", ".join(self.columns)] if self.is_shared else []), *lacking]))


def choose_key(seen: Observation, time: str | None, target: str, said: Sequence[str] | Unsaid) -> KeyChoice:
    """Choose the columns that tell rows apart.

    Args:
        seen: What is seen of the table.
        time: The time column; None without one.
        target: The target's column.
        said: What the user chose.

    Returns:
        The user's choice; else a column that is an identifier by its name or its values; else the name of a thing
        together with the time; else none.

    Raises:
        DraftRefused: The user's choice tells too few rows apart.
        DraftQuestion: Several columns fit equally well.
    """
    if not isinstance(said, Unsaid):
        return _check_key(seen, tuple(said))
    names = [name for name in seen.readings if name not in (time, target) and _may_be_key(seen, name)]
    single = [name for name in names if _is_identifier(seen, name)]
    if found := _list_unique(seen, [(name,) for name in single], "an identifier, different in every row"):
        return _prefer_one(found)
    things = _list_things(seen, names, time) if time else []
    found = _list_unique(seen, [(name, str(time)) for name in things], "with the time, it tells rows apart")
    certain = next((each for each in found if each.repeated <= MAX_REPEATED_PAIRS * seen.total), None)
    return certain or KeyChoice((), almost=min(found, key=lambda each: each.repeated, default=None))


def _may_be_key(seen: Observation, name: str) -> bool:
    """Whether each row has a short text or a whole number, which no tool wrote as the row's number."""
    reading, profile = seen.readings[name], seen.profiles[name]
    is_short = profile.max_length <= MAX_KEY_LENGTH
    has_dtype = reading.dtype in KEY_DTYPES and not reading.is_left_out
    return has_dtype and is_nearly_full(profile) and is_short and not is_counter_name(name)


def _is_identifier(seen: Observation, name: str) -> bool:
    """Whether values that may be different are called an identifier, or are text with digits and without blanks."""
    profile, values = seen.profiles[name], seen.values[name].drop_nulls()
    is_code = values.dtype == pl.String and is_matched(values, CODE_PATTERN)
    return profile.distinct >= MIN_DISTINCT_SHARE * profile.rows and (is_code or has_word_of(KEY_WORDS, name))


def _list_things(seen: Observation, names: Sequence[str], time: str) -> list[str]:
    """Columns of text, or called an identifier, that would have a value twice at some time if that were left to chance
    and haven't in the sample; those that are called so first."""
    together = seen.total / (seen.total - _count_repeated(seen, [time]))
    meetings = {name: seen.total * (together - 1) / 2 / seen.profiles[name].distinct for name in names}
    named = {name: has_word_of(KEY_WORDS | ENTITY_WORDS, name) for name in names}
    things = [name for name in names if named[name] or seen.values[name].dtype == pl.String]
    things = [name for name in things if meetings[name] >= MIN_MEETINGS and _is_unique_in_sample(seen, [name, time])]
    return sorted(things, key=lambda name: not named[name])


def _is_unique_in_sample(seen: Observation, columns: Sequence[str]) -> bool:
    pairs = seen.values.select(columns)
    return pairs.height - pairs.n_unique() <= MAX_REPEATED_SHARE * pairs.height


def _list_unique(seen: Observation, candidates: Sequence[tuple[str, ...]], reason: str) -> list[KeyChoice]:
    """Those of the candidates that tell about all rows apart."""
    found = [KeyChoice(columns, _count_repeated(seen, columns), reason=reason) for columns in candidates]
    return [each for each in found if each.repeated <= MAX_REPEATED_SHARE * seen.total]


def _count_repeated(seen: Observation, columns: Sequence[str]) -> int:
    """Rows beyond the different keys."""
    keys = seen.table.rows.select(seen.readings[name].values.alias(f"{n}") for n, name in enumerate(columns))
    different = pl.col("0") if len(columns) == 1 else pl.struct(pl.all())
    return seen.total - int(keys.select(different.n_unique()).collect(engine="streaming").item())


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


def _check_key(seen: Observation, columns: tuple[str, ...]) -> KeyChoice:
    if not columns:
        return KeyChoice(())
    if lost := [name for name in columns if name not in seen.readings]:
        raise DraftRefused(
            f"the data have no column {list_names(lost)}: --key takes any of {list_names(seen.readings)}"
        )
    if (repeated := _count_repeated(seen, columns)) > MAX_REPEATED_SHARE * seen.total:
        raise DraftRefused(
            f"--key {list_names(columns)} tells too few rows apart: {repeated:,} of "
            f"{format_count(seen.total, 'row has', 'rows have')} the key "
            "of an earlier row"
        )
    return KeyChoice(columns, repeated)
