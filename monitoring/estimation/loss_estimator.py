"""The loss of a window without its labels, honest where its inputs shift.

Each row has an expected loss. Of numbers, a model of the reference's losses predicts it; of probabilities it is that,
or what calibrated scores expect, whichever followed the losses of the reference's days more closely. What the
reference's rows lost beyond it, weighted so that the reference looks like the window, is added in ten groups of
expected loss. If the weights would rest on less than half of the reference's days, nothing is weighted, which the
method says. How much of a difference in expected loss comes true is learnt from whole days (day_calibration.py).

Sources:
    Białek, Kivimäki, Kuberski, Perrakis, "Estimating model performance under covariate shift without labels", 2024:
    calibration weighted by the density ratio.
    NannyML, "confidence-based performance estimation" and "direct loss estimation".
"""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import polars as pl

from monitoring.estimation.day_calibration import DayCalibration
from monitoring.estimation.expected_losses import LossModel, compute_expected_losses
from monitoring.estimation.input_matrix import InputColumns
from monitoring.estimation.shift_weights import ShiftWeights, compute_effective_size, compute_shift_weights
from penumbra.core.metrics.losses import compute_clipped_losses
from penumbra.core.predictions import find_finite_rows
from penumbra.core.task import Task
from penumbra.core.text.counts import format_count, format_share

MIN_REFERENCE_ROWS, MIN_REFERENCE_DAYS = 100, 5
MAX_REFERENCE_ROWS, MAX_SAMPLED_ROWS = 15_000, 10_000
MIN_EFFECTIVE_SHARE = 0.5  # of the reference's days
MIN_COVERED, MOSTLY_COVERED = 0.25, 0.75  # of the window, to weight the reference, and to say nothing of it
LOSS_GROUPS = 10
SCORES_METHOD, LOSSES_METHOD = "by calibrated scores", "by a model of the losses"
ESTIMATE_ASSUMPTION = (
    "that equal inputs have the outcomes that they had on the model's reference: this sees inputs shift, and is blind "
    "to a change of what follows from them"
)


@dataclass(frozen=True)
class ScoredRows:
    """Rows that a model predicted.

    Attributes:
        inputs: The columns that the model reads, as they are logged; n rows.
        predictions: Float64 [n], or [n, classes].
        days: Each row's day, [n] of anything that sorts.
    """

    inputs: pl.DataFrame = field(repr=False)
    predictions: np.ndarray
    days: np.ndarray

    def select_sample(self, most: int) -> np.ndarray:
        """Select the positions of a sample of the rows whose predictions are finite.

        Args:
            most: How many rows it has at most.

        Returns:
            The positions, int64 [at most `most`], ascending; the same ones each time.
        """
        return np.sort(np.random.default_rng(0).permutation(np.flatnonzero(find_finite_rows(self.predictions)))[:most])

    def take_rows(self, positions: np.ndarray) -> "ScoredRows":
        """Take some of the rows.

        Args:
            positions: Their positions, int64 [m].

        Returns:
            Those rows.
        """
        return ScoredRows(self.inputs[positions], self.predictions[positions], self.days[positions])


@dataclass(frozen=True)
class LossEstimate:
    """The estimated mean loss of a window.

    Attributes:
        mean: The mean loss.
        low: The lower end of its band, 0 at least.
        high: The upper end.
        method: How it was estimated, in words.
        weights: The weights of the reference; None where it wasn't weighted.
    """

    mean: float
    low: float
    high: float
    method: str
    weights: ShiftWeights | None = field(repr=False)


@dataclass(frozen=True)
class LossEstimator:
    """Estimates the loss of windows of one model; what it learns from the reference is learnt once.

    Attributes:
        task: The kind of prediction.
        loss: The loss, as `promotion.loss` names it.
        ceiling: The largest loss of a row.
        reference: Rows that the model hasn't learnt from.
        labels: Their labels [n].
    """

    task: Task
    loss: str
    ceiling: float
    reference: ScoredRows = field(repr=False)
    labels: np.ndarray = field(repr=False)

    @classmethod
    def from_reference(
        cls, task: Task, loss: str, ceiling: float, reference: ScoredRows, labels: np.ndarray
    ) -> "LossEstimator":
        """Make an estimator from a reference, of which it takes a sample of 15,000 rows at most.

        Args:
            task: The kind of prediction.
            loss: The loss, as `promotion.loss` names it.
            ceiling: The largest loss of a row.
            reference: Rows that the model hasn't learnt from.
            labels: Their labels [n].

        Returns:
            The estimator.
        """
        chosen = reference.select_sample(MAX_REFERENCE_ROWS)
        return cls(task, loss, ceiling, reference.take_rows(chosen), labels[chosen])

    def learn(self) -> None:
        """Learn from the reference what each estimate takes, unless it has too few rows or days."""
        if not self.describe_shortage():
            _ = self._expected

    def estimate_window(self, window: ScoredRows) -> LossEstimate | None:
        """Estimate the mean loss of a window, from a sample of 10,000 of its rows at most.

        Args:
            window: The rows.

        Returns:
            The estimate; None without rows that have a finite prediction, or where the reference has fewer than 100
            rows or five days.
        """
        days = len(np.unique(self.reference.days))
        window = window.take_rows(window.select_sample(MAX_SAMPLED_ROWS))
        if self.describe_shortage() or not len(window.days):
            return None
        method, before = self._expected
        matrix = self._columns.build_matrix(window.inputs)
        now = self._expect_losses(method, window.predictions, matrix)
        found = compute_shift_weights(self._matrix, self.reference.days, matrix, window.days, self._columns.categorical)
        if found.covered < MOSTLY_COVERED:
            method += (
                f", extrapolated: the reference has rows like only {format_share(found.covered, 0)} of the window's"
            )
        if found.effective_days < MIN_EFFECTIVE_SHARE * days:
            method += (
                f", unweighted: the reference has only {format_count(found.effective_days, 'day')} like the window's"
            )
        if found.covered < MIN_COVERED or found.effective_days < MIN_EFFECTIVE_SHARE * days:
            return self._calibrate(before, now, window, None, method)
        added = _sum_weighted_residuals(before, self._losses - before, found.weights, now)
        return self._calibrate(before + added[0], now + added[1], window, found, method)

    def describe_shortage(self) -> str:
        """Describe that the reference has too few rows or days to estimate by.

        Returns:
            Words; "" where it has enough.
        """
        days = len(np.unique(self.reference.days))
        if len(self.labels) >= MIN_REFERENCE_ROWS and days >= MIN_REFERENCE_DAYS:
            return ""
        has = f"the model's reference has {format_count(len(self.labels), 'row')} on {format_count(days, 'day')}"
        return f"{has}, and it takes {MIN_REFERENCE_ROWS} on {MIN_REFERENCE_DAYS}"

    def _calibrate(
        self, before: np.ndarray, now: np.ndarray, window: ScoredRows, found: ShiftWeights | None, method: str
    ) -> LossEstimate:
        weights = found.weights if found else np.ones(len(before))
        line = DayCalibration.fit(before, self._losses, weights, self.reference.days)
        days = compute_effective_size(np.unique(window.days, return_counts=True)[1])
        mean, reach = line.predict_mean(float(now.mean()), days)
        return LossEstimate(max(0.0, mean), max(0.0, mean - reach), max(0.0, mean) + reach, method, found)

    @cached_property
    def _columns(self) -> InputColumns:
        return InputColumns.learn(self.reference.inputs)

    @cached_property
    def _matrix(self) -> np.ndarray:
        return self._columns.build_matrix(self.reference.inputs)

    @cached_property
    def _losses(self) -> np.ndarray:
        return compute_clipped_losses(self.task, self.labels, self.reference.predictions, self.loss, self.ceiling)

    @cached_property
    def _loss_model(self) -> LossModel:
        inputs = np.column_stack([self._matrix, self.reference.predictions])
        return LossModel.fit(inputs, self._losses, self.reference.days, self._columns.categorical)

    @cached_property
    def _expected(self) -> tuple[str, np.ndarray]:
        """The method, and the reference's expected losses by it, float64 [n]."""
        ways = {LOSSES_METHOD: self._loss_model.judged}
        if self.task.kind != "regression":
            ways = {SCORES_METHOD: self._expect_losses(SCORES_METHOD, self.reference.predictions, self._matrix), **ways}
        return min(ways.items(), key=lambda way: self._measure_spread(way[1]))

    def _measure_spread(self, expected: np.ndarray) -> float:
        return DayCalibration.fit(expected, self._losses, np.ones(len(expected)), self.reference.days).spread

    def _expect_losses(self, method: str, predictions: np.ndarray, matrix: np.ndarray) -> np.ndarray:
        if method == SCORES_METHOD:
            known = self.reference.predictions, self.labels
            return compute_expected_losses(self.task, predictions, *known, self.loss, self.ceiling)
        return self._loss_model.predict_losses(np.column_stack([matrix, predictions]))


def _sum_weighted_residuals(
    before: np.ndarray, residuals: np.ndarray, weights: np.ndarray, now: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The mean residual of each row's group of expected losses, for the reference and for the window."""
    order = np.argsort(before)
    shares = np.cumsum(weights[order]) / weights.sum()
    ends = np.searchsorted(shares, np.linspace(0, 1, LOSS_GROUPS + 1)[1:-1])
    edges = np.unique(before[order][np.minimum(ends, len(order) - 1)])
    groups = np.searchsorted(edges, before)
    total, pulls = (np.bincount(groups, each, len(edges) + 1) for each in (weights, weights * residuals))
    means = np.divide(pulls, total, out=np.zeros_like(pulls), where=total > 0)
    return means[groups], means[np.searchsorted(edges, now)]
