"""Where, how many, how rich; the country as a category of 142 values."""

import polars as pl

from penumbra.features import Category, Expression, Number

from .schema import Row

FEATURES = (
    Category("country"),
    Category("continent"),
    Number("pop"),
    Expression("log of income", pl.col("gdp_per_capita").log(), Row),
)
