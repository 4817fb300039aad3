"""Flights as regular as a clock: the same hours, routes and origins each day, weather that differs from day to day."""

import datetime as dt

import numpy as np
import polars as pl

from problem import schema

ROUTE_DISTANCES = {"ATL": 760, "BOS": 187, "LAX": 2475, "IAH": 1400}


def make_regular_flights(number: int, warmer: float = 0.0) -> pl.DataFrame:
    """120 flights of one day: weather by hour and origin in steps of 0.18 °F, four routes from three origins."""
    rng = np.random.default_rng(number)
    hours = np.repeat(np.arange(20), 6)
    origins = np.tile(np.array(schema.ORIGINS), 40)
    dests = np.tile(np.array(list(ROUTE_DISTANCES)), 30)
    celsius = np.round(rng.normal(4 + warmer, 3) + 4 * np.sin(hours / 3) + np.tile([0.0, 0.3, 0.8], 40), 1)
    start = dt.datetime(2013, 3, 1, tzinfo=dt.UTC) + dt.timedelta(days=number)
    rows = {
        "carrier": np.where(np.arange(120) % 2, "UA", "DL"),
        "flight": np.arange(1, 121),
        "time_hour": [start + dt.timedelta(hours=int(hour)) for hour in hours],
        "origin": origins,
        "dest": dests,
        "sched_dep_time": hours * 100,
        "sched_arr_time": hours * 100 + 59,
        "distance": [ROUTE_DISTANCES[dest] for dest in dests],
        "temp": np.round(celsius * 1.8 + 32, 2),
        "dewp": np.round((celsius - 5) * 1.8 + 32, 2),
        "wind_speed": np.round((8 + hours % 7) * 1.15078, 5),
        "pressure": 1000 + hours / 10,
    }
    whole = pl.DataFrame(rows, schema_overrides={"origin": pl.Enum(schema.ORIGINS)})
    calm = {"wind_dir": pl.lit(90), "precip": pl.lit(0.0), "visib": pl.lit(10.0)}
    complete = whole.with_columns(humid=50.0 + pl.col("pressure") - 1000, **calm)
    return complete.select(pl.col(name).cast(column.dtype) for name, column in schema.Row.columns().items())
