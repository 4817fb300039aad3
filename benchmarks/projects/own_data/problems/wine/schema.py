"""Three cultivars of wine told apart: one row a day or two, names with a slash, a composite key."""

import dataframely as dy
import polars as pl

TIME = "tasted"
CULTIVARS = ["class_0", "class_1", "class_2"]


class Row(dy.Schema):
    """A bottle."""

    cellar = dy.String(primary_key=True, regex="^[a-c]$")
    bottle = dy.Int32(primary_key=True, min=0, max=10_000)
    tasted = dy.Datetime(nullable=False)
    alcohol = dy.Float64(nullable=False, min=0, max=100)
    malic_acid = dy.Float64(nullable=True, min=0, max=100)
    od280 = dy.Float64(nullable=True, min=0, max=100, alias="od280/od315_of_diluted_wines")
    proline = dy.Int32(nullable=False, min=0, max=10_000)


class Labelled(Row):
    """With the cultivar."""

    cultivar = dy.Enum(CULTIVARS, nullable=True)


def target() -> pl.Expr:
    """The cultivar."""
    return pl.col("cultivar")


OUTCOME = {"cultivar": "class_1"}
