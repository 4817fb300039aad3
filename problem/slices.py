"""Where a model is looked at more closely: a name and a polars expression on rows of the contract, giving text."""

import polars as pl

from .schema import TIME

_LOCAL = pl.col(TIME).dt.convert_time_zone("America/New_York")

# Rows of a day share their luck: weather, congestion. Intervals are drawn over days.
DAY = _LOCAL.dt.date()

SLICES: dict[str, pl.Expr] = {
    "carrier": pl.col("carrier").cast(pl.String),
    "origin": pl.col("origin").cast(pl.String),
    "hours": pl.format("from {}:00", (pl.col("sched_dep_time") // 400 * 4).cast(pl.String).str.zfill(2)),
    "month": _LOCAL.dt.strftime("%Y-%m"),
}
