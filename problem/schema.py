"""What a row is. The contract that ingest, training, the HTTP API and monitoring all read."""

import datetime as dt
from typing import Any

import dataframely as dy
import polars as pl

from penumbra.features import ColumnCheck, NotAbove, ValidClock

TIME = "time_hour"

CARRIERS = ["9E", "AA", "AS", "B6", "DL", "EV", "F9", "FL", "HA", "MQ", "OO", "UA", "US", "VX", "WN", "YV"]
ORIGINS = ["EWR", "JFK", "LGA"]

CHECKS: tuple[ColumnCheck, ...] = (
    ValidClock("sched_dep_time"),
    ValidClock("sched_arr_time"),
    NotAbove("dewp", "temp"),
)


class Flight(dy.Schema):
    """A scheduled flight and the weather at its origin in the hour of departure: all that is known beforehand."""

    carrier = dy.Enum(CARRIERS, primary_key=True)
    flight = dy.Int32(primary_key=True, min=1, max=9999)
    time_hour = dy.Datetime(
        primary_key=True,
        min=dt.datetime(2000, 1, 1, tzinfo=dt.UTC),
        max=dt.datetime(2099, 12, 31, tzinfo=dt.UTC),
        time_zone="UTC",
    )
    origin = dy.Enum(ORIGINS)
    dest = dy.String(regex="^[A-Z]{3}$", nullable=False)
    sched_dep_time = dy.Int16(nullable=False, min=0, max=2359)
    sched_arr_time = dy.Int16(nullable=False, min=0, max=2400)
    distance = dy.Int16(nullable=False, min=10, max=10_000)
    temp = dy.Float64(nullable=True, min=-60, max=140)
    dewp = dy.Float64(nullable=True, min=-80, max=100)
    humid = dy.Float64(nullable=True, min=0, max=100)
    wind_dir = dy.Int16(nullable=True, min=0, max=360)
    wind_speed = dy.Float64(nullable=True, min=0, max=200)
    precip = dy.Float64(nullable=True, min=0, max=20)
    pressure = dy.Float64(nullable=True, min=870, max=1085)
    visib = dy.Float64(nullable=True, min=0, max=10)

    @dy.rule()
    def clock_sched_dep_time(cls) -> pl.Expr:
        return CHECKS[0].expr()

    @dy.rule()
    def clock_sched_arr_time(cls) -> pl.Expr:
        return CHECKS[1].expr()

    @dy.rule()
    def dewp_not_above_temp(cls) -> pl.Expr:
        return CHECKS[2].expr()


class LabelledFlight(Flight):
    """A flight with its outcome: minutes late at arrival, null where it was cancelled or diverted."""

    arr_delay = dy.Int16(nullable=True, min=-300, max=3000)


Row, Labelled = Flight, LabelledFlight


def target() -> pl.Expr:
    """Late by the US Department of Transportation's definition; null where there is no outcome."""
    return pl.col("arr_delay") > 15


EXAMPLE: dict[str, Any] = {
    "carrier": "UA",
    "flight": 1545,
    "time_hour": "2013-04-01T21:00:00Z",
    "origin": "EWR",
    "dest": "IAH",
    "sched_dep_time": 1715,
    "sched_arr_time": 2030,
    "distance": 1400,
    "temp": 55.4,
    "dewp": 41.0,
    "humid": 58.2,
    "wind_dir": 270,
    "wind_speed": 12.7,
    "precip": 0.0,
    "pressure": 1012.5,
    "visib": 10.0,
}
OUTCOME: dict[str, Any] = {"arr_delay": 42}  # what happened to the example
QUESTION = "How many minutes late did the flight arrive? Below 0: it was early."
