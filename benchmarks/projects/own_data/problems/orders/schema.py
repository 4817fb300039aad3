"""Whether an order is a customer's last: names of every awkward kind, a decimal key, labels after ten days."""

import dataframely as dy
import polars as pl

TIME = "order date"


class Row(dy.Schema):
    """An order."""

    number = dy.Decimal(precision=12, scale=2, primary_key=True)
    order_date = dy.Datetime(nullable=False, alias=TIME)
    batch = dy.Enum(["north", "south", "west"])
    amount = dy.Float64(nullable=True, min=0, max=100_000, alias="amount (EUR)")
    day = dy.Int16(nullable=False, min=18, max=99)
    class_ = dy.Bool(nullable=False, alias="class")
    inputs = dy.Float32(nullable=True, alias="in.put*s [%]")


class Labelled(Row):
    """With the outcome as it is exported: 0 or 1."""

    events = dy.Int8(nullable=True, min=0, max=1)


def target() -> pl.Expr:
    """Whether the customer left."""
    return pl.col("events") == 1


EXAMPLE = {
    "number": "7.10",
    TIME: "2024-03-01T12:00:00",
    "batch": "west",
    "amount (EUR)": 20.5,
    "day": 40,
    "class": True,
    "in.put*s [%]": 0.5,
}
OUTCOME = {"events": 0}
