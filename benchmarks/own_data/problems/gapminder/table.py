"""142 countries in twelve years of plotly's gapminder data."""

import datetime as dt

import polars as pl

from .schema import TIME
from .tables import read_package_table

START, BATCH_DAYS = dt.date(1952, 1, 1), 1826


def load_table() -> pl.DataFrame:
    """All rows; a year is its first of January at midnight."""
    table = read_package_table("plotly", "package_data/datasets/gapminder.csv.gz")
    at = (pl.col("year") + "-01-01T00:00:00").alias(TIME)
    return table.select(
        "country",
        at,
        "continent",
        "pop",
        pl.col("gdpPercap").alias("gdp_per_capita"),
        pl.col("lifeExp").alias("life_expectancy"),
    )
