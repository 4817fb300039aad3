"""Where the model is looked at more closely."""

import polars as pl

SLICES = {"from": pl.col("from"), "urgent": pl.col("urgent").cast(pl.String)}
