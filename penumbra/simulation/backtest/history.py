"""The history of a backtest: what each model says of each day, and what the monitor's detectors say of it."""

import datetime as dt
from collections.abc import Callable, Iterable
from functools import cached_property, partial
from typing import Any

import numpy as np
import polars as pl

from monitoring.drift.window_drift import compute_alarm_budget, compute_window_drift
from monitoring.losses.loss_threshold import DailyLosses, judge_losses, measure_refit_excess
from monitoring.permutation import count_memory_days
from penumbra.core.columns import DAY_COLUMN, PREDICTION_COLUMN
from penumbra.core.metrics.losses import LossScale, compute_clipped_losses, compute_loss_ceiling, describe_loss
from penumbra.core.settings import Settings
from penumbra.simulation.backtest.fit_profiles import FitProfiles
from penumbra.simulation.backtest.fitted_models import BLOCK_DAYS, FittedModels, list_blocks
from penumbra.simulation.backtest.policies import ModelFit
from penumbra.simulation.backtest.prepared_data import UNIX_EPOCH_DAY, BacktestData, BacktestRefused
from penumbra.training.fit import compute_baseline


class BacktestHistory:
    """The history that `policies.simulate_policy` asks.

    What is computed of a model for one policy is there for all that are simulated on this history.
    """

    def __init__(self, history: BacktestData, settings: Settings) -> None:
        """Take the matrices, and the settings (sections [monitor] and [promotion])."""
        self.history, self.settings = history, settings
        self.window, self.begin, self.delay = settings.monitor.window_days, history.begin, history.delay
        self.day, self.labels = (history.matrices.arrays.read(name) for name in ("day", "labels"))
        self.models = FittedModels(history, self.day)
        self.end = int(self.day.max())  # the last day, in UTC, is not whole
        self.rows = np.bincount(self.day)[: self.end]
        self._row_ends = np.maximum.accumulate(np.append(0, (self.rows > 0) * np.arange(1, self.end + 1)))
        self._daily, self._references = dict[tuple[ModelFit, int], DailyLosses](), dict[ModelFit, DailyLosses]()
        self._profiles, self._judged = dict[ModelFit, FitProfiles](), dict[tuple[Any, ...], float]()

    def fit(self, end: int, days: int) -> ModelFit:
        """Fit a model as training does: once on all but the last weeks, which become the reference, and once on all.

        Args:
            end: The day after the last one that it learns from.
            days: How many days it learns from; 0 for all.

        Returns:
            The name of the model.

        Raises:
            BacktestRefused: It can't be fitted, or has no reference.
        """
        fit = self.name_fit(end, days)
        for each in (fit, self._reference_fit(fit)):
            self.models.require_fitted(each)
        if not self.rows[max(0, fit.end - self.history.holdout_days) : fit.end].any():
            raise BacktestRefused(
                f"{self.models.describe_fit(fit)} can't be watched: the last {self.history.holdout_days} days before, "
                "which would be its reference, have no rows"
            )
        return fit

    def sum_cpu_seconds(self, fits: Iterable[ModelFit]) -> float:
        """Sum the CPU seconds that it took to make some models, whoever made them.

        Args:
            fits: The models.

        Returns:
            The seconds of fitting them, and what was tried on the days that became their references.
        """
        wanted = {each for fit in fits for each in (fit, self._reference_fit(fit))}
        return sum(map(self.models.require_fitted, sorted(wanted)))

    def name_fit(self, end: int, days: int) -> ModelFit:
        """Name a model by what it learns from, so that two that learn from the same rows are one.

        Args:
            end: The day after the last one that it learns from.
            days: How many days it learns from; 0 for all.

        Returns:
            The name: without days where they reach back to the beginning, and then without the last ones that have no
            rows.
        """
        return ModelFit(end, days) if 0 < days < end else ModelFit(int(self._row_ends[max(0, min(end, self.end))]))

    def row_losses(self, fit: ModelFit, first: int, end: int, ceiling: float = np.inf) -> tuple[np.ndarray, np.ndarray]:
        """Compute the losses of the rows of some days.

        Args:
            fit: The model.
            first: The number of the first day.
            end: The number of the day after the last.
            ceiling: The most that a row's loss counts.

        Returns:
            The positions of the rows in the matrices, int64 [n], and their losses, float64 [n].
        """
        rows, predictions = self.models.predict_days(fit, first, end)
        return rows, self._compute_losses(rows, predictions, ceiling)

    def losses(self, fit: ModelFit, first: int, end: int) -> np.ndarray:
        """Return the sum of the losses of `fit` on each day from `first` to before `end`, float64 [days]."""
        return self._read_daily_losses(fit, first, end).sums

    def drift(self, fit: ModelFit, since: int, first: int) -> float:
        """Return the drift of `fit`, which answers since day `since`, in the window from day `first` or more of the
        latest days; 1 is the alarm."""
        return self._judge_once(self._measure_drift, fit, self._memory_begin(since, first), first)

    def loss_ratio(self, fit: ModelFit, since: int, first: int) -> float:
        """Return the loss of `fit`, which answers since day `since`, in the window from day `first` or more of the
        latest days, by its threshold; 0 where there is none."""
        return self._judge_once(self._measure_loss_ratio, fit, min(self._memory_begin(since, first), first), first)

    def _judge_once(self, measure: Callable[[ModelFit, int, int], float], *window: Any) -> float:
        """Judge a window for the first policy that asks for it."""
        if (measure, *window) not in self._judged:
            self._judged[measure, *window] = measure(*window)
        return self._judged[measure, *window]

    def _measure_drift(self, fit: ModelFit, since: int, first: int) -> float:
        if fit not in self._profiles:
            held_out = self._rows(self._reference_fit(fit), fit.end - self.history.holdout_days, fit.end)
            self._profiles[fit] = FitProfiles(held_out, fit.end, partial(self._rows, fit))
        begin, one_in = UNIX_EPOCH_DAY + dt.timedelta(days=first), compute_alarm_budget(self.settings.monitor)
        known = self._profiles[fit].read(since, first + self.window)
        return compute_window_drift(known, begin, self.window, one_in).result.ratio

    def _measure_loss_ratio(self, fit: ModelFit, since: int, first: int) -> float:
        recent = self._read_daily_losses(fit, since, first + self.window)
        one_in = compute_alarm_budget(self.settings.monitor)
        judged = judge_losses(recent, self._read_reference_losses(fit), one_in, self.window)
        return max((each.ratio for each in judged), default=0.0)

    def _memory_begin(self, since: int, first: int) -> int:
        """The first day that the model has answered of those that a verdict looks at."""
        return max(since, first + self.window - count_memory_days(self.window))

    def _reference_fit(self, fit: ModelFit) -> ModelFit:
        """Return the model that learnt like `fit`, but not the last days before its end."""
        return self.name_fit(fit.end - self.history.holdout_days, fit.days)

    def _measure_excess(self, fit: ModelFit) -> float:
        """What `fit` loses more a row than the fit of its reference, on the reference's rows."""
        held_out = fit.end - self.history.holdout_days, fit.end, self.ceiling
        (_, earlier), (_, live) = (self.row_losses(each, *held_out) for each in (self._reference_fit(fit), fit))
        return measure_refit_excess(earlier, live)

    def _compute_losses(self, rows: np.ndarray, predictions: np.ndarray, ceiling: float) -> np.ndarray:
        task, loss = self.history.matrices.task, self.settings.promotion.loss
        return compute_clipped_losses(task, self.labels[rows], predictions.astype(float), loss, ceiling)

    def _read_daily_losses(self, fit: ModelFit, first: int, end: int) -> DailyLosses:
        """The losses of `fit` on each day from `first` to before `end`, all of which it hasn't learnt from."""
        blocks = list_blocks(first, end)
        for number in blocks:
            if (fit, number) not in self._daily:
                self._daily[fit, number] = self._sum_losses(fit, number * BLOCK_DAYS, (number + 1) * BLOCK_DAYS)
        found = [self._daily[fit, number] for number in blocks]
        parts = ([getattr(each, name) for each in found] for name in ("sums", "squares", "labels"))
        begin = blocks[0] * BLOCK_DAYS
        return DailyLosses(*map(np.concatenate, parts))[first - begin : end - begin]

    def _read_reference_losses(self, fit: ModelFit) -> DailyLosses:
        """The losses by day of the reference of `fit`, raised by what `fit` loses more."""
        if fit not in self._references:
            held_out = fit.end - self.history.holdout_days, fit.end
            self._references[fit] = self._sum_losses(self._reference_fit(fit), *held_out, self._measure_excess(fit))
        return self._references[fit]

    def _sum_losses(self, fit: ModelFit, first: int, end: int, excess: float = 0.0) -> DailyLosses:
        rows, losses = self.row_losses(fit, first, end, self.ceiling)
        days, losses = self.day[rows] - first, losses + excess
        return DailyLosses(*(np.bincount(days, each, end - first) for each in (losses, losses**2, None)))

    def _rows(self, fit: ModelFit, first: int, end: int) -> pl.DataFrame:
        """Return the rows of the days from `first` to before `end`, with the predictions of `fit`."""
        rows, predictions = self.models.predict_days(fit, first, end)
        dates = pl.Series(DAY_COLUMN, self.day[rows], pl.Int32).cast(pl.Date)
        return self._columns[rows].with_columns(dates, pl.Series(PREDICTION_COLUMN, predictions.astype(float)))

    @cached_property
    def _columns(self) -> pl.DataFrame:
        return pl.read_parquet(self.history.matrices.arrays.path("rows").with_suffix(".parquet"))

    @cached_property
    def ceiling(self) -> float:
        """The most that a row's loss counts, by the first model on its reference."""
        learnt, most = self.name_fit(self.history.first_unlearnt_day, 0), self.settings.promotion.loss_ceiling
        first = self._reference_fit(learnt)
        rows, losses = self.row_losses(first, first.end, learnt.end)
        return compute_loss_ceiling(self.history.matrices.task, self.labels[rows], losses, most)

    @cached_property
    def scale(self) -> LossScale:
        """The loss, and what the baseline of the first model's days loses on the days that are answered."""
        task, loss = self.history.matrices.task, self.settings.promotion.loss
        learnt, served = self.day < self.history.first_unlearnt_day, self.day >= self.begin
        baseline = np.array(compute_baseline(task, self.labels[learnt]))
        predictions = np.broadcast_to(baseline, (int(served.sum()), *baseline.shape))
        mean = self._compute_losses(served, predictions, self.ceiling).mean()
        return LossScale(describe_loss(task, loss), float(mean))
