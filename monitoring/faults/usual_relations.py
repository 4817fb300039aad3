"""What belongs together in the rows of a reference: numbers that other columns tell, or that rows of a moment share."""

from collections.abc import Sequence
from itertools import combinations

import polars as pl

from monitoring.faults.usual_values import MIN_VARYING_VALUES
from penumbra.core.columns import COUNT_COLUMN, DAY_COLUMN, FOUND_COLUMN, SPREAD_COLUMN, VALUE_COLUMN

CONSTANT_TOLERANCE = 0.01  # of a number: two that differ by less are the same constant
MAX_CHANCE = 1e-3  # of values that don't belong together to agree so often: then they do belong together


def learn_constants(
    rows: pl.DataFrame, numbers: Sequence[str], texts: Sequence[str]
) -> dict[str, tuple[tuple[str, ...], pl.DataFrame]]:
    """Learn of which columns a number is a constant.

    Args:
        rows: Rows [n] of whole days, with the first day that each counts for in `penumbra.day` (Date).
        numbers: The numeric columns.
        texts: The text columns.

    Returns:
        By number the fewest text columns, two at most, whose values each go with one number on all days, and a frame
        with these values (String) and the number (`penumbra.value`). A number is left out where no columns do, or where
        one number goes with all.
    """
    waiting = [name for name in numbers if rows[name].drop_nulls().n_unique() >= MIN_VARYING_VALUES]
    found = {}
    for by in [*((text,) for text in texts), *combinations(texts, 2)]:
        if not waiting:
            break
        groups = rows.group_by(by).agg(map(_summarise_number, waiting))
        tests = groups.select(map(_test_constant, waiting)).row(0, named=True)
        for name in waiting:
            often, count, is_constant = tests[name].values()
            if (
                often >= MIN_VARYING_VALUES
                and is_constant
                and not _may_agree_by_chance(rows[name].drop_nulls(), count - often)
            ):
                known = groups.select(*by, pl.col(name).struct.unnest()).filter(pl.col(DAY_COLUMN) > 1)
                found[name] = by, known.select(pl.col(by).cast(pl.String), VALUE_COLUMN)
        waiting = [name for name in waiting if name not in found]
    return {name: found[name] for name in numbers if name in found}


def _summarise_number(name: str) -> pl.Expr:
    """Of the rows that have a number: its median, its spread, on how many days they are, and their number."""
    known = pl.col(name).drop_nulls()
    return pl.struct(
        known.median().alias(VALUE_COLUMN),
        (known.max() - known.min()).alias(SPREAD_COLUMN),
        pl.col(DAY_COLUMN).filter(pl.col(name).is_not_null()).n_unique(),
        known.len().alias(COUNT_COLUMN),
    ).alias(name)


def _test_constant(name: str) -> pl.Expr:
    """How many groups are there on several days, how many rows these have, and whether each has one number only."""
    field = pl.col(name).struct.field
    often = field(DAY_COLUMN) > 1
    is_constant = field(SPREAD_COLUMN) <= CONSTANT_TOLERANCE * field(VALUE_COLUMN).abs()
    rows = field(COUNT_COLUMN).filter(often).sum()
    return pl.struct(often.sum(), rows, is_constant.filter(often).all().alias(FOUND_COLUMN)).alias(name)


def learn_shared_keys(
    rows: pl.DataFrame, time: str, numbers: Sequence[str], texts: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """Learn which numbers rows of a moment share.

    Moments on end that agree on one value are one piece of evidence: two sensors that stand still share nothing. A row
    that is there twice is none: it agrees with itself.

    Args:
        rows: Rows [n] of whole days, with all columns of the contract, the key's among them.
        time: The name of the column with the row's time.
        numbers: The numeric columns.
        texts: The text columns.

    Returns:
        By number the time, alone or with one text column, where rows that agree in them always agree in the number,
        null included; without numbers of which none do.
    """
    waiting, found = list(numbers), dict[str, tuple[str, ...]]()
    different = rows.filter(pl.col(time).is_duplicated()).unique()
    for by in [(time,), *((time, text) for text in texts)]:
        if not waiting:
            break
        groups = different.group_by(by).agg(*map(_summarise_agreement, waiting), pl.len().alias(COUNT_COLUMN))
        shared = groups.filter(pl.col(COUNT_COLUMN) > 1).sort(by[::-1])
        tests = shared.select(map(_test_agreement, waiting)).row(0, named=True)
        for name in waiting:
            values, most, changes = tests[name].values()
            if values >= MIN_VARYING_VALUES and most == 1 and not _may_agree_by_chance(rows[name], changes):
                found[name] = by
        waiting = [name for name in waiting if name not in found]
    return {name: found[name] for name in numbers if name in found}


def _summarise_agreement(name: str) -> pl.Expr:
    """The number of different values, and the first of them."""
    return pl.struct(pl.col(name).n_unique().alias(VALUE_COLUMN), pl.col(name).first().alias(FOUND_COLUMN)).alias(name)


def _test_agreement(name: str) -> pl.Expr:
    """How many values groups agree on, how many different ones one has at most, and how often the value changes."""
    agreed, different = pl.col(name).struct.field(FOUND_COLUMN), pl.col(name).struct.field(VALUE_COLUMN)
    changes = agreed.ne_missing(agreed.shift()).sum().alias(COUNT_COLUMN)
    return pl.struct(agreed.n_unique(), different.max(), changes).alias(name)


def _may_agree_by_chance(values: pl.Series, times: int) -> bool:
    """Whether values drawn at random from these would agree so many times in a row more often than once in a thousand:
    few rows tell little, and what is nearly always the same (no rain) agrees with anything."""
    shares = values.value_counts()["count"] / max(len(values), 1)
    return float((shares**2).sum()) ** times > MAX_CHANCE
