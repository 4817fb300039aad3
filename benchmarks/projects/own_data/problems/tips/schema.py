"""The tip for a meal: a number, two rows a day, columns named day, time and size; no key."""

import dataframely as dy
import polars as pl

TIME = "row"


class Row(dy.Schema):
    """A table that was served."""

    row = dy.Datetime(nullable=False)
    total_bill = dy.Decimal(precision=8, scale=2, nullable=False, min=0, max=1000, alias="total bill ($)")
    sex = dy.String(nullable=False)
    smoker = dy.Bool(nullable=False)
    day = dy.Enum(["Thur", "Fri", "Sat", "Sun"])
    time = dy.String(nullable=True)
    size = dy.Int8(nullable=False, min=1, max=20)


class Labelled(Row):
    """With the tip."""

    tip = dy.Float64(nullable=True, min=0, max=100)


def target() -> pl.Expr:
    """The tip in dollars."""
    return pl.col("tip")


EXAMPLE = {
    "row": "2024-03-01T20:00:00",
    "total bill ($)": "24.59",
    "sex": "Female",
    "smoker": False,
    "day": "Sun",
    "time": "Dinner",
    "size": 4,
}
OUTCOME = {"tip": 3.61}
