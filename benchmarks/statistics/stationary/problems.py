"""A problem whose days could stand in any order: where its rows come from, what is predicted, and by which model."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import polars as pl

from penumbra.core.columns import DAY_COLUMN, LABEL_COLUMN
from penumbra.core.histograms import list_profiled_columns
from penumbra.core.task import Task
from penumbra.features import Feature
from penumbra.training.fit import extract_labels

DAYS_PER_WEEK = 7
MAX_WEEKS = 20  # of a model, which its windows share: many models say more than many windows


class RowSource(Protocol):
    """Where the rows of a problem come from."""

    def draw_rows(self, seed: int, days: int) -> pl.DataFrame:
        """Draw rows of some days, with the columns of the problem, the label, and the day as `penumbra.day` from 0."""


@dataclass(frozen=True)
class Phases:
    """The days of a model's life, one phase after the other.

    Attributes:
        train: Days that only the fits before the last one learn from.
        reference: Days of the bundle's reference: the first half is the validation, the second half the test.
        shadow: Days in the shadow before the model becomes live.
        weeks: Weeks in production.
    """

    train: int = 30
    reference: int = 60
    shadow: int = 7
    weeks: int = MAX_WEEKS

    @property
    def learnt(self) -> int:
        """The days that the live model has learnt from."""
        return self.train + self.reference

    @property
    def days(self) -> int:
        """All days."""
        return self.learnt + self.shadow + DAYS_PER_WEEK * self.weeks


@dataclass(frozen=True)
class StationaryProblem:
    """A problem on which nothing changes.

    Attributes:
        rows: The rows of a usual day.
        model: The kind of model, one of `estimators.MODEL_KINDS`.
        task: What is predicted.
        features: The features.
        source: The rows.
        columns: The watched columns.
        phases: The days of a model's life.
    """

    rows: int
    model: str
    task: Task
    features: tuple[Feature, ...]
    source: RowSource
    columns: Sequence[str]
    phases: Phases = field(default_factory=Phases)


@dataclass(frozen=True)
class ShuffledUnits:
    """Real rows whose units, rows or whole days, are put in a random order.

    Attributes:
        rows: The rows, sorted by unit, with their label.
        units: The unit of each row, int64 [n] from 0, ascending.
        per_day: How many units make up a day.
        ordered: Whether the units stay in their real order.
    """

    rows: pl.DataFrame
    units: np.ndarray
    per_day: int
    ordered: bool = False

    def draw_rows(self, seed: int, days: int) -> pl.DataFrame:
        """Draw rows of some days; all units come once before any comes again.

        Args:
            seed: Seed of the order.
            days: The number of days.

        Returns:
            The rows with their day, Int64 from 0.
        """
        starts = np.searchsorted(self.units, np.arange(self.units[-1] + 2))
        sizes = np.diff(starts)
        order = self._draw_order(np.random.default_rng(seed), days * self.per_day)
        before = np.cumsum(sizes[order]) - sizes[order]
        day = np.repeat(np.arange(len(order)) // self.per_day, sizes[order])
        rows = np.arange(len(day)) + np.repeat(starts[order] - before, sizes[order])
        return self.rows[rows].with_columns(pl.Series(DAY_COLUMN, day))

    def _draw_order(self, random: np.random.Generator, units: int) -> np.ndarray:
        known = int(self.units[-1]) + 1
        if self.ordered:
            return np.arange(known)[:units]
        return np.concatenate([random.permutation(known) for _ in range(-(-units // known))])[:units]


def shuffle_units(
    rows: pl.DataFrame,
    units: np.ndarray,
    per_day: int,
    model: str,
    task: Task,
    features: Sequence[Feature],
    time: str = "",
) -> StationaryProblem:
    """Make a problem of real rows that are put in random orders.

    Args:
        rows: The rows, sorted by unit, with their label.
        units: The unit of each row, a row or a day, int64 [n] from 0, ascending.
        per_day: How many units make up a day.
        model: The kind of model.
        task: What is predicted.
        features: The features.
        time: The column of the rows' time, if they have one.

    Returns:
        The problem, with a model's life in days that are all different.
    """
    columns = list_profiled_columns(features, time)
    labels = pl.Series(LABEL_COLUMN, extract_labels(rows[LABEL_COLUMN], task))
    plain = rows.with_columns(_cast_plainly(rows, name) for name in columns).with_columns(labels)
    days = (int(units[-1]) + 1) // per_day
    source = ShuffledUnits(plain, units, per_day)
    return StationaryProblem(
        round(rows.height / days), model, task, tuple(features), source, columns, plan_phases(days)
    )


def plan_phases(days: int) -> Phases:
    """Plan a model's life within some days.

    Args:
        days: How many days there are.

    Returns:
        A fourth of the days, but at most 60, are the reference; a fifth, but at most 30, are before.
    """
    train, reference = min(30, days // 5), min(60, days // 4)
    left = days - train - reference - DAYS_PER_WEEK
    return Phases(train, reference, weeks=min(MAX_WEEKS, max(1, left // DAYS_PER_WEEK)))


def _cast_plainly(rows: pl.DataFrame, name: str) -> pl.Expr:
    return pl.col(name).cast(pl.Float64 if rows.schema[name].is_numeric() else pl.String)
