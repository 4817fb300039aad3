"""Faults of the data where days may have few rows: of each day, of some days together, and of some weeks."""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence

import polars as pl

from monitoring.faults.data_faults import (
    MIN_FROZEN_ROWS,
    DataFault,
    find_category_faults,
    find_data_faults,
    find_frozen_values,
)
from monitoring.faults.expectations import MIN_DAY_ROWS, Expectations

MIN_WIDE_RENAMED_ROWS = 6  # where weeks are looked at together, because a day has few rows


def find_grouped_faults(
    days: Sequence[dt.date],
    counts: Mapping[dt.date, int],
    read_rows: Callable[[list[dt.date]], pl.DataFrame],
    norms: Expectations,
) -> Iterator[tuple[list[dt.date], list[DataFault]]]:
    """Find the faults of days, each by itself if it has rows enough, or together with others.

    Args:
        days: The days to judge, ascending.
        counts: The number of rows of these days and of those before them, which are reached back to.
        read_rows: Reads the rows of days with the contract's columns.
        norms: What is expected of a day.

    Yields:
        Days that were judged together, which may begin before the first of `days`, with their faults; none for days
        with fewer than 50 rows in all. Where a day has few rows, each of `days` with 20 by itself, with the values that
        are stuck in it alone, and last the weeks up to the last day, with the values that were renamed or are stuck in
        them.
    """
    stuck = set[tuple[dt.date, str]]()
    for together in norms.group_days(days, counts):
        if sum(counts.get(day, 0) for day in together) >= MIN_DAY_ROWS:
            found = find_data_faults(read_rows(together), norms)
            stuck |= {(day, fault.column) for fault in found if fault.what == "frozen" for day in together}
            yield together, found
    for day in days:
        if norms.daily and counts.get(day, 0) >= MIN_FROZEN_ROWS:
            frozen = find_frozen_values(read_rows([day]), norms.daily)
            yield [day], [fault for fault in frozen if (day, fault.column) not in stuck]
    if norms.wide and days:
        weeks = [days[-1] - dt.timedelta(days=number) for number in reversed(range(norms.wide.block_days))]
        if min(counts, default=days[-1]) <= weeks[0] and sum(counts.get(day, 0) for day in weeks) >= MIN_DAY_ROWS:
            rows = read_rows(weeks)
            categories = find_category_faults(rows, norms.wide, MIN_WIDE_RENAMED_ROWS)
            renamed = [fault for fault in categories if fault.what == "renamed"]
            yield weeks, [*renamed, *find_frozen_values(rows, norms.wide)]
