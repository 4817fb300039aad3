"""Weeks of flights from April on, and what a model that learnt from the months before said: classes and minutes."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

import problem.features
from benchmarks.helpers import flight_stream
from benchmarks.statistics.alarms.shuffled_year import DAYS_PER_WEEK, WATCHED_COLUMNS
from benchmarks.statistics.estimate.shifted_inputs import MadeRows
from monitoring.estimation.loss_estimator import ScoredRows
from penumbra.core.columns import BATCH_COLUMN, LABEL_COLUMN
from penumbra.core.task import Task
from penumbra.training.fit import build_matrix, extract_labels
from problem.candidates import gradient_boosting
from problem.schema import TIME

MINUTES = Task("regression")
REFERENCE_MONTHS = ("2013-02", "2013-03")  # each scored by a model that learnt from the months before
SERVED_FROM = "2013-04"
MOST_MINUTES = 300.0
DAYS_OF_WEEKS = 274 // DAYS_PER_WEEK * DAYS_PER_WEEK  # whole weeks from 1 April on


def read_weeks() -> Iterator[tuple[Task, MadeRows, list[tuple[str, MadeRows]]]]:
    """Yield for each task it, the reference and the weeks with the month that each begins in."""
    rows = flight_stream.read_checked_rows(flight_stream.LAST_MONTH).sort(TIME)
    matrix, columns = build_matrix(rows, problem.features.FEATURES)
    minutes = rows["arr_delay"].cast(pl.Float64).clip(-MOST_MINUTES, MOST_MINUTES).to_numpy()
    outcomes = {
        flight_stream.BINARY_TASK: extract_labels(rows[LABEL_COLUMN], flight_stream.BINARY_TASK),
        MINUTES: minutes,
    }
    months, days = rows[BATCH_COLUMN].to_numpy(), rows[TIME].dt.date().to_numpy()
    for task, labels in outcomes.items():
        predictions = _score_months(task, columns, matrix, labels, months)
        scored = ScoredRows(rows.select(WATCHED_COLUMNS), predictions, days)
        yield task, _take(scored, labels, np.isin(months, REFERENCE_MONTHS)), _split_weeks(scored, labels, days)


def _score_months(task: Task, columns: Any, matrix: np.ndarray, labels: np.ndarray, months: np.ndarray) -> np.ndarray:
    predictions = np.full(len(labels), np.nan)
    for month in (*REFERENCE_MONTHS, SERVED_FROM):
        learn, score = months < month, months >= month
        model = _make_model(task, columns).fit(matrix[learn], labels[learn])
        said = model.predict(matrix[score]) if task is MINUTES else model.predict_proba(matrix[score])[:, 1]
        predictions[score] = said
    return predictions


def _make_model(task: Task, columns: Any) -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor

    recipe = gradient_boosting(columns)
    alike = {name: value for name, value in recipe.get_params().items() if name not in ("class_weight", "loss")}
    return HistGradientBoostingRegressor(**alike) if task is MINUTES else recipe


def _split_weeks(scored: ScoredRows, labels: np.ndarray, days: np.ndarray) -> list[tuple[str, MadeRows]]:
    first = np.datetime64(f"{SERVED_FROM}-01")
    number = (days - first).astype(int)
    weeks = []
    for begin in range(0, DAYS_OF_WEEKS, DAYS_PER_WEEK):
        within = (number >= begin) & (number < begin + DAYS_PER_WEEK)
        weeks.append((str(first + begin)[:7], _take(scored, labels, within)))
    return weeks


def _take(scored: ScoredRows, labels: np.ndarray, mask: np.ndarray) -> MadeRows:
    positions = np.flatnonzero(mask)
    return MadeRows(scored.take_rows(positions), labels[positions])
