"""142 countries in twelve years of plotly's gapminder data."""

import polars as pl

from benchmarks.projects.own_data.problems.tables import read_package_table

from .schema import TIME


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
