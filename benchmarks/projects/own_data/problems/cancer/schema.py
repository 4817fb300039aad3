"""Cells of a breast mass: malignant or benign. No key, names with spaces, four rows a day."""

import dataframely as dy
import polars as pl

MEASURES = ["radius", "texture", "perimeter", "area", "smoothness", "compactness", "concavity", "concave points"]
TIME = "taken at"

Row = type(
    "Row",
    (dy.Schema,),
    {
        "__module__": __name__,
        "taken_at": dy.Datetime(nullable=False, alias=TIME),
        **{f"mean_{n}": dy.Float64(nullable=False, min=0, max=5000, alias=f"mean {m}") for n, m in enumerate(MEASURES)},
    },
)
Labelled = type("Labelled", (Row,), {"__module__": __name__, "malignant": dy.Bool(nullable=True)})


def target() -> pl.Expr:
    """Whether it is malignant."""
    return pl.col("malignant")


EXAMPLE = {TIME: "2024-03-01T12:00:00", **{f"mean {name}": 0.5 for name in MEASURES}}
OUTCOME = {"malignant": True}
