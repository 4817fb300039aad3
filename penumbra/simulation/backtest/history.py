"""The year as a policy would have met it: matrices of all its rows, and what models fitted on any day said of them."""

import datetime as dt
import math
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import problem.features
from flows.steps.train import matrices, plan
from flows.steps.train.matrices import Matrices
from monitoring.drift import compute_drift
from monitoring.loss_threshold import DailyLosses, compute_loss_threshold
from penumbra.core.histograms import PREDICTION_COLUMN, Binning, Profile, compute_daily_profiles, list_profiled_columns
from penumbra.core.metrics.losses import compute_clipped_losses
from penumbra.core.settings import PROJECT_ROOT, Settings
from penumbra.registry import code_version
from penumbra.simulation import future
from penumbra.simulation.backtest.policies import ModelFit
from penumbra.storage.cache import ARRAYS, FileCache
from penumbra.training.evaluate import TrialJob, predict_for_task
from penumbra.training.fit import TrainingSet, fit_estimator
from problem.schema import TIME

BACKTEST_CANDIDATE = "gradient_boosting"  # one that is fast to fit
HOLDOUT_DAYS = (
    28  # days on which a recipe is tried before it learns them: the reference of the model that then learns them
)
DATE_COLUMN = "date"
UNIX_EPOCH_DAY = dt.date(1970, 1, 1)


@dataclass(frozen=True)
class BacktestData:
    """The year's matrices; the array "day" numbers days (UTC) from 0, which is `first`. Days from `begin` on are
    answered; a day's labels are known `delay` mornings later. What is fitted is kept in `fits`."""

    made: Matrices
    first: dt.date
    begin: int
    delay: int
    fits: Path

    @property
    def first_unlearnt_day(self) -> int:
        """The first day that the first model hasn't learnt."""
        return self.begin + 1 - self.delay


def prepare_backtest_data(settings: Settings, folder: Path) -> BacktestData:
    """Check all batches there will ever be, in a data store of its own, and write the matrices of all their rows: days
    with data faults were answered, too."""
    data = settings.data.model_copy(update={"folder": folder / "data", "derived": folder / "derived"})
    own = settings.model_copy(
        update={"data": data, "monitor": settings.monitor.model_copy(update={"on_faults": False})}
    )
    batches = future.fill_data_store(data).batches()
    made = matrices.write_matrices(own, batches, folder / "arrays")
    rows = plan.read_training_rows(own, batches)
    days = rows[TIME].dt.date().to_physical().to_numpy()
    made.arrays.write("day", days - days.min())
    rows.select(list_profiled_columns(problem.features.FEATURES, TIME)).write_parquet(
        made.arrays.path("rows").with_suffix(".parquet")
    )
    first = UNIX_EPOCH_DAY + dt.timedelta(days=int(days.min()))
    facts = BACKTEST_CANDIDATE, batches, {name: len(made.arrays.part([name], "day")) for name in batches}
    fits = folder / "fits" / code_version.compute_fingerprint(PROJECT_ROOT, list_fit_files(), *facts)[:16]
    delay = 1 + math.ceil(settings.labels.delay_hours / 24)
    return BacktestData(made, first, (settings.data.today - first).days, delay, fits)


def list_fit_files(root: Path = PROJECT_ROOT) -> list[str]:
    """List the files that shape the models of a backtest: what this module imports of the rooms that shape any model.

    Args:
        root: The folder of the project.

    Returns:
        Paths relative to `root`: the lock of the libraries, and modules.
    """
    rooms = (*plan.MODEL_ROOMS, __name__)
    return [plan.RUNTIME_LOCK, *code_version.list_module_files(root, ("problem", __name__), rooms)]


class BacktestHistory:
    """What `penumbra.simulation.backtest.policies.simulate_policy` asks for. A model is fitted when it is first asked for, whoever asks, and kept;
    `cpu_seconds` counts what all that were asked for here took, whoever fitted them."""

    def __init__(self, history: BacktestData, settings: Settings) -> None:
        self.history, self.settings = history, settings
        self.window, self.begin, self.delay = settings.monitor.window_days, history.begin, history.delay
        self.day, self.labels = (history.made.arrays.read(name) for name in ("day", "labels"))
        self.end = int(self.day.max())  # the last day, in UTC, is not whole
        self.rows = np.bincount(self.day)[: self.end]
        self._kept, self._made, self._sums = (
            FileCache(history.fits, ARRAYS),
            dict[ModelFit, Any](),
            dict[ModelFit, np.ndarray](),
        )
        self._references = dict[ModelFit, tuple[list[Profile], Binning]]()
        self.spent_seconds = 0.0  # of what was fitted here and now

    @property
    def cpu_seconds(self) -> float:
        return sum(float(made["cpu_seconds"]) for made in self._made.values())

    def fit(self, end: int, days: int) -> ModelFit:
        """As training does it: once on all but the last weeks, which become the reference, and once on all."""
        made = _normalise_fit(end, days)
        self.predict_rows(made)
        self.predict_rows(self._reference_fit(made))
        return made

    def predict_rows(self, fit: ModelFit) -> np.ndarray:
        """What a model said of each row of the days from its end on: float32 [rows]."""
        if fit not in self._made:
            self._made[fit] = self._kept.get_or_make(f"{fit.end}-{fit.days}", lambda: self._fit(fit))
        return self._made[fit]["said"]

    def row_losses(self, fit: ModelFit, ceiling: float = np.inf) -> np.ndarray:
        """Of each row of the days from a model's end on: float64 [rows]."""
        later = self.day >= fit.end
        said = self.predict_rows(fit).astype(float)
        return compute_clipped_losses(
            self.history.made.task, self.labels[later], said, self.settings.promotion.loss, ceiling
        )

    def losses(self, fit: ModelFit) -> np.ndarray:
        if fit not in self._sums:
            later = self.day[self.day >= fit.end]
            self._sums[fit] = np.bincount(later, self.row_losses(fit, self.ceiling), self.end + 1)[: self.end]
        return self._sums[fit]

    def drift(self, fit: ModelFit, first: int) -> float:
        return compute_drift(self._profiles(fit, first), *self._reference(fit), self._one_in).ratio

    def loss_ratio(self, fit: ModelFit, first: int) -> float:
        window = self._daily_losses(fit, first, first + self.window)
        reference = self._daily_losses(self._reference_fit(fit), fit.end - HOLDOUT_DAYS, fit.end)
        usual = compute_loss_threshold(window, reference, self._one_in)
        return 0.0 if usual is None else window.mean / usual

    @property
    def _one_in(self) -> float:
        return 2.0 * self.settings.monitor.one_in  # drift and loss share the budget

    def _reference_fit(self, fit: ModelFit) -> ModelFit:
        """What learnt like a model, but not the last days before its end."""
        return _normalise_fit(fit.end - HOLDOUT_DAYS, fit.days)

    def _daily_losses(self, fit: ModelFit, first: int, end: int) -> DailyLosses:
        later = self.day[self.day >= fit.end]
        settings = (later >= first) & (later < end)
        return DailyLosses.from_rows(later[settings], self.row_losses(fit, self.ceiling)[settings])

    def _reference(self, fit: ModelFit) -> tuple[list[Profile], Binning]:
        if fit not in self._references:
            rows = self._rows(self._reference_fit(fit), fit.end - HOLDOUT_DAYS, fit.end)
            binning = Binning.learn(
                rows, [name for name in rows.columns if name not in (DATE_COLUMN, PREDICTION_COLUMN)]
            )
            self._references[fit] = [*compute_daily_profiles(rows, binning, DATE_COLUMN).values()], binning
        return self._references[fit]

    def _profiles(self, fit: ModelFit, first: int) -> list[Profile]:
        return [
            *compute_daily_profiles(
                self._rows(fit, first, first + self.window), self._reference(fit)[1], DATE_COLUMN
            ).values()
        ]

    def _rows(self, fit: ModelFit, first: int, end: int) -> pl.DataFrame:
        """The rows of the days from `first` to before `end`, with what a model said of them."""
        settings = (self.day >= first) & (self.day < end)
        said = self.predict_rows(fit)[settings[self.day >= fit.end]].astype(float)
        dates = pl.Series(DATE_COLUMN, self.day[settings], pl.Int32).cast(pl.Date)
        return self._columns.filter(settings).with_columns(dates, pl.Series(PREDICTION_COLUMN, said))

    @cached_property
    def _columns(self) -> pl.DataFrame:
        return pl.read_parquet(self.history.made.arrays.path("rows").with_suffix(".parquet"))

    @cached_property
    def ceiling(self) -> float:
        """The most that a row's loss counts, by the reference of the first model."""
        held = ModelFit(self.history.first_unlearnt_day - HOLDOUT_DAYS)
        reference = self.day[self.day >= held.end] < held.end + HOLDOUT_DAYS
        return self.settings.promotion.loss_ceiling * float(self.row_losses(held)[reference].mean())

    def _fit(self, fit: ModelFit) -> dict[str, Any]:
        made, inputs = self.history.made, self.history.made.arrays.read("inputs")
        learn = (self.day < fit.end) & (self.day >= (fit.end - fit.days if fit.days else 0))
        estimator, began = made.make_estimator(TrialJob(BACKTEST_CANDIDATE)), time.process_time()
        fit_estimator(estimator, TrainingSet(inputs[learn], self.labels[learn]))
        seconds = time.process_time() - began
        said = predict_for_task(made.task, estimator, inputs[self.day >= fit.end])
        self.spent_seconds += time.process_time() - began
        return {"said": said.astype(np.float32), "cpu_seconds": np.float64(seconds)}


def _normalise_fit(end: int, days: int) -> ModelFit:
    """A window that reaches back to the beginning is none."""
    return ModelFit(end, days if days < end else 0)
