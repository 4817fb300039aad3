"""The days of the year as clients of the service would send them: requests, and later the labels."""

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
    """The rows of one day, as they were, in the order of time."""

    date: dt.date
    rows: pl.DataFrame

    @property
    def requests(self) -> pl.DataFrame:
        return self.rows.select(list(Row.columns()))

    @property
    def labels(self) -> pl.DataFrame:
        """The keys with the outcomes, null where there was none."""
        outcome = [name for name in Labelled.columns() if name not in Row.columns()]
        return self.rows.select([*Row.primary_key(), *outcome])

    @property
    def truth(self) -> pl.Series:
        return self.rows.select(target()).to_series()


def load_traffic_days(data: DataSettings, first: dt.date, last: dt.date) -> dict[dt.date, TrafficDay]:
    """The days from first to last, of all batches there will ever be, in a data store of their own."""
    store = future.fill_data_store(data)
    rows = pl.concat([store.rows(batch) for batch in store.batches()])
    wanted = rows.filter(EVENT_DATE.is_between(first, last)).sort(Row.primary_key()).sort(TIME, maintain_order=True)
    return {date: TrafficDay(date, of) for (date,), of in wanted.group_by(EVENT_DATE, maintain_order=True)}


def convert_to_celsius(requests: pl.DataFrame) -> pl.DataFrame:
    """What comes from a weather feed that has changed its unit."""
    return requests.with_columns((pl.col(FAHRENHEIT_COLUMNS) - 32) * 5 / 9)


def encode_records(frame: pl.DataFrame) -> bytes:
    """A list of records as JSON."""
    return msgspec.json.encode(frame.to_dicts())
