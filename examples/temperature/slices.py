"""Where the model is looked at more closely."""

import polars as pl

DAY = pl.col("time_hour").dt.date()
SLICES = {"origin": pl.col("origin").cast(pl.String)}
