"""`penumbra bench uncertainty`: how often prediction sets and intervals hold the truth on later months, and their size.

A recipe learns from the months before, and its limits are measured as training measures them. Each later month is then
answered by the version of the first three months, and by one that is trained anew for it. Beside the two methods of
`uncertainty.method` stands what was not taken: one limit for all rows in place of one for each stratum, and limits that
follow the labels, which are known two days after a row's.

Source:
    Gibbs and Candès, "Adaptive conformal inference under distribution shift", NeurIPS 2021 (the method "adaptive").
"""

import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl

from flows.steps.train.matrices import Matrices
from flows.steps.train.matrix_writing import write_matrices
from flows.steps.train.plan import read_training_rows
from flows.steps.train.release.conformal_calibration import DAY_FOLDS
from penumbra.core.columns import BATCH_COLUMN
from penumbra.core.day_folds import assign_day_folds
from penumbra.core.loading.problem_loading import load_problem
from penumbra.core.metrics.conformal import ConformalLimits
from penumbra.core.problem import build_utc_date
from penumbra.core.settings import load_settings
from penumbra.core.task import Task
from penumbra.core.text.tables import format_table
from penumbra.patterns.class_padding import pad_missing_classes
from penumbra.simulation.future import fill_data_store
from penumbra.training.evaluation.evaluate import TrialJob, predict_for_task

FIRST_MONTHS, COVERAGE = 3, 0.9  # that the first version learns from; what is promised
KNOWN_AFTER_DAYS, FOLLOWED_DAYS, STEP = 2, 14, 0.05  # of labels; of limits by the latest labels; of adaptive ones
SERIES = {
    "late flights": ("problem", "gradient_boosting", "", 3),
    "minutes late": ("problem", "reframed_boosting", "learns-reframed_boosting", 3),
    "sky": ("examples.sky", "boosting", "", 1),
    "temperature": ("examples.temperature", "boosting", "", 1),
    "temperature, linear": ("examples.temperature", "ridge", "", 1),
}  # the package of the problem, the candidate, what is predicted where that isn't the target, of how many rows one
METHODS = ("split", "cross", "one limit", "latest days", "adaptive")
Calibration = tuple[np.ndarray, np.ndarray]
"""Labels and predictions of the rows that limits are measured on."""


@dataclass(frozen=True)
class MonthlyRows:
    """Rows of a year in the order of time.

    Attributes:
        task: What is predicted.
        make: Makes the unfitted estimator.
        inputs: float64 [n, k].
        labels: [n], see penumbra/core/task.py.
        months: The number of each row's month, int [n] from 0.
        days: The number of each row's day, int [n].
    """

    task: Task
    make: Callable[[], Any]
    inputs: np.ndarray
    labels: np.ndarray
    months: np.ndarray
    days: np.ndarray
    _predicted: dict[int, np.ndarray] = field(default_factory=dict)
    _crossed: dict[int, np.ndarray] = field(default_factory=dict)

    def thin(self, one_in: int) -> "MonthlyRows":
        """Return the first of every `one_in` rows."""
        arrays = (each[::one_in] for each in (self.inputs, self.labels, self.months, self.days))
        return MonthlyRows(self.task, self.make, *arrays)

    def predict_later(self, count: int) -> np.ndarray:
        """Return the predictions of all rows, by a fit on the first `count` months; those of later ones are used."""
        if count not in self._predicted:
            self._predicted[count] = self._predict(self.months < count, np.arange(len(self.labels)))
        return self._predicted[count]

    def predict_held_out(self, count: int) -> Calibration:
        """Return the last two of the first `count` months, each predicted by a fit on the months before it."""
        parts = [self.months == month for month in (count - 2, count - 1)]
        predictions = [self.predict_later(count - 2 + place)[rows] for place, rows in enumerate(parts)]
        return np.concatenate([self.labels[rows] for rows in parts]), np.concatenate(predictions)

    def predict_across_days(self, count: int) -> Calibration:
        """Return the first `count` months, each span of days predicted by a fit on the others."""
        if count not in self._crossed:
            self._crossed[count] = self._predict_spans(np.flatnonzero(self.months < count), count)
        return self.labels[self.months < count], self._crossed[count]

    def _predict_spans(self, learnt: np.ndarray, count: int) -> np.ndarray:
        folds = assign_day_folds(self.days[learnt], DAY_FOLDS)
        predictions = np.full((len(learnt), *self.predict_later(count).shape[1:]), np.nan)
        for fold in range(DAY_FOLDS):
            rest = np.isin(np.arange(len(self.labels)), learnt[folds != fold])
            predictions[folds == fold] = self._predict(rest, learnt[folds == fold])
        return predictions

    def _predict(self, learnt: np.ndarray, rows: np.ndarray) -> np.ndarray:
        estimator = self.make().fit(self.inputs[learnt], self.labels[learnt])
        return predict_for_task(self.task, pad_missing_classes(estimator, len(self.task.classes)), self.inputs[rows])


@dataclass(frozen=True)
class AnsweredRows:
    """Rows that a version has answered: whether each one's set held the truth, bool [n], and its size, float64 [n]."""

    labels: np.ndarray
    months: np.ndarray
    covered: np.ndarray
    sizes: np.ndarray

    def summarise(self, task: Task) -> dict[str, float]:
        """Return the share that was "covered", its least and its mean distance from the promise over months ("worst",
        "off"), the mean "size" and, of classes, the share of the "rarest"."""
        by_month = [float(self.covered[self.months == month].mean()) for month in np.unique(self.months)]
        found = {
            "covered": float(self.covered.mean()),
            "worst": min(by_month),
            "off": float(np.abs(np.array(by_month) - COVERAGE).mean()),
            "size": float(np.mean(self.sizes[np.isfinite(self.sizes)])),
        }
        if task.kind == "regression":
            return found
        rarest = np.bincount(self.labels.astype(int)).argmin()
        return {**found, "rarest": float(self.covered[self.labels.astype(int) == rarest].mean())}


def main() -> None:
    """Print a table for each series, and a JSON document in the last line."""
    result = {}
    for name, (package, candidate, learnt, one_in) in SERIES.items():
        with tempfile.TemporaryDirectory() as folder:
            rows = read_monthly_rows(package, candidate, learnt, Path(folder)).thin(one_in)
            regimes = {"one version": [FIRST_MONTHS], "trained monthly": range(FIRST_MONTHS, rows.months.max() + 1)}
            print(f"\n{name}, {rows.task.kind}: {COVERAGE:.0%} are promised")
            found = {
                regime: {method: list(answer_later_months(rows, method, counts)) for method in METHODS}
                for regime, counts in regimes.items()
            }
        result[name] = {
            regime: {method: summarise_versions(rows.task, answered) for method, answered in by_method.items()}
            for regime, by_method in found.items()
        }
        lines = [
            {"": regime, " ": method, **{key: f"{value:.3g}" for key, value in figures.items()}}
            for regime, by_method in result[name].items()
            for method, figures in by_method.items()
        ]
        print(format_table(pl.DataFrame(lines)), flush=True)
    print(json.dumps(result))


def read_monthly_rows(package: str, candidate: str, learnt: str, folder: Path) -> MonthlyRows:
    """Read all rows of a problem's source that have an outcome.

    Args:
        package: The import name of the problem.
        candidate: The candidate.
        learnt: The array that is predicted in place of the target, by the regressor within the candidate; "" for none.
        folder: Where the data store is made.

    Returns:
        The rows.
    """
    settings, problem = load_settings(), load_problem(package=package)
    changes = {
        "data": settings.data.model_copy(update={"folder": folder / "data", "derived": folder / "derived"}),
        "training": settings.training.model_copy(update={"candidates": [candidate], "failures": folder / "failures"}),
        "monitor": settings.monitor.model_copy(update={"on_faults": False}),
    }
    apart = settings.model_copy(update=changes)
    batches = fill_data_store(apart.data, problem).batches()
    matrices = write_matrices(apart, problem, batches, folder / "arrays")
    rows = read_training_rows(apart, problem, batches)
    days = rows.select(build_utc_date(problem.schema)).to_series().to_physical().to_numpy()
    months = np.searchsorted(batches, rows[BATCH_COLUMN].to_list())
    labels = np.array(matrices.arrays.read(learnt or "labels"))
    task = Task("regression") if learnt else matrices.task
    return MonthlyRows(
        task, _make_factory(matrices, candidate, learnt), np.array(matrices.arrays.read("inputs")), labels, months, days
    )


def _make_factory(matrices: Matrices, candidate: str, learnt: str) -> Callable[[], Any]:
    def make() -> Any:
        estimator = matrices.make_estimator(TrialJob(candidate))
        return estimator.regressor if learnt else estimator

    return make


def answer_later_months(rows: MonthlyRows, method: str, counts: range | list[int]) -> Iterator[AnsweredRows]:
    """Answer the months after those that versions have learnt from.

    Args:
        rows: The rows.
        method: One of `METHODS`.
        counts: How many months each version learns from; it answers until the next one is there.

    Yields:
        What each version answers, day by day in the order of time.
    """
    for place, count in enumerate(counts):
        end = [*counts[place + 1 :], rows.months.max() + 1][0]
        answered = np.flatnonzero((rows.months >= count) & (rows.months < end))
        answered = answered[np.argsort(rows.days[answered], kind="stable")]
        labels, predictions = rows.labels[answered], rows.predict_later(count)[answered]
        known = rows.predict_across_days(count) if method == "cross" else rows.predict_held_out(count)
        follow = FollowedLimits(rows.task, method, known, (labels, predictions), rows.days[answered])
        parts = [follow.answer_day(day) for day in np.unique(rows.days[answered])]
        covered, sizes = (np.concatenate(each) for each in zip(*parts, strict=True))
        yield AnsweredRows(labels, rows.months[answered], covered, sizes)


class FollowedLimits:
    """The limits of a version from day to day; those of "split", "cross" and "one limit" stay as they were measured."""

    def __init__(self, task: Task, method: str, known: Calibration, answered: Calibration, days: np.ndarray) -> None:
        """Take the rows that limits are measured on, and those that are answered, with their `days` (int [n])."""
        self._task, self._method, self._known, self._answered, self._days = task, method, known, answered, days
        self._limits = ConformalLimits.calibrate(task, *known, COVERAGE, has_strata=method != "one limit")
        self._alpha, self._errors = 1 - COVERAGE, dict[int, float]()

    def answer_day(self, day: int) -> tuple[np.ndarray, np.ndarray]:
        """Return of the rows of a `day` whether their sets hold the truth, bool [m], and their sizes, float64 [m]."""
        if self._method == "latest days":
            self._follow_labels(day)
        elif self._method == "adaptive":
            self._adapt(day)
        labels, predictions = (each[self._days == day] for each in self._answered)
        covered = self._limits.find_covered(labels, predictions)
        self._errors[day] = float(1 - covered.mean())
        return covered, measure_sizes(self._limits, predictions)

    def _follow_labels(self, day: int) -> None:
        """Measure the limits on the latest days with labels; until these are there, on the first ones beside them."""
        end = day - KNOWN_AFTER_DAYS + 1
        latest = (self._days < end) & (self._days >= end - FOLLOWED_DAYS)
        rows = tuple(each[latest] for each in self._answered)
        if len(np.unique(self._days[latest])) < FOLLOWED_DAYS:
            rows = tuple(np.concatenate(each) for each in zip(self._known, rows, strict=True))
        self._limits = ConformalLimits.calibrate(self._task, *rows, COVERAGE)

    def _adapt(self, day: int) -> None:
        """Move the share that may be missed by how often the latest day with labels was."""
        missed = self._errors.get(day - KNOWN_AFTER_DAYS)
        if missed is None:
            return
        self._alpha += STEP * (1 - COVERAGE - missed)
        limits = ConformalLimits.calibrate(self._task, *self._known, min(max(1 - self._alpha, 0.001), 0.999))
        nothing = [None] * len(limits.limits)
        self._limits = limits if self._alpha > 0 else msgspec.structs.replace(limits, limits=nothing)


def measure_sizes(limits: ConformalLimits, predictions: np.ndarray) -> np.ndarray:
    """Measure how many classes each set has, or how wide each interval is: float64 [n]."""
    if not limits.classes:
        low, high = limits.compute_intervals(predictions).T
        return np.asarray(high - low)
    return limits.find_sets(predictions).sum(axis=1).astype(float)


def summarise_versions(task: Task, answered: list[AnsweredRows]) -> dict[str, float]:
    """Summarise what versions answered, one after the other: see `AnsweredRows.summarise`."""
    names = ("labels", "months", "covered", "sizes")
    whole = AnsweredRows(*(np.concatenate([getattr(each, name) for each in answered]) for name in names))
    return {name: round(value, 4) for name, value in whole.summarise(task).items()}


if __name__ == "__main__":
    main()
