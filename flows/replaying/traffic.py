"""The days of the year as clients of the service would send them: requests, and later the labels."""

import datetime as dt
from dataclasses import dataclass

import msgspec
import polars as pl

from flows import future
from problem.schema import TIME, Labelled, Row, target
from settings import Data

FAHRENHEIT = [name for name in ("temp", "dewp") if name in Row.columns()]
DAY = pl.col(TIME).dt.date()


@dataclass(frozen=True)
class Day:
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


def year(data: Data, first: dt.date, last: dt.date) -> dict[dt.date, Day]:
    """The days from first to last, of all batches there will ever be, in a data store of their own."""
    store = future.store(data)
    rows = pl.concat([store.rows(batch) for batch in store.batches()])
    wanted = rows.filter(DAY.is_between(first, last)).sort(Row.primary_key()).sort(TIME, maintain_order=True)
    return {date: Day(date, of) for (date,), of in wanted.group_by(DAY, maintain_order=True)}  # type: ignore[misc]


def in_celsius(requests: pl.DataFrame) -> pl.DataFrame:
    """What comes from a weather feed that has changed its unit."""
    return requests.with_columns((pl.col(FAHRENHEIT) - 32) * 5 / 9)


def encoded(frame: pl.DataFrame) -> bytes:
    """A list of records as JSON."""
    return msgspec.json.encode(frame.to_dicts())
