"""Which parts of a time a model reads: the hour, the weekday, the month, where rows differ by them."""

from collections.abc import Iterable, Iterator

import polars as pl

from penumbra.drafting.draft import FeatureKind

MIN_HOURS = 3  # summer time alone gives a midnight two
MIN_MONTH_DAYS = 700  # of two years, nearly: what comes once can't be told from what else was then


def choose_calendar_features(rows: pl.DataFrame, name: str) -> tuple[FeatureKind, ...]:
    """Choose the features of a column of times, as a person would.

    Args:
        rows: The values of all columns in the sample.
        name: The column: dates, times, or times of day.

    Returns:
        "hour" where the times have one, "weekday" where they are more than the firsts of months, "month" where they
        span years; none that is always the same, or there as a column of its own.
    """
    values = rows[name]
    kinds: Iterable[FeatureKind] = ("hour",) if values.dtype == pl.Time else _list_varying_parts(values.drop_nulls())
    numbers = rows.select(pl.selectors.integer())
    return tuple(
        kind
        for kind in kinds
        if f"{name}_{kind}" not in rows.columns
        and not any((number == getattr(values.dt, kind)()).all() for number in numbers)
    )


def _list_varying_parts(times: pl.Series) -> Iterator[FeatureKind]:
    """The parts of dates or times that rows differ by."""
    if isinstance(times.dtype, pl.Datetime) and times.dt.hour().n_unique() >= MIN_HOURS:
        yield "hour"
    days = times.dt.date().unique().sort()
    if days.dt.day().n_unique() > 1 and days.dt.weekday().n_unique() > 1:
        yield "weekday"
    if len(days) and (days[-1] - days[0]).days >= MIN_MONTH_DAYS and days.dt.month().n_unique() > 1:
        yield "month"
