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
from counts import PREDICTION, Binning, Profile, by_day, watched
from flows import future
from flows.experiments import matrices, plan
from flows.experiments.matrices import Matrices
from monitoring.decay import DailyLoss, threshold
from monitoring.drift import judge
from monitoring.losses import losses
from monitoring.policies import Fit
from problem.schema import TIME
from settings import ROOT, Settings
from stores import code
from stores.kept import Kept
from training import trial
from training.lesson import Lesson, teach
from training.trial import Job

CANDIDATE = "gradient_boosting"  # one that is fast to fit
HELD = 28  # days on which a recipe is tried before it learns them: the reference of the model that then learns them
DATE = "date"
EPOCH = dt.date(1970, 1, 1)


@dataclass(frozen=True)
class History:
    """The year's matrices; the array "day" numbers days (UTC) from 0, which is `first`. Days from `begin` on are
    answered; a day's labels are known `delay` mornings later. What is fitted is kept in `fits`."""

    made: Matrices
    first: dt.date
    begin: int
    delay: int
    fits: Path

    @property
    def learnt(self) -> int:
        """The first day that the first model hasn't learnt."""
        return self.begin + 1 - self.delay


def prepare(chosen: Settings, folder: Path) -> History:
    """Check all batches there will ever be, in a data store of its own, and write the matrices of all their rows: days
    with data faults were answered, too."""
    data = chosen.data.model_copy(update={"folder": folder / "data", "derived": folder / "derived"})
    own = chosen.model_copy(update={"data": data, "monitor": chosen.monitor.model_copy(update={"on_faults": False})})
    batches = future.store(data).batches()
    made = matrices.write(own, batches, folder / "arrays")
    rows = plan.rows(own, batches)
    days = rows[TIME].dt.date().to_physical().to_numpy()
    made.arrays.write("day", days - days.min())
    rows.select(watched(problem.features.FEATURES, TIME)).write_parquet(
        made.arrays.path("rows").with_suffix(".parquet")
    )
    first = EPOCH + dt.timedelta(days=int(days.min()))
    facts = CANDIDATE, batches, {name: len(made.arrays.part([name], "day")) for name in batches}
    fits = folder / "fits" / code.fingerprint(ROOT, plan.RECIPE, *facts)[:16]
    delay = 1 + math.ceil(chosen.labels.delay_hours / 24)
    return History(made, first, (chosen.data.today - first).days, delay, fits)


class Past:
    """What `monitoring.policies.play` asks for. A model is fitted when it is first asked for, whoever asks, and kept;
    `cpu_seconds` counts what all that were asked for here took, whoever fitted them."""

    def __init__(self, history: History, chosen: Settings) -> None:
        self.history, self.settings = history, chosen
        self.window, self.begin, self.delay = chosen.monitor.window_days, history.begin, history.delay
        self.day, self.labels = (history.made.arrays.read(name) for name in ("day", "labels"))
        self.end = int(self.day.max())  # the last day, in UTC, is not whole
        self.rows = np.bincount(self.day)[: self.end]
        self._kept, self._made, self._sums = Kept(history.fits), dict[Fit, Any](), dict[Fit, np.ndarray]()
        self._references = dict[Fit, tuple[list[Profile], Binning]]()
        self.spent_seconds = 0.0  # of what was fitted here and now

    @property
    def cpu_seconds(self) -> float:
        return sum(float(made["cpu_seconds"]) for made in self._made.values())

    def fit(self, end: int, days: int) -> Fit:
        """As training does it: once on all but the last weeks, which become the reference, and once on all."""
        made = _shortest(end, days)
        self.said(made)
        self.said(self._recipe(made))
        return made

    def said(self, fit: Fit) -> np.ndarray:
        """What a model said of each row of the days from its end on: float32 [rows]."""
        if fit not in self._made:
            self._made[fit] = self._kept.get(f"{fit.end}-{fit.days}", lambda: self._fit(fit))
        return self._made[fit]["said"]

    def row_losses(self, fit: Fit, ceiling: float = np.inf) -> np.ndarray:
        """Of each row of the days from a model's end on: float64 [rows]."""
        later = self.day >= fit.end
        said = self.said(fit).astype(float)
        return losses(self.history.made.task, self.labels[later], said, self.settings.promotion.loss, ceiling)

    def losses(self, fit: Fit) -> np.ndarray:
        if fit not in self._sums:
            later = self.day[self.day >= fit.end]
            self._sums[fit] = np.bincount(later, self.row_losses(fit, self.ceiling), self.end + 1)[: self.end]
        return self._sums[fit]

    def drift(self, fit: Fit, first: int) -> float:
        return judge(self._profiles(fit, first), *self._reference(fit), self._one_in).ratio

    def excess(self, fit: Fit, first: int) -> float:
        window = self._daily(fit, first, first + self.window)
        reference = self._daily(self._recipe(fit), fit.end - HELD, fit.end)
        usual = threshold(window, reference, self._one_in)
        return 0.0 if usual is None else window.mean / usual

    @property
    def _one_in(self) -> float:
        return 2.0 * self.settings.monitor.one_in  # drift and loss share the budget

    def _recipe(self, fit: Fit) -> Fit:
        """What learnt like a model, but not the last days before its end."""
        return _shortest(fit.end - HELD, fit.days)

    def _daily(self, fit: Fit, first: int, end: int) -> DailyLoss:
        later = self.day[self.day >= fit.end]
        chosen = (later >= first) & (later < end)
        return DailyLoss.of(later[chosen], self.row_losses(fit, self.ceiling)[chosen])

    def _reference(self, fit: Fit) -> tuple[list[Profile], Binning]:
        if fit not in self._references:
            rows = self._rows(self._recipe(fit), fit.end - HELD, fit.end)
            binning = Binning.learn(rows, [name for name in rows.columns if name not in (DATE, PREDICTION)])
            self._references[fit] = [*by_day(rows, binning, DATE).values()], binning
        return self._references[fit]

    def _profiles(self, fit: Fit, first: int) -> list[Profile]:
        return [*by_day(self._rows(fit, first, first + self.window), self._reference(fit)[1], DATE).values()]

    def _rows(self, fit: Fit, first: int, end: int) -> pl.DataFrame:
        """The rows of the days from `first` to before `end`, with what a model said of them."""
        chosen = (self.day >= first) & (self.day < end)
        said = self.said(fit)[chosen[self.day >= fit.end]].astype(float)
        dates = pl.Series(DATE, self.day[chosen], pl.Int32).cast(pl.Date)
        return self._columns.filter(chosen).with_columns(dates, pl.Series(PREDICTION, said))

    @cached_property
    def _columns(self) -> pl.DataFrame:
        return pl.read_parquet(self.history.made.arrays.path("rows").with_suffix(".parquet"))

    @cached_property
    def ceiling(self) -> float:
        """The most that a row's loss counts, by the reference of the first model."""
        held = Fit(self.history.learnt - HELD)
        reference = self.day[self.day >= held.end] < held.end + HELD
        return self.settings.promotion.loss_ceiling * float(self.row_losses(held)[reference].mean())

    def _fit(self, fit: Fit) -> dict[str, Any]:
        made, inputs = self.history.made, self.history.made.arrays.read("inputs")
        learn = (self.day < fit.end) & (self.day >= (fit.end - fit.days if fit.days else 0))
        estimator, began = made.estimator(Job(CANDIDATE)), time.process_time()
        teach(estimator, Lesson(inputs[learn], self.labels[learn]))
        seconds = time.process_time() - began
        said = trial.predictions(made.task, estimator, inputs[self.day >= fit.end])
        self.spent_seconds += time.process_time() - began
        return {"said": said.astype(np.float32), "cpu_seconds": np.float64(seconds)}


def _shortest(end: int, days: int) -> Fit:
    """A window that reaches back to the beginning is none."""
    return Fit(end, days if days < end else 0)
