"""What a row is, and the number to be predicted."""

from typing import Any

import dataframely as dy
import polars as pl

from examples.weather import EXAMPLE, Weather

TIME = "time_hour"
CHECKS = ()


class LaterTemperature(Weather):
    """With the temperature a day later, in degrees Fahrenheit."""

    later_temp = dy.Float64(nullable=True, min=-60, max=140)


Row, Labelled = Weather, LaterTemperature
OUTCOME: dict[str, Any] = {"later_temp": 51.0}


def target() -> pl.Expr:
    return pl.col("later_temp")


__all__ = ["CHECKS", "EXAMPLE", "OUTCOME", "TIME", "Labelled", "Row", "target"]
