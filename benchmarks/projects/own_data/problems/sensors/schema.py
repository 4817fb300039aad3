"""The load of a machine in an hour: a number with heavy tails, 800 rows a day, names with dots and hyphens."""

import dataframely as dy
import polars as pl

TIME = "measured.at"


class Row(dy.Schema):
    """A reading."""

    machine = dy.String(primary_key=True, regex="^m-[0-9]+$")
    measured_at = dy.Datetime(primary_key=True, time_unit="ms", time_zone="UTC", alias=TIME)
    heat = dy.Float32(nullable=True, min=-50, max=200, alias="heat-°C")
    turns = dy.Int32(nullable=False, min=0, alias="turns/min")
    kind = dy.Enum(["lathe", "mill"], alias="kind{}")


class Labelled(Row):
    """With the load an hour later."""

    load = dy.Float64(nullable=True)


def target() -> pl.Expr:
    """The load."""
    return pl.col("load")


OUTCOME = {"load": 310.5}
