"""Where models are looked at more closely: a name and a polars expression that gives text."""

import polars as pl

SLICES = {"carrier": pl.col("carrier").cast(pl.String)}
