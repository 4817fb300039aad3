"""Expectations of the rows of a usual day, learned from the whole days of a reference and from the contract.

Where a usual day has too few rows to be judged, some days that follow each other are learned from, and judged, as one:
so many that they have rows enough, in a window or before it.
"""

import datetime as dt
import math
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl

from monitoring.faults import units
from monitoring.faults.units import ValueGrid
from monitoring.faults.usual_relations import learn_constants, learn_shared_keys
from monitoring.faults.usual_values import (
    MIN_KNOWN_SPANS,
    MIN_VARYING_VALUES,
    Turnover,
    learn_categories,
    learn_null_limit,
    learn_turnover,
)
from penumbra.core.bins import is_word_dtype
from penumbra.core.columns import (
    COUNT_COLUMN,
    DAY_COLUMN,
    MOMENTS_COLUMN,
)
from penumbra.core.problem import ProblemSchema
from penumbra.core.text.counts import format_count
from penumbra.features import ColumnCheck

MIN_DAY_ROWS = 50  # rows, to judge a day by them
MIN_WHOLE_DAY_SHARE = 0.5  # a day with a smaller share of the usual day's rows isn't whole, and teaches nothing
MAX_WATCHED_GROUPS = 8  # a category with no more values is a place to watch each of: a sensor, a line
MIN_WIDE_ROWS, MAX_WIDE_WEEKS = 140, 4  # rows in which a renamed value shows; the most weeks to gather them from
DAYS_OF_WEEK = 7
MAX_BLOCK_DAYS = 92  # a window's days are judged together with so many days before its end at most


@dataclass(frozen=True)
class Expectations:
    """What is expected of a day's rows; where `block_days` is above 1, of those of so many days together.

    Attributes:
        block_days: How many days are judged together.
        time: The name of the column with the row's time.
        dtypes: The contract's dtype of each other column.
        moments: The fewest different times of a day's rows.
        has_whole_week: Whether the reference spans a week, so that it shows what a Saturday has.
        nulls: The largest share of missing values on a day, and the share above which too many are missing, by column.
        categories: By text column a frame with its values (`penumbra.value`), each one's mean share of a day's rows
            (`penumbra.share`), and the share of the days that had it (`penumbra.day`).
        turnover: How the values of each text column come and go in the reference.
        ranges: Smallest and largest value of the contract, by numeric column.
        checks: The contract's checks between columns.
        fewest_values: For (column, category to look at separately, or "") the fewest different values and moments of a
            day.
        grids: What is known of the values of each numeric column.
        constants: By column the columns that determine it, and a frame with its value (`penumbra.value`) for each of
            theirs.
        shared: By column the columns whose values rows share whenever they share this one.
        earlier: Values that text columns had before the reference: what comes again isn't new.
        daily: What is expected of a day by itself, where several are judged together: a number that stands still for a
            day. None where each is judged by itself.
        wide: What is expected of some weeks together, where a day has few rows: a value that was renamed, or a place
            where a number is stuck, shows in more rows only. None where a day has rows enough.
    """

    block_days: int
    time: str
    dtypes: Mapping[str, Any]
    moments: int
    has_whole_week: bool
    nulls: Mapping[str, tuple[float, float]]
    categories: Mapping[str, pl.DataFrame]
    turnover: Mapping[str, Turnover]
    ranges: Mapping[str, tuple[float | None, float | None]]
    checks: Sequence[ColumnCheck]
    fewest_values: Mapping[tuple[str, str], tuple[int, int]]
    grids: Mapping[str, ValueGrid]
    constants: Mapping[str, tuple[tuple[str, ...], pl.DataFrame]]
    shared: Mapping[str, tuple[str, ...]]
    earlier: Mapping[str, Set[str]] = field(default_factory=dict)
    daily: "Expectations | None" = None
    wide: "Expectations | None" = None

    @property
    def period(self) -> str:
        """The days that are judged at a time, in words."""
        return "day" if self.block_days == 1 else f"{self.block_days} days"

    def group_days(self, days: Sequence[dt.date], rows: Mapping[dt.date, int] | None = None) -> list[list[dt.date]]:
        """Group days that are judged together.

        Args:
            days: The days of a window or a batch, ascending.
            rows: The number of rows of these days and of those before them.

        Returns:
            Groups of `block_days` days; what is left over at the end belongs to the last one. A group with too few days
            or rows begins with the days before it, as many as it takes, of the last 92 days.
        """
        starts = range(0, max(len(days) // self.block_days, 1) * self.block_days, self.block_days)
        groups = [list(days[start : None if start == starts[-1] else start + self.block_days]) for start in starts]
        return [self._reach_back(group, rows or {}) for group in groups if group]

    def _reach_back(self, group: list[dt.date], rows: Mapping[dt.date, int]) -> list[dt.date]:
        """The group with the days before it that it takes to have rows enough; as it is where it has none itself."""
        first, end = min(rows, default=group[0]), group[-1] + dt.timedelta(days=1)
        known, before = sum(rows.get(day, 0) for day in group), group[0] - dt.timedelta(days=1)
        reached: list[dt.date] = []
        while (
            known
            and (known < MIN_DAY_ROWS or (end - before).days <= self.block_days)
            and before >= max(first, end - dt.timedelta(days=MAX_BLOCK_DAYS))
        ):
            known += rows.get(before, 0)
            reached.append(before)
            before -= dt.timedelta(days=1)
        return [*reversed(reached), *group]


def learn_expectations(
    reference: pl.DataFrame, schema: ProblemSchema, earlier: Mapping[str, Set[str]] | None = None
) -> Expectations:
    """Learn what is usual from a reference and read the rest off the contract.

    Args:
        reference: Rows [n] of some days, with the contract's columns; nothing is expected of one that is missing. Their
            time is in UTC, as days are.
        schema: The problem's contract.
        earlier: By text column values that it had before the reference.

    Returns:
        The expectations of a day.

    Raises:
        ValueError: The reference has fewer than two whole days.
    """
    block_days, wide_days = _count_block_days(reference, schema.TIME), _count_wide_days(reference, schema.TIME)
    learnt = replace(_learn_of_blocks(reference, schema, block_days), earlier=earlier or {})
    return replace(
        learnt,
        daily=_learn_daily(reference, learnt) if block_days > 1 else None,
        wide=_learn_wide(reference, learnt, wide_days) if wide_days > block_days else None,
    )


def _learn_daily(reference: pl.DataFrame, learnt: Expectations) -> Expectations:
    """The same with the fewest values of a single day."""
    rows = _select_whole_days(reference, learnt.time, 1)
    numbers = list(learnt.ranges)
    return replace(learnt, block_days=1, fewest_values=dict(_learn_fewest_values(rows, learnt.time, numbers, [])))


def _learn_wide(reference: pl.DataFrame, learnt: Expectations, wide_days: int) -> Expectations | None:
    """The same with the values of so many days together; None where there are too few such spans."""
    rows = _select_whole_days(reference, learnt.time, wide_days)
    spans = rows.partition_by(DAY_COLUMN)
    if len(spans) < 2:
        return None
    return replace(
        learnt,
        block_days=wide_days,
        moments=min(span[learnt.time].n_unique() for span in spans),
        categories={name: learn_categories(rows, name, len(spans)) for name in learnt.categories},
        turnover={name: learn_turnover(spans, name) for name in learnt.categories},
        fewest_values=dict(_learn_fewest_values(rows, learnt.time, list(learnt.ranges), list(learnt.categories))),
    )


def _learn_of_blocks(reference: pl.DataFrame, schema: ProblemSchema, block_days: int) -> Expectations:
    known = set(reference.columns) - {schema.TIME}
    columns = {name: column for name, column in schema.Row.columns().items() if name in known}
    rows = _select_whole_days(reference, schema.TIME, block_days)
    numbers = [name for name, column in columns.items() if column.dtype.is_numeric() and not column.primary_key]
    texts = [name for name, column in columns.items() if is_word_dtype(column.dtype)]
    days = rows.partition_by(DAY_COLUMN)
    if len(days) < 2:
        raise ValueError(
            f"the reference has {format_count(len(days), 'whole day')} of rows, or spans of days with "
            f"{MIN_DAY_ROWS} rows: "
            "at least 2 are needed to say what is normal"
        )
    grids = {
        name: units.learn_value_grid([_to_floats(day[name]) for day in days], _is_integer(columns[name]))
        for name in numbers
    }
    return Expectations(
        block_days=block_days,
        time=schema.TIME,
        dtypes={name: column.dtype for name, column in columns.items()},
        moments=min(day[schema.TIME].n_unique() for day in days),
        has_whole_week=count_span_days(rows[schema.TIME].dt.date()) >= DAYS_OF_WEEK,
        nulls={name: learn_null_limit([day[name].null_count() / day.height for day in days]) for name in columns},
        categories={name: learn_categories(rows, name, len(days)) for name in texts},
        turnover={name: learn_turnover(days, name) for name in texts},
        ranges={name: (getattr(columns[name], "min", None), getattr(columns[name], "max", None)) for name in numbers},
        checks=tuple(schema.CHECKS),
        fewest_values=dict(_learn_fewest_values(rows, schema.TIME, numbers, texts)),
        grids={name: grid for name, grid in grids.items() if grid},
        constants=learn_constants(rows, numbers, texts),
        shared=learn_shared_keys(rows.select(schema.TIME, *columns), schema.TIME, numbers, texts),
    )


def count_moments(time: str) -> pl.Expr:
    """Build the expression that counts the different times of rows.

    Args:
        time: The name of the column with the row's time.

    Returns:
        A polars expression.
    """
    return pl.col(time).n_unique()


def _count_block_days(reference: pl.DataFrame, time: str) -> int:
    """How many days that follow each other have rows enough to be judged; some of them may have none."""
    counts = reference.group_by(pl.col(time).dt.date().alias(DAY_COLUMN)).len()
    if counts.is_empty() or counts["len"].median() >= MIN_DAY_ROWS:  # type: ignore[operator]
        return 1
    span = count_span_days(counts[DAY_COLUMN])
    return math.ceil(MIN_DAY_ROWS * span / reference.height)


def count_span_days(dates: pl.Series) -> int:
    """Return the days from the first of these `dates` (Date [n]) to the last; 0 where there is none."""
    return (dates.max() - dates.min()).days + 1 if dates.count() else 0  # type: ignore[operator,union-attr]


def _count_wide_days(reference: pl.DataFrame, time: str) -> int:
    """How many whole weeks have rows enough to miss a value that one row in twenty has, in days; 0 if a day has."""
    dates = reference[time].dt.date()
    span = max(count_span_days(dates), 1)
    weeks = math.ceil(MIN_WIDE_ROWS * span / 7 / max(reference.height, 1))
    return 0 if reference.height >= MIN_WIDE_ROWS * span else 7 * min(weeks, MAX_WIDE_WEEKS)


def _select_whole_days(reference: pl.DataFrame, time: str, block_days: int) -> pl.DataFrame:
    """The rows of whole days, or whole blocks of days, with the first day of each in `penumbra.day`."""
    day = pl.col(time).dt.date().to_physical() // block_days * block_days
    rows, count = reference.with_columns(day.cast(pl.Date).alias(DAY_COLUMN)), pl.col(COUNT_COLUMN)
    whole = rows.group_by(DAY_COLUMN).len(COUNT_COLUMN).filter(count >= MIN_WHOLE_DAY_SHARE * count.median())
    return rows.join(whole.select(DAY_COLUMN), on=DAY_COLUMN, how="semi").sort(DAY_COLUMN, time)


def _learn_fewest_values(
    rows: pl.DataFrame, time: str, numbers: Sequence[str], texts: Sequence[str]
) -> Iterator[tuple[tuple[str, str], tuple[int, int]]]:
    least = MIN_VARYING_VALUES * (1 if rows[DAY_COLUMN].n_unique() >= MIN_KNOWN_SPANS else 2)
    for by in ["", *(name for name in texts if rows[name].n_unique() <= MAX_WATCHED_GROUPS)]:
        different = [pl.col(name).drop_nulls().n_unique().alias(name) for name in numbers]
        moments = count_moments(time).alias(MOMENTS_COLUMN)
        fewest = rows.group_by(DAY_COLUMN, *([by] if by else [])).agg(*different, moments).min()
        for name in numbers:
            if fewest[name][0] >= least:
                yield (name, by), (fewest[name][0], fewest[MOMENTS_COLUMN][0])


def _to_floats(column: pl.Series) -> Any:
    return column.drop_nulls().cast(pl.Float64).to_numpy()


def _is_integer(column: Any) -> bool:
    return bool(column.dtype.is_integer())
