"""The traffic of a replay by day: requests as clients of the service send them, and later the labels."""

import datetime as dt
from dataclasses import dataclass

import msgspec
import polars as pl

from penumbra.core.settings import DataSettings
from penumbra.simulation import future
from problem.schema import TIME, Labelled, Row, target

FAHRENHEIT_COLUMNS = [name for name in ("temp", "dewp") if name in Row.columns()]
EVENT_DATE = pl.col(TIME).dt.date()


@dataclass(frozen=True)
class TrafficDay:
    """The rows of one day (UTC) in the order of time, with the contract's columns."""

    date: dt.date
    rows: pl.DataFrame

    @property
    def requests(self) -> pl.DataFrame:
        """The columns of a request."""
        return self.rows.select(list(Row.columns()))

    @property
    def labels(self) -> pl.DataFrame:
        """The columns of the key and of the outcome, null where there was none."""
        outcome = [name for name in Labelled.columns() if name not in Row.columns()]
        return self.rows.select([*Row.primary_key(), *outcome])

    @property
    def truth(self) -> pl.Series:
        """The problem's target, in the dtype of the contract; null where there was no outcome."""
        return self.rows.select(target()).to_series()


def load_traffic_days(data: DataSettings, first: dt.date, last: dt.date) -> dict[dt.date, TrafficDay]:
    """Load the traffic of some days from all batches of the source.

    Args:
        data: Section [data] of the settings, with the folders of a data store for all batches.
        first: The first day (UTC).
        last: The last day, included.

    Returns:
        The days by date.
    """
    store = future.fill_data_store(data)
    rows = pl.concat([store.rows(batch) for batch in store.batches()])
    of_days = rows.filter(EVENT_DATE.is_between(first, last)).sort(Row.primary_key()).sort(TIME, maintain_order=True)
    return {date: TrafficDay(date, of) for (date,), of in of_days.group_by(EVENT_DATE, maintain_order=True)}


def convert_to_celsius(requests: pl.DataFrame) -> pl.DataFrame:
    """Convert temperatures to Celsius, as a weather feed that has changed its unit would send them.

    Args:
        requests: Rows with temperature columns in Fahrenheit (Float64).

    Returns:
        The same columns.
    """
    return requests.with_columns((pl.col(FAHRENHEIT_COLUMNS) - 32) * 5 / 9)


def encode_records(frame: pl.DataFrame) -> bytes:
    """Encode rows as a JSON list of records.

    Args:
        frame: Rows with any columns that JSON can hold.

    Returns:
        UTF-8.
    """
    return msgspec.json.encode(frame.to_dicts())
