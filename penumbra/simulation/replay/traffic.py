"""The traffic of a replay by day: requests as clients of the service send them, and later the labels."""

import datetime as dt
from dataclasses import dataclass

import msgspec
import polars as pl

from penumbra.core.problem import Problem, ProblemSchema
from penumbra.core.settings import DataSettings
from penumbra.simulation import future

FAHRENHEIT_COLUMNS = ("temp", "dewp")


@dataclass(frozen=True)
class TrafficDay:
    """The rows of one day (UTC) in the order of time, with the contract's columns."""

    date: dt.date
    rows: pl.DataFrame
    schema: ProblemSchema

    @property
    def requests(self) -> pl.DataFrame:
        """The columns of a request."""
        return self.rows.select(list(self.schema.Row.columns()))

    @property
    def labels(self) -> pl.DataFrame:
        """The columns of the key and of the outcome, null where there was none."""
        row = self.schema.Row
        outcome = [name for name in self.schema.Labelled.columns() if name not in row.columns()]
        return self.rows.select([*row.primary_key(), *outcome])

    @property
    def truth(self) -> pl.Series:
        """The problem's target, in the dtype of the contract; null where there was no outcome."""
        return self.rows.select(self.schema.target()).to_series()


def load_traffic_days(data: DataSettings, problem: Problem, first: dt.date, last: dt.date) -> dict[dt.date, TrafficDay]:
    """Load the traffic of some days from all batches of the source.

    Args:
        data: Section [data] of the settings, with the folders of a data store for all batches.
        problem: The problem, with schema, source and features.
        first: The first day (UTC).
        last: The last day, included.

    Returns:
        The days by date.
    """
    store, schema = future.fill_data_store(data, problem), problem.schema
    date = pl.col(schema.TIME).dt.date()
    rows = pl.concat([store.rows(batch) for batch in store.batches()])
    of_days = rows.filter(date.is_between(first, last)).sort(schema.Row.primary_key())
    by_day = of_days.sort(schema.TIME, maintain_order=True).group_by(date, maintain_order=True)
    return {day: TrafficDay(day, of, schema) for (day,), of in by_day}


def convert_to_celsius(requests: pl.DataFrame) -> pl.DataFrame:
    """Convert temperatures to Celsius, as a weather feed that has changed its unit would send them.

    Args:
        requests: Rows with temperature columns in Fahrenheit (Float64).

    Returns:
        The same columns.
    """
    columns = [name for name in FAHRENHEIT_COLUMNS if name in requests.columns]
    return requests.with_columns((pl.col(columns) - 32) * 5 / 9)


def encode_records(frame: pl.DataFrame) -> bytes:
    """Encode rows as a JSON list of records.

    Args:
        frame: Rows with any columns that JSON can hold.

    Returns:
        UTF-8.
    """
    return msgspec.json.encode(frame.to_dicts())
