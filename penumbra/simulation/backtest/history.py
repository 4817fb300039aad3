"""The history of a backtest: matrices of all rows, and the predictions of models fitted on any day."""

import datetime as dt
import math
import time
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from flows.steps.train import matrices, plan
from flows.steps.train.matrices import Matrices
from monitoring.drift.window_drift import compute_alarm_budget, compute_window_drift
from monitoring.losses.loss_threshold import DailyLosses, judge_losses, measure_refit_excess
from monitoring.permutation import count_memory_days
from penumbra.core.columns import DAY_COLUMN, PREDICTION_COLUMN
from penumbra.core.histograms import list_profiled_columns
from penumbra.core.metrics.losses import LossScale, compute_clipped_losses, compute_loss_ceiling, describe_loss
from penumbra.core.problem import Problem, build_utc_date
from penumbra.core.settings import PROJECT_ROOT, Settings
from penumbra.simulation import future
from penumbra.simulation.backtest.fit_profiles import FitProfiles
from penumbra.simulation.backtest.policies import ModelFit
from penumbra.storage import fingerprints
from penumbra.storage.cache import ARRAYS, FileCache
from penumbra.training.evaluate import TrialJob, predict_for_task
from penumbra.training.fit import TrainingSet, compute_baseline, fit_estimator

MAX_HOLDOUT_DAYS = 28
MIN_DAYS = 4  # before the first answered day: two to learn from and two to hold out
UNIX_EPOCH_DAY = dt.date(1970, 1, 1)


class BacktestRefused(RuntimeError):
    """A backtest can't be made of this history; the message says why, and what would help."""


@dataclass(frozen=True)
class BacktestData:
    """The matrices of all rows, and the days of a backtest.

    The array "day" numbers days (UTC) from 0, which is `first`. Days from `begin` on are answered; a day's labels are
    known `delay` mornings later. Models are fitted with the recipe of `candidate`; their predictions are cached in the
    folder `fits`.
    """

    matrices: Matrices
    first: dt.date
    begin: int
    delay: int
    fits: Path
    candidate: str

    @property
    def holdout_days(self) -> int:
        """The days on which a recipe is tried before it learns them: the reference of the model that then learns them.

        Half of the days that the first model has, if they are few.
        """
        return min(MAX_HOLDOUT_DAYS, self.first_unlearnt_day // 2)

    @property
    def first_unlearnt_day(self) -> int:
        """The number of the first day that the first model hasn't learnt."""
        return self.begin + 1 - self.delay


def prepare_backtest_data(settings: Settings, problem: Problem, folder: Path) -> BacktestData:
    """Check all batches of the source, in a data store of their own, and write the matrices of all their rows.

    Days with data faults are among them, as they were answered too.

    Args:
        settings: Sections [data], [labels], [monitor], [replay] (`candidate`), and those that matrices are written by.
        problem: The problem, with every part.
        folder: Where data and arrays are written.

    Returns:
        The matrices and the days.

    Raises:
        SettingsError: There is no such candidate.
        BatchRefused: A batch of the source breaks the contract.
        BacktestRefused: Too few days with labels lie before `data.today`, or none after it.
    """
    candidate = settings.replay.candidate
    plan.require_known_candidates("replay.candidate", [candidate], problem.candidates.CANDIDATES)
    data = settings.data.model_copy(update={"folder": folder / "data", "derived": folder / "derived"})
    changes = {
        "data": data,
        "training": settings.training.model_copy(update={"candidates": [candidate]}),
        "monitor": settings.monitor.model_copy(update={"on_faults": False}),
    }
    all_days = settings.model_copy(update=changes)
    store = future.fill_data_store(data, problem)
    batches = store.batches()
    made = matrices.write_matrices(all_days, problem, batches, folder / "arrays")
    rows = plan.read_training_rows(all_days, problem, batches)
    if rows.is_empty():
        raise BacktestRefused("no row of the source has an outcome: a backtest compares losses")
    days = rows.select(build_utc_date(problem.schema)).to_series().to_physical().to_numpy()
    made.arrays.write("day", days - days.min())
    rows.select(list_profiled_columns(problem.features.FEATURES, problem.schema.TIME)).write_parquet(
        made.arrays.path("rows").with_suffix(".parquet")
    )
    first = UNIX_EPOCH_DAY + dt.timedelta(days=int(days.min()))
    facts = candidate, batches, {name: store.sums(name) for name in batches}
    fits = folder / "fits" / fingerprints.compute_fingerprint(PROJECT_ROOT, list_fit_files(), *facts)[:16]
    delay = 1 + math.ceil(settings.labels.delay_hours / 24)
    history = BacktestData(made, first, (settings.data.today - first).days, delay, fits, candidate)
    _require_enough_days(history, settings, first + dt.timedelta(days=int(days.max() - days.min())))
    return history


def _require_enough_days(history: BacktestData, settings: Settings, last: dt.date) -> None:
    """Raise BacktestRefused where nothing can be learnt or answered."""
    span = f"rows with an outcome are from {history.first} to {last}"
    if history.first_unlearnt_day < MIN_DAYS:
        raise BacktestRefused(
            f"{span}; on data.today = {settings.data.today} the labels of the first "
            f"{max(0, history.first_unlearnt_day)} of these days are known, and a backtest learns from at least "
            f"{MIN_DAYS}: set a later data.today"
        )
    if settings.data.today >= last:
        raise BacktestRefused(
            f"{span}, and data.today is {settings.data.today}: a backtest plays the days after it; set an earlier one"
        )


def list_fit_files(root: Path = PROJECT_ROOT) -> list[str]:
    """List the files that shape the models of a backtest: what this module imports of the rooms that shape any model.

    Args:
        root: The folder of the project.

    Returns:
        Paths relative to `root`: the lock of the libraries, and modules.
    """
    rooms = (*plan.MODEL_ROOMS, __name__)
    return fingerprints.list_result_files(root, ("problem", __name__), rooms)


class BacktestHistory:
    """The history that `policies.simulate_policy` asks.

    A model is fitted when any process first asks for it, and its predictions are cached; `cpu_seconds` counts all
    models that were asked for here, `spent_seconds` those that were fitted here.
    """

    def __init__(self, history: BacktestData, settings: Settings) -> None:
        """Take the matrices, and the settings (sections [monitor] and [promotion])."""
        self.history, self.settings = history, settings
        self.window, self.begin, self.delay = settings.monitor.window_days, history.begin, history.delay
        self.day, self.labels = (history.matrices.arrays.read(name) for name in ("day", "labels"))
        self.end = int(self.day.max())  # the last day, in UTC, is not whole
        self.rows = np.bincount(self.day)[: self.end]
        self._row_ends = np.maximum.accumulate(np.append(0, (self.rows > 0) * np.arange(1, self.end + 1)))
        self._cache, self._predicted, self._sums = (
            FileCache(history.fits, ARRAYS),
            dict[ModelFit, Any](),
            dict[ModelFit, np.ndarray](),
        )
        self._profiles = dict[ModelFit, FitProfiles]()
        self.spent_seconds = 0.0  # of what was fitted here and now

    @property
    def cpu_seconds(self) -> float:
        """CPU seconds that it took to fit all models that were asked for here, whoever fitted them."""
        return sum(float(made["cpu_seconds"]) for made in self._predicted.values())

    def fit(self, end: int, days: int) -> ModelFit:
        """Fit a model as training does: once on all but the last weeks, which become the reference, and once on all.

        Args:
            end: The day after the last one that it learns from.
            days: How many days it learns from; 0 for all.

        Returns:
            The name of the model.
        """
        fit = self.name_fit(end, days)
        self.predict_rows(fit)
        self.predict_rows(self._reference_fit(fit))
        return fit

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

    def predict_rows(self, fit: ModelFit) -> np.ndarray:
        """Predict the rows of the days from a model's end on.

        Args:
            fit: The model.

        Returns:
            Float32 [rows of these days].
        """
        if fit not in self._predicted:
            self._predicted[fit] = self._cache.get_or_make(f"{fit.end}-{fit.days}", lambda: self._fit(fit))
        return self._predicted[fit]["said"]

    def row_losses(self, fit: ModelFit, ceiling: float = np.inf) -> np.ndarray:
        """Compute the losses of the rows of the days from a model's end on.

        Args:
            fit: The model.
            ceiling: The most that a row's loss counts.

        Returns:
            Float64 [rows of these days].
        """
        return self._compute_losses(self.day >= fit.end, self.predict_rows(fit), ceiling)

    def losses(self, fit: ModelFit) -> np.ndarray:
        """Return the sum of the losses of `fit` on each day: float64 [end], 0 before its own end."""
        if fit not in self._sums:
            later = self.day[self.day >= fit.end]
            self._sums[fit] = np.bincount(later, self.row_losses(fit, self.ceiling), self.end + 1)[: self.end]
        return self._sums[fit]

    def drift(self, fit: ModelFit, since: int, first: int) -> float:
        """Return the drift of `fit`, which answers since day `since`, in the window from day `first` or more of the
        latest days; 1 is the alarm."""
        if fit not in self._profiles:
            held_out = self._rows(self._reference_fit(fit), fit.end - self.history.holdout_days, fit.end)
            self._profiles[fit] = FitProfiles(held_out, fit.end, partial(self._rows, fit))
        begin, one_in = UNIX_EPOCH_DAY + dt.timedelta(days=first), compute_alarm_budget(self.settings.monitor)
        known = self._profiles[fit].read(since, first + self.window)
        return compute_window_drift(known, begin, self.window, one_in).result.ratio

    def loss_ratio(self, fit: ModelFit, since: int, first: int) -> float:
        """Return the loss of `fit`, which answers since day `since`, in the window from day `first` or more of the
        latest days, by its threshold; 0 where there is none."""
        recent = self._daily_losses(fit, self._memory_begin(since, first), first + self.window)
        earlier, excess = self._reference_fit(fit), self._measure_excess(fit)
        reference = self._daily_losses(earlier, fit.end - self.history.holdout_days, fit.end, excess)
        judged = judge_losses(recent, reference, compute_alarm_budget(self.settings.monitor), self.window)
        return max((each.ratio for each in judged), default=0.0)

    def _memory_begin(self, since: int, first: int) -> int:
        """The first day to look at: the window's whole, and before it the days since which the model has answered."""
        return min(max(since, first + self.window - count_memory_days(self.window)), first)

    def _reference_fit(self, fit: ModelFit) -> ModelFit:
        """Return the model that learnt like `fit`, but not the last days before its end."""
        return self.name_fit(fit.end - self.history.holdout_days, fit.days)

    def _measure_excess(self, fit: ModelFit) -> float:
        """What `fit` loses more a row than the fit of its reference, on the reference's rows."""
        earlier, held_out = self._reference_fit(fit), self._mask_held_out(fit)
        live = self._compute_losses(held_out, self._predicted[fit]["held_out"], self.ceiling)
        return measure_refit_excess(self.row_losses(earlier, self.ceiling)[held_out[self.day >= earlier.end]], live)

    def _compute_losses(self, rows: np.ndarray, predictions: np.ndarray, ceiling: float) -> np.ndarray:
        task, loss = self.history.matrices.task, self.settings.promotion.loss
        return compute_clipped_losses(task, self.labels[rows], predictions.astype(float), loss, ceiling)

    def _mask_held_out(self, fit: ModelFit) -> np.ndarray:
        """Which rows are the reference of `fit`: bool [rows]."""
        return (self.day >= fit.end - self.history.holdout_days) & (self.day < fit.end)

    def _daily_losses(self, fit: ModelFit, first: int, end: int, excess: float = 0.0) -> DailyLosses:
        later = self.day[self.day >= fit.end]
        wanted = (later >= first) & (later < end)
        losses = self.row_losses(fit, self.ceiling)[wanted] + excess
        counted = (np.bincount(later[wanted] - first, each, end - first) for each in (losses, losses**2, None))
        return DailyLosses(*counted)

    def _rows(self, fit: ModelFit, first: int, end: int) -> pl.DataFrame:
        """Return the rows of the days from `first` to before `end`, with the predictions of `fit`."""
        wanted = (self.day >= first) & (self.day < end)
        predictions = self.predict_rows(fit)[wanted[self.day >= fit.end]].astype(float)
        dates = pl.Series(DAY_COLUMN, self.day[wanted], pl.Int32).cast(pl.Date)
        return self._columns.filter(wanted).with_columns(dates, pl.Series(PREDICTION_COLUMN, predictions))

    @cached_property
    def _columns(self) -> pl.DataFrame:
        return pl.read_parquet(self.history.matrices.arrays.path("rows").with_suffix(".parquet"))

    @cached_property
    def ceiling(self) -> float:
        """The most that a row's loss counts, by the first model on its reference."""
        learnt = self.name_fit(self.history.first_unlearnt_day, 0)
        first = self._reference_fit(learnt)
        reference = self.day[self.day >= first.end] < learnt.end
        labels, losses = self.labels[self.day >= first.end][reference], self.row_losses(first)[reference]
        return compute_loss_ceiling(self.history.matrices.task, labels, losses, self.settings.promotion.loss_ceiling)

    @cached_property
    def scale(self) -> LossScale:
        """The loss, and what the baseline of the first model's days loses on the days that are answered."""
        task, loss = self.history.matrices.task, self.settings.promotion.loss
        learnt, served = self.day < self.history.first_unlearnt_day, self.day >= self.begin
        baseline = np.array(compute_baseline(task, self.labels[learnt]))
        predictions = np.broadcast_to(baseline, (int(served.sum()), *baseline.shape))
        mean = self._compute_losses(served, predictions, self.ceiling).mean()
        return LossScale(describe_loss(task, loss), float(mean))

    def _fit(self, fit: ModelFit) -> dict[str, Any]:
        matrices, inputs = self.history.matrices, self.history.matrices.arrays.read("inputs")
        learn = (self.day < fit.end) & (self.day >= (fit.end - fit.days if fit.days else 0))
        estimator, began = matrices.make_estimator(TrialJob(self.history.candidate)), time.process_time()
        try:
            fit_estimator(estimator, TrainingSet(inputs[learn], self._learnt_values()[learn]))
            seconds = time.process_time() - began
            parts = self.day >= fit.end, self._mask_held_out(fit)
            later, held_out = (predict_for_task(matrices.task, estimator, inputs[rows]) for rows in parts)
        except (ValueError, IndexError) as error:  # no rows, or one class only
            raise BacktestRefused(f"{self._describe_fit(fit)} can't be fitted: {error}") from None
        self.spent_seconds += time.process_time() - began
        return {"said": np.float32(later), "held_out": np.float32(held_out), "cpu_seconds": np.float64(seconds)}

    def _learnt_values(self) -> np.ndarray:
        """Return what the candidate learns: the labels, or the column that it is given instead."""
        recipe = self.history.matrices.problem.candidates.CANDIDATES[self.history.candidate]
        name = "labels" if recipe.learns is None else f"learns-{self.history.candidate}"
        return np.asarray(self.history.matrices.arrays.read(name))

    def _describe_fit(self, fit: ModelFit) -> str:
        first, end = (self.history.first + dt.timedelta(days=day) for day in (fit.end - fit.days, fit.end))
        return f"{self.history.candidate} on the rows {f'from {first} ' if fit.days else ''}before {end}"
