"""Times that a few rows have far from all others: a mistyped year, or 1900-01-01 for none."""

import datetime as dt

import polars as pl

from penumbra.core.text.counts import format_count
from penumbra.core.text.quoting import quote_value
from penumbra.drafting.draft import DraftRefused
from penumbra.drafting.reading.observation import Observation

MAX_FAR_SHARE = 0.01  # of the rows, that may be mistakes
MIN_FAR = dt.timedelta(days=366)  # from all others; or as long as those span


def check_far_times(seen: Observation, name: str, first: dt.date, last: dt.date) -> None:
    """Check that no few rows lie so far from all others that batches and clock would go by mistakes.

    Args:
        seen: What is seen of the table.
        name: The column with the rows' times.
        first: The day of the first row.
        last: The day of the last row.

    Raises:
        DraftRefused: Some do.
    """
    days = seen.values[name].drop_nulls().cast(pl.Date).sort()
    edge = int(MAX_FAR_SHARE * len(days))
    begin, end = days[edge], days[-1 - edge]
    room = max(end - begin, MIN_FAR)
    far = [day for day in (first, last) if day - end > room or begin - day > room]
    if not far:
        return
    near = pl.col("value").cast(pl.Date).is_between(pl.lit(begin) - room, pl.lit(end) + room)
    moments = seen.table.rows.select(seen.readings[name].values.alias("value"))
    count = int(moments.select((~near).sum()).collect(engine="streaming").item())
    raise DraftRefused(
        f"{quote_value(name)} is {' or '.join(map(str, far))} and the like in {count:,} of "
        f"{format_count(seen.total, 'row')}, far from all others, which are of {begin} to {end}: batches "
        "and the clock go by it, so correct these rows or leave them out first"
    )
