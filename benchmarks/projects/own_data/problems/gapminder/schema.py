"""Life expectancy by country: a number, a batch every five years with all rows on one day, a composite key."""

import dataframely as dy
import polars as pl

TIME = "at"


class Row(dy.Schema):
    """A country in a year."""

    country = dy.String(primary_key=True)
    at = dy.Datetime(primary_key=True)
    continent = dy.Enum(["Africa", "Americas", "Asia", "Europe", "Oceania"])
    pop = dy.Int64(nullable=False, min=0)
    gdp_per_capita = dy.Float64(nullable=False, min=0)


class Labelled(Row):
    """With the expectancy in years."""

    life_expectancy = dy.Float64(nullable=True, min=0, max=120)


def target() -> pl.Expr:
    """The expectancy in years."""
    return pl.col("life_expectancy")


EXAMPLE = {
    "country": "Côte d'Ivoire",
    "at": "1997-01-01T00:00:00",
    "continent": "Africa",
    "pop": 14_625_967,
    "gdp_per_capita": 1786.26,
}
OUTCOME = {"life_expectancy": 47.99}
