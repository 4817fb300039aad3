"""Drift of a window of one model: which days are compared with which, and the share of alarms that drift may raise.

The columns are compared with the reference in the model's bundle. The predictions are compared with what the same
version said earlier, in the shadow and then in production, of rows that it hasn't learnt from: the bundle's reference
was scored by a fit that left the last batches out, and two fits differ by themselves, coarse ones (a small tree, a few
trees) far more than any threshold that is learnt from the days of one of them.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from monitoring.drift.column_drift import DriftResult, compute_drift, list_recent_profiles
from monitoring.permutation import count_memory_days
from penumbra.core.columns import PREDICTION_COLUMN
from penumbra.core.histograms import Binning, Profile, select_profile_columns
from penumbra.core.text.counts import format_count

ONE_DAY = dt.timedelta(days=1)

DailyProfiles = Mapping[dt.date, Profile]


class BudgetSettings(Protocol):
    """The part of the settings' section `monitor` that alarms without a cause share."""

    one_in: int
    on_drift: bool
    on_loss: bool


def compute_alarm_budget(monitor: BudgetSettings) -> float:
    """Compute how rare an alarm of one kind has to be: drift of the columns, drift of the predictions, or loss.

    Args:
        monitor: The settings' section `monitor`.

    Returns:
        One in how many windows without a change may raise it: `one_in` times the number of kinds that are on.
    """
    return float(monitor.one_in * max(1, 2 * monitor.on_drift + monitor.on_loss))


@dataclass(frozen=True)
class ModelProfiles:
    """The daily profiles of a model, by day (UTC).

    Attributes:
        binning: The bins of reference and answers.
        reference: The rows of the bundle's reference.
        answered: The rows that the model answered.
        scored: The predictions alone (the bins of `binning.select([PREDICTION_COLUMN])`) of all rows that this very
            version scored, in the shadow or in production, of days that it hasn't learnt from.
    """

    binning: Binning
    reference: DailyProfiles
    answered: DailyProfiles
    scored: DailyProfiles


@dataclass(frozen=True)
class WindowDrift:
    """The drift of a window, and what its predictions were compared with.

    Attributes:
        result: Distances with thresholds; without the predictions where they can't be judged.
        scored: The days whose scores the predictions were compared with, the earliest first; empty where too few are
            known.
        limits: Why the predictions aren't judged, in words; "" where they are.
    """

    result: DriftResult
    scored: Sequence[dt.date]
    limits: str


def compute_window_drift(profiles: ModelProfiles, begin: dt.date, window_days: int, one_in: float) -> WindowDrift:
    """Compare a window's columns with the bundle's reference, and its predictions with the version's own first scores.

    Args:
        profiles: The model's profiles, with all days before the window that it scored; later ones aren't read.
        begin: The window's first day.
        window_days: How many days a window has.
        one_in: At most one in so many windows without drift raises an alarm of either kind, as `compute_alarm_budget`
            returns it.

    Returns:
        The drift of both kinds.
    """
    end = begin + window_days * ONE_DAY
    first = end - count_memory_days(window_days) * ONE_DAY

    def judge(names: Sequence[str], recent: DailyProfiles, reference: Sequence[Profile]) -> DriftResult:
        latest = list_recent_profiles({day: each for day, each in recent.items() if day < end}, end)
        return compute_drift(latest, reference, profiles.binning.select(names), one_in, window_days)

    answered = {day: each for day, each in profiles.answered.items() if day >= first}
    names = [name for name in profiles.binning.columns if name != PREDICTION_COLUMN]
    recent, reference = (
        select_profile_columns(days, profiles.binning, names) for days in (answered, profiles.reference)
    )
    of_columns = judge(names, recent, list(reference.values()))
    known = select_score_reference(profiles, begin, window_days)
    if PREDICTION_COLUMN not in profiles.binning.columns or len(known) < window_days:
        return WindowDrift(of_columns, [], _describe_limits(profiles, known, window_days))
    later = {day: each for day, each in profiles.scored.items() if day >= first and day > known[-1]}
    of_scores = judge([PREDICTION_COLUMN], later, [profiles.scored[day] for day in known])
    return WindowDrift(_merge_results(of_columns, of_scores), known, "")


def select_score_reference(profiles: ModelProfiles, begin: dt.date, window_days: int) -> list[dt.date]:
    """Select the days that a window's predictions are compared with.

    Args:
        profiles: The model's profiles.
        begin: The window's first day.
        window_days: How many days a window has.

    Returns:
        The first days that the version scored before the window, at most as many as the bundle's reference has.
    """
    earlier = sorted(day for day in profiles.scored if day < begin)
    return earlier[: max(len(profiles.reference), window_days)]


def _describe_limits(profiles: ModelProfiles, known: Sequence[dt.date], window_days: int) -> str:
    if PREDICTION_COLUMN not in profiles.binning.columns:
        return ""
    return (
        f"drift of the predictions isn't judged yet: it takes {format_count(window_days, 'earlier day')} that this "
        f"version scored and hasn't learnt from, and has {len(known)}"
    )


def _merge_results(columns: DriftResult, scores: DriftResult) -> DriftResult:
    largest = max(columns, scores, key=lambda result: result.ratio)
    return replace(largest, columns=columns.columns, prediction=scores.prediction)
