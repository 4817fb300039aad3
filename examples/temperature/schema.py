"""What a row is, and the number to be predicted."""

import datetime as dt
from typing import Any

import dataframely as dy
import polars as pl

TIME = "time_hour"


class Weather(dy.Schema):
    """The weather at one airport in one hour."""

    origin = dy.Enum(["EWR", "JFK", "LGA"], primary_key=True)
    time_hour = dy.Datetime(
        primary_key=True,
        min=dt.datetime(2000, 1, 1, tzinfo=dt.UTC),
        max=dt.datetime(2099, 12, 31, tzinfo=dt.UTC),
        time_zone="UTC",
    )
    temp = dy.Float64(nullable=True, min=-60, max=140)
    dewp = dy.Float64(nullable=True, min=-80, max=100)
    humid = dy.Float64(nullable=True, min=0, max=100)
    wind_speed = dy.Float64(nullable=True, min=0, max=200)
    pressure = dy.Float64(nullable=True, min=870, max=1085)
    visib = dy.Float64(nullable=True, min=0, max=10)


class LaterTemperature(Weather):
    """With the temperature a day later, in degrees Fahrenheit."""

    later_temp = dy.Float64(nullable=True, min=-60, max=140)


Row, Labelled = Weather, LaterTemperature


def target() -> pl.Expr:
    """The temperature a day later; null where it isn't known."""
    return pl.col("later_temp")


EXAMPLE: dict[str, Any] = {
    "origin": "JFK",
    "time_hour": "2013-04-01T21:00:00Z",
    "temp": 55.4,
    "dewp": 41.0,
    "humid": 58.2,
    "wind_speed": 12.7,
    "pressure": 1012.5,
    "visib": 10.0,
}
OUTCOME: dict[str, Any] = {"later_temp": 51.0}  # what happened to the example
QUESTION = "How warm was it a day later, in degrees Fahrenheit?"
