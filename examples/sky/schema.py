"""What a row is, and the classes to be told apart."""

from typing import Any

import dataframely as dy
import polars as pl

from examples.weather import EXAMPLE, Weather

TIME = "time_hour"
CHECKS = ()
SKY = pl.Enum(["clear", "haze", "fog"])


class LaterVisibility(Weather):
    """With the visibility a day later, in miles."""

    later_visib = dy.Float64(nullable=True, min=0, max=10)


Row, Labelled = Weather, LaterVisibility
OUTCOME: dict[str, Any] = {"later_visib": 2.5}


def target() -> pl.Expr:
    """Null where the visibility isn't known."""
    miles = pl.col("later_visib")
    sky = pl.when(miles >= 10).then(pl.lit("clear")).when(miles >= 3).then(pl.lit("haze")).when(miles < 3)
    return sky.then(pl.lit("fog")).cast(SKY)


__all__ = ["CHECKS", "EXAMPLE", "OUTCOME", "TIME", "Labelled", "Row", "target"]
