"""The weeks of a world as the monitor judges them: drift of columns, drift of predictions, and loss."""

import datetime as dt
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import polars as pl

from benchmarks.statistics.stationary.problems import DAYS_PER_WEEK
from benchmarks.statistics.stationary.worlds import StationaryWorld, read_prediction_column
from flows.steps.prediction_losses import compute_known_losses, measure_loss_ceiling
from monitoring.drift.window_drift import ModelProfiles, compute_alarm_budget, compute_window_drift
from monitoring.losses.loss_threshold import DailyLosses, judge_losses, measure_refit_excess
from penumbra.core.columns import DAY_COLUMN, LABEL_COLUMN, PREDICTION_COLUMN
from penumbra.core.histograms import Binning, Profile, compute_daily_profiles, select_profile_columns
from penumbra.core.settings import Settings, load_settings

FIRST_DAY = dt.date(1970, 1, 1)  # day 0 of a world
WeekAlarms = tuple[bool, bool, bool]  # by the columns, by the predictions, by the loss


@dataclass(frozen=True)
class WatchedWorld:
    """A world as the monitor sees it: profiles and losses by day, of the bundle's reference and of all answers."""

    world: StationaryWorld

    def judge_weeks(self) -> np.ndarray:
        """Judge all weeks in production: bool [weeks, 3], as `judge_week` returns them."""
        return np.array([self.judge_week(week) for week in range(self.world.problem.phases.weeks)])

    def judge_week(self, week: int) -> WeekAlarms:
        """Return whether a week in production, from 0, alarms by its columns, by its predictions, and by its loss."""
        live = self.world.problem.phases.shadow
        first, budget = live + DAYS_PER_WEEK * week, compute_alarm_budget(_read_settings().monitor)
        begin = FIRST_DAY + dt.timedelta(days=first)
        found = compute_window_drift(self.profiles, begin, DAYS_PER_WEEK, budget).result
        losses = judge_losses(self.losses[live : first + DAYS_PER_WEEK], self.usual_losses, budget, DAYS_PER_WEEK)
        return (
            any(each.ratio > 1 for each in found.columns.values()),
            found.prediction is not None and found.prediction.ratio > 1,
            any(each.ratio > 1 for each in losses),
        )

    @cached_property
    def profiles(self) -> ModelProfiles:
        """The daily profiles of the columns and of the predictions, with bins learnt from the bundle's reference."""
        binning = Binning.learn(self.world.reference, self.world.problem.columns)
        reference, known = (_count_profiles(rows, binning) for rows in (self.world.reference, self.world.answered))
        live = FIRST_DAY + dt.timedelta(days=self.world.problem.phases.shadow)
        answered = {day: profile for day, profile in known.items() if day >= live}
        return ModelProfiles(binning, reference, answered, select_profile_columns(known, binning, [PREDICTION_COLUMN]))

    @cached_property
    def losses(self) -> DailyLosses:
        """The losses of the days that the model answered, in the shadow and in production."""
        return _sum_by_day(self.world.answered, self._compute_losses(self.world.answered))

    @cached_property
    def usual_losses(self) -> DailyLosses:
        """The losses on the bundle's reference, raised by what the live fit loses more there."""
        rows = self.world.reference
        earlier, live = (self._compute_losses(each) for each in (rows, self.world.model.answer_rows(rows)))
        return _sum_by_day(rows, earlier + measure_refit_excess(earlier, live))

    @cached_property
    def ceiling(self) -> float:
        """The most that a row's loss counts."""
        return measure_loss_ceiling(self.world.problem.task, _read_settings().promotion, self.world.reference)

    def _compute_losses(self, rows: pl.DataFrame) -> np.ndarray:
        loss, predictions = _read_settings().promotion.loss, read_prediction_column(rows)
        return compute_known_losses(self.world.problem.task, loss, rows[LABEL_COLUMN], predictions, self.ceiling)


def _sum_by_day(rows: pl.DataFrame, losses: np.ndarray) -> DailyLosses:
    return DailyLosses.from_rows(rows[DAY_COLUMN].to_numpy(), losses)


def _count_profiles(rows: pl.DataFrame, binning: Binning) -> dict[dt.date, Profile]:
    dated = rows.with_columns(pl.col(DAY_COLUMN).cast(pl.Int32).cast(pl.Date))
    return compute_daily_profiles(dated, binning, DAY_COLUMN)


@cache
def _read_settings() -> Settings:
    return load_settings()
