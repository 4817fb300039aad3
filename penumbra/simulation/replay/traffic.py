"""The traffic of a replay by day: requests as clients of the service send them, and later the labels."""

import datetime as dt
from dataclasses import dataclass
from functools import cached_property

import polars as pl

from penumbra.core.problem import Problem, ProblemSchema, build_utc_date
from penumbra.core.settings import DataSettings
from penumbra.logs.append_log import encode_json
from penumbra.simulation import future

DAYS_BEFORE = 28


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
        """The columns of the key, if the contract has one, and of the outcome, null where there was none."""
        return self.rows.select([*self.schema.Row.primary_key(), *self._outcome_names])

    @property
    def outcomes(self) -> pl.DataFrame:
        """The columns of the outcome, null where there was none."""
        return self.rows.select(self._outcome_names)

    @property
    def truth(self) -> pl.Series:
        """The problem's target, in the dtype of the contract; null where there was no outcome."""
        return self.rows.select(self.schema.target()).to_series()

    @property
    def _outcome_names(self) -> list[str]:
        return [name for name in self.schema.Labelled.columns() if name not in self.schema.Row.columns()]


def load_traffic(data: DataSettings, problem: Problem) -> "Traffic":
    """Load the rows of all batches of the source.

    Args:
        data: Section [data] of the settings, with the folders of a data store for all batches.
        problem: The problem, with schema, source and features.

    Returns:
        The traffic.

    Raises:
        BatchRefused: A batch breaks the contract.
    """
    store, columns = future.fill_data_store(data, problem), list(problem.schema.Labelled.columns())
    rows = pl.concat([store.rows(batch, columns) for batch in store.source_batches()])
    return Traffic(rows.sort(problem.schema.TIME, maintain_order=True), problem.schema)


@dataclass(frozen=True)
class Traffic:
    """All rows of the source in the order of time, with the contract's columns."""

    rows: pl.DataFrame
    schema: ProblemSchema

    def select_day(self, day: dt.date) -> TrafficDay:
        """Select the rows of a `day` (UTC); returns none where there are none."""
        return TrafficDay(day, self._select_days(day, day), self.schema)

    def find_first_day(self, since: dt.date) -> dt.date | None:
        """Find the first day (UTC) from `since` on that has rows; returns None where none has."""
        return self._dates.filter(self._dates >= since).min()  # type: ignore[return-value]

    def select_days_before(self, day: dt.date) -> pl.DataFrame:
        """Select the rows of the last 28 days before `day` (UTC) that have any; returns the columns of a request."""
        (first, *_) = (*self._dates.filter(self._dates < day).unique().sort().tail(DAYS_BEFORE), day)
        return TrafficDay(day, self._select_days(first, day - dt.timedelta(days=1)), self.schema).requests

    def _select_days(self, first: dt.date, last: dt.date) -> pl.DataFrame:
        begin, end = self._dates.search_sorted(pl.Series([first, last + dt.timedelta(days=1)]))
        return self.rows.slice(begin, end - begin)

    @cached_property
    def _dates(self) -> pl.Series:
        """The day (UTC) of each row, ascending."""
        return self.rows.select(build_utc_date(self.schema)).to_series()


def encode_records(frame: pl.DataFrame) -> bytes:
    """Encode rows as a JSON list of records.

    Args:
        frame: Rows with any columns that JSON can hold.

    Returns:
        UTF-8.
    """
    return encode_json(frame.to_dicts())
