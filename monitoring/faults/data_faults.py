"""Faults of the data in one day of events: what no season explains. Each names its likely cause.

They are found by comparison with the expectations learned from reference and contract (see expectations.py). The limits
lie beyond everything that the reference's days ever showed: people look at each fault, so a usual day has none.
"""

import datetime as dt
import unicodedata
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass

import numpy as np
import polars as pl

from monitoring.faults import units
from monitoring.faults.expectations import MIN_DAY_ROWS, Expectations, count_moments
from monitoring.faults.usual_relations import CONSTANT_TOLERANCE
from monitoring.faults.usual_values import MIN_NEW_VALUE_SHARE, MIN_VALUE_ROWS, TURNOVER_FACTOR
from penumbra.core.columns import COUNT_COLUMN, FOUND_COLUMN, MOMENTS_COLUMN, VALUE_COLUMN
from penumbra.core.text.counts import format_count, format_share
from penumbra.core.text.quoting import escape_text, list_names, quote_value

MIN_RENAMED_ROWS = 4  # rows of one, where an unknown one came at the same time
MAX_VIOLATION_SHARE = 0.005  # the share of rows outside the contract
MIN_FROZEN_ROWS, MIN_FROZEN_VALUES = 20, 10  # rows of a group with one value; of these so many that aren't missing
MAX_MISMATCH_SHARE = 0.05  # the share of groups, or of rows, that don't agree any more
MIN_MISMATCHES = 3  # groups, or rows, that don't agree: one or two may be slips


@dataclass(frozen=True)
class DataFault:
    """A fault of a day's data.

    Attributes:
        what: missing, type, nulls, new, renamed, vanished, range, rule, frozen, unit, values, constant, torn, or a kind
            of arrivals.py.
        column: The column's name; "" where the fault is of the rows as a whole.
        text: How much is wrong.
        cause: What is likely behind it.
    """

    what: str
    column: str
    text: str
    cause: str

    @property
    def key(self) -> tuple[str, str]:
        """The kind and the column, which identify the fault from day to day."""
        return self.what, self.column


def find_data_faults(rows: pl.DataFrame, norms: Expectations) -> list[DataFault]:
    """Find every fault in the rows of one day, or of the few days that are judged together.

    Args:
        rows: Their rows [n] with the contract's columns.
        norms: What is expected of a day.

    Returns:
        The faults; none for fewer than 50 rows.
    """
    if rows.height < MIN_DAY_ROWS:
        return []
    found = [*_find_schema_faults(rows, norms)]
    bad = {fault.column for fault in found}
    rows = rows.drop(bad & set(rows.columns))
    found += [
        *_find_null_faults(rows, norms),
        *find_category_faults(rows, norms),
        *_find_range_faults(rows, norms),
        *_find_rule_faults(rows, norms),
    ]
    empty = {fault.column for fault in found if fault.what == "nulls"}
    return found + [
        *find_frozen_values(rows, norms),
        *_find_unit_faults(rows, norms),
        *_find_constant_faults(rows, norms),
        *_find_mismatched_groups(rows, norms, empty),
    ]


def find_fault_changes(
    today: Iterable[DataFault], open_faults: Set[tuple[str, str]]
) -> tuple[list[DataFault], set[tuple[str, str]]]:
    """Compare the faults of a day with those that were open before.

    Args:
        today: The day's faults.
        open_faults: The keys (what, column) of the faults that were open before.

    Returns:
        The faults that began today, and the keys of those that ended.
    """
    found = {fault.key: fault for fault in today}
    return [fault for key, fault in found.items() if key not in open_faults], set(open_faults) - found.keys()


def is_accepted_fault(fault: DataFault, day: dt.date, accept: Sequence[str]) -> bool:
    """Say whether a fault is known and accepted.

    Args:
        fault: The fault.
        day: The day that has it.
        accept: The settings' `monitor.accept`: phrases that name a day, a column, or a day and a column.

    Returns:
        Whether a phrase names its day, its column or both.
    """
    return not {str(day), fault.column, f"{day} {fault.column}".strip()}.isdisjoint(accept)


def _find_schema_faults(rows: pl.DataFrame, norms: Expectations) -> Iterator[DataFault]:
    for name, dtype in norms.dtypes.items():
        if name not in rows.columns:
            yield DataFault("missing", name, f"there is no column {name}", "the source's layout changed")
        elif not _is_compatible(rows.schema[name], dtype):
            text = f"{name} is {rows.schema[name]}, where the contract has {dtype}"
            yield DataFault("type", name, text, "the source's layout or its parsing changed")


def _is_compatible(found: pl.DataType, wanted: pl.DataType) -> bool:
    """Both numbers, or both texts; or nothing but null, which is counted elsewhere."""
    return found == pl.Null or found.is_numeric() == wanted.is_numeric()


def _find_null_faults(rows: pl.DataFrame, norms: Expectations) -> Iterator[DataFault]:
    missing = rows.null_count().row(0, named=True)
    for name, (usual, limit) in norms.nulls.items():
        if name in missing and (share := missing[name] / rows.height) > limit:
            text = (
                f"{format_share(share, 0)} of {name} is missing; on any {norms.period} of the reference at most "
                f"{format_share(usual, 0)} was"
            )
            yield DataFault("nulls", name, text, "a source fell away, or a join finds nothing")


def find_category_faults(
    rows: pl.DataFrame, norms: Expectations, fewest: float = MIN_RENAMED_ROWS
) -> Iterator[DataFault]:
    """Find values of text columns that vanished, are new, or came in the place of another.

    In a part of a day nothing is missed: some values come in the morning only. Nor is one alone where the reference has
    less than a week: it may never come on a Saturday. Where many came in the reference, any
    may come or go, but not one in the place of another.

    Args:
        rows: The rows [n] with the contract's columns.
        norms: What is expected of the days that they are of.
        fewest: How many rows a value has at least, to be missed.

    Yields:
        The faults, column by column.
    """
    whole = rows[norms.time].n_unique() >= norms.moments / 2
    for name, usual in norms.categories.items():
        if name in rows.columns:
            turnover = norms.turnover[name]
            counts = dict(rows[name].cast(pl.String).drop_nulls().value_counts().iter_rows())
            expected = {value: share * rows.height for value, share, days in usual.iter_rows() if whole and days >= 1}
            least = max(fewest, TURNOVER_FACTOR * turnover.share * rows.height)
            gone = {value: rate for value, rate in expected.items() if value not in counts and rate >= least}
            known = {*usual[VALUE_COLUMN], *norms.earlier.get(name, ())}
            unknown = {value: counts[value] for value in sorted(counts.keys() - known)}
            for fault in _compare_categories(name, rows.height, gone, unknown, least, norms.period):
                is_usual = turnover.is_open or (fault.what == "vanished" and not norms.has_whole_week)
                if fault.what == "renamed" or not is_usual:
                    yield fault


def _compare_categories(
    name: str, rows: int, gone: dict[str, float], unknown: dict[str, int], least: float, period: str
) -> Iterator[DataFault]:
    spelt = {_fold_spelling(new): new for new in unknown}
    same = {value: spelt[key] for value in gone if (key := _fold_spelling(value)) in spelt}
    for value, rate in sorted(gone.items(), key=lambda item: -item[1]):
        others = [new for new in unknown.keys() - same.values() if rate / 2 <= unknown[new] <= 2 * rate]
        like = [same[value]] if same.get(value) in unknown else sorted(others)
        if like:
            nearest = min(like, key=lambda new: abs(unknown[new] - rate))
            unknown.pop(nearest)
            before, after = escape_text(value), escape_text(nearest)
            text = f"{name} {before} is gone, with {rate:.0f} rows in a usual {period}, "
            text += f"and {after} came, which the reference doesn't have"
            yield DataFault("renamed", name, text, f"{before} may have been renamed to {after}")
        elif rate >= MIN_VALUE_ROWS:
            text = f"{name} has no {escape_text(value)}, which has {rate:.0f} rows in a usual {period}"
            yield DataFault("vanished", name, text, "a part of the source fell away")
    for value, count in sorted(unknown.items()):
        if count > max(MIN_NEW_VALUE_SHARE * rows, MIN_VALUE_ROWS, least):
            text = f"{name} has a new value {quote_value(value)} with {count:,} of {format_count(rows, 'row')}"
            yield DataFault("new", name, text, "something new, or a new spelling of something known")


def _fold_spelling(value: str) -> str:
    """A text without case, blanks and accents."""
    letters = unicodedata.normalize("NFKD", value.casefold())
    return "".join(letter for letter in letters if not unicodedata.combining(letter) and not letter.isspace())


def _find_range_faults(rows: pl.DataFrame, norms: Expectations) -> Iterator[DataFault]:
    outside = {
        name: (pl.lit(False) if low is None else pl.col(name) < low)
        | (pl.lit(False) if high is None else pl.col(name) > high)
        for name, (low, high) in norms.ranges.items()
        if name in rows.columns
    }
    shares = rows.select(rule.mean().alias(name) for name, rule in outside.items()).row(0) if outside else ()
    for name, share in zip(outside, shares, strict=True):
        low, high = norms.ranges[name]
        if (share or 0) > MAX_VIOLATION_SHARE:
            text = f"{format_share(share, 0)} of {name} is outside {low} to {high}"
            yield DataFault("range", name, text, "another unit, or a broken sensor")


def _find_rule_faults(rows: pl.DataFrame, norms: Expectations) -> Iterator[DataFault]:
    known = set(rows.columns)
    checks = [check for check in norms.checks if {check.column, getattr(check, "other", check.column)} <= known]
    broken = [(~check.expr()).mean().alias(str(number)) for number, check in enumerate(checks)]
    for check, share in zip(checks, rows.select(broken).row(0) if broken else (), strict=True):
        if (share or 0) > MAX_VIOLATION_SHARE:
            text = f"{format_share(share, 0)} of the rows break the rule: {check.expectation}"
            yield DataFault("rule", check.column, text, "one of the columns has another unit or source")


def find_frozen_values(rows: pl.DataFrame, norms: Expectations) -> Iterator[DataFault]:
    """Find numbers that have one value, in all rows or in one place.

    Args:
        rows: The rows [n] with the contract's columns.
        norms: What is expected of the days that they are of.

    Yields:
        The faults.
    """
    span = "all day" if norms.block_days == 1 else f"for {norms.period}"
    for by in sorted({by for _, by in norms.fewest_values}):
        names = [name for name, each in norms.fewest_values if each == by and name in rows.columns]
        if not names or (by and by not in rows.columns):
            continue
        same = [_has_one_value(name, norms.fewest_values[name, by][0]) for name in names]
        groups = rows.group_by(by or pl.lit("").alias(VALUE_COLUMN)).agg(
            *same, pl.len().alias(COUNT_COLUMN), count_moments(norms.time).alias(MOMENTS_COLUMN)
        )
        large = pl.col(COUNT_COLUMN) >= MIN_FROZEN_ROWS
        is_stuck = {
            name: large & pl.col(name) & (pl.col(MOMENTS_COLUMN) >= norms.fewest_values[name, by][1] / 2)
            for name in names
        }
        occurs = groups.select(rule.any().alias(name) for name, rule in is_stuck.items()).row(0, named=True)
        for name in [name for name in names if occurs[name]]:
            usual, stuck = norms.fewest_values[name, by][0], groups.filter(is_stuck[name])
            is_said_of_all = bool(by) and (name, "") in norms.fewest_values and rows[name].n_unique() == 1
            if not is_said_of_all:
                where = f" where {by} is {list_names(sorted(map(str, stuck[by])))}" if by else ""
                text = f"{name} has one value {span}{where}; in no {norms.period} of the reference fewer than {usual}"
                yield DataFault("frozen", name, text, "a stuck sensor, or a source that repeats its last value")


def _has_one_value(name: str, fewest: int) -> pl.Expr:
    """Whether the values of a number are all the same, and enough to be different: where most are missing, one or two
    that are left say nothing of a sensor that is stuck."""
    values = pl.col(name).drop_nulls()
    return ((values.n_unique() == 1) & (values.len() >= min(fewest, MIN_FROZEN_VALUES))).alias(name)


def _find_unit_faults(rows: pl.DataFrame, norms: Expectations) -> Iterator[DataFault]:
    numbers = rows.select(pl.selectors.numeric().cast(pl.Float64))
    for name in [name for name in norms.grids if name in numbers.columns]:
        values = numbers[name].to_numpy()
        if found := units.detect_unit_change(values[~np.isnan(values)], norms.grids[name]):
            conversion, text = found
            what, cause = ("unit", conversion.cause) if conversion else ("values", "another source or precision")
            yield DataFault(what, name, f"{name}: {text}", cause)


def _find_constant_faults(rows: pl.DataFrame, norms: Expectations) -> Iterator[DataFault]:
    for name, (by, values) in norms.constants.items():
        if not {name, *by} <= set(rows.columns):
            continue
        found = pl.col(name).alias(FOUND_COLUMN)
        both = rows.select(pl.col(by).cast(pl.String), found).drop_nulls().join(values, on=by)
        now, usually = pl.col(FOUND_COLUMN), pl.col(VALUE_COLUMN)
        apart = (now - usually).abs() > 2 * CONSTANT_TOLERANCE * usually.abs()
        count = int(both.select(apart.sum()).item() or 0)
        if count >= MIN_MISMATCHES and (share := count / both.height) > MAX_MISMATCH_SHARE:
            ratio = float(both.select((now / usually).median()).item() or 0)
            text = f"{format_share(share, 0)} of {name} are not what they always were for their {' and '.join(by)}"
            cause = units.explain_ratio(ratio) or "another unit, or a wrong table"
            yield DataFault("constant", name, f"{text}: {ratio:.3g} times as much", cause)


def _find_mismatched_groups(rows: pl.DataFrame, norms: Expectations, empty: Set[str]) -> Iterator[DataFault]:
    judged = {name: by for name, by in norms.shared.items() if name not in empty and {name, *by} <= set(rows.columns)}
    torn: dict[str, tuple[int, int]] = {}
    for by in sorted(set(judged.values())):
        names = [name for name in judged if judged[name] == by]
        differs = ((pl.col(name).n_unique() > 1).alias(name) for name in names)
        groups = rows.group_by(by).agg(*differs, pl.len().alias(COUNT_COLUMN)).filter(pl.col(COUNT_COLUMN) > 1)
        torn |= {name: (int(groups[name].sum()), groups.height) for name in names}
    for name, by in judged.items():
        count, of = torn[name]
        if count >= MIN_MISMATCHES and (share := count / of) > MAX_MISMATCH_SHARE:
            where = f"between rows of the same {' and '.join(by)}"
            text = f"{name} differs {where} in {format_share(share, 0)} of them, in the reference in none"
            yield DataFault("torn", name, text, "values may be lost or altered on the way, row by row")
