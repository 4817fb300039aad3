"""The explanation of a window, put together from daily counts, daily sums of losses and the reference's regression."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np

from monitoring.drift.column_drift import PREDICTIONS
from monitoring.explanations.change_days import estimate_change_day
from monitoring.explanations.column_shifts import describe_shift, project_days
from monitoring.explanations.loss_regression import MIN_REFERENCE_DAYS, LossRegression
from monitoring.explanations.loss_rise import SlicePlace, decompose_loss_rise
from monitoring.explanations.records import ChangeDay, ColumnShift, Explanation, LossRise
from monitoring.losses.slices import list_category_slices
from penumbra.core.columns import PREDICTION_COLUMN
from penumbra.core.histograms import Binning, DegradedSlice, OutcomeSums, Profile
from penumbra.core.text.quoting import escape_text

DayT = TypeVar("DayT")


@dataclass(frozen=True)
class WindowEvidence:
    """What a window is explained from. Days are in the order of time; all are of the window's model.

    Attributes:
        begin: The window's first day.
        end: The day after its last.
        binning: The bins of the counts.
        profiles: The profiles of the window's days and of days before it.
        reference: The profiles of the reference's days.
        outcomes: The outcome sums of the window's days whose labels count, and of days before it; empty where the
            labels of the window aren't all due.
        reference_losses: The mean loss of the reference's days, float64 [days].
        regression: What is known of the reference's loss; None where that is too little.
        scores: Of the days whose scores by the same version the predictions are compared with, profiles of these scores
            alone; empty where the predictions aren't beyond their threshold.
        classes: The names of the classes, where the model's predictions are classes.
    """

    begin: dt.date
    end: dt.date
    binning: Binning
    profiles: Mapping[dt.date, Profile]
    reference: Mapping[dt.date, Profile]
    outcomes: Mapping[dt.date, OutcomeSums]
    reference_losses: np.ndarray
    regression: LossRegression | None = field(repr=False)
    scores: Mapping[dt.date, Profile] = field(default_factory=dict)
    classes: Sequence[str] = ()

    @property
    def length(self) -> int:
        """The number of the window's days."""
        return (self.end - self.begin).days

    def select_latest(self, days: Mapping[dt.date, DayT], count: int | None) -> list[DayT]:
        """Select what is known of the latest days.

        Args:
            days: Something of each day, by day.
            count: How many of the latest days of the calendar; None for the window's own.

        Returns:
            What is known of those that are there, in the order of time.
        """
        first = self.end - dt.timedelta(days=count or self.length)
        return [each for day, each in days.items() if day >= first]


@dataclass(frozen=True)
class ColumnMove:
    """How far a column is from the reference.

    Attributes:
        ratio: The distance in thresholds.
        days: Over how many of the latest days; None for the window's own.
    """

    ratio: float
    days: int | None = None


def explain_window(
    evidence: WindowEvidence,
    moves: Mapping[str, ColumnMove],
    slices: Sequence[DegradedSlice] = (),
    loss_days: int | None = None,
) -> Explanation:
    """Explain a window.

    Args:
        evidence: What it is explained from.
        moves: How far each column, and `penumbra.prediction`, is from the reference.
        slices: The slices whose loss has risen.
        loss_days: Over how many of the latest days the loss is taken apart; None for the window's own.

    Returns:
        The columns beyond their threshold, and the parts of the loss's rise.
    """
    beyond = sorted((name for name, move in moves.items() if move.ratio > 1), key=lambda name: -moves[name].ratio)
    loss = _explain_loss(evidence, slices, loss_days)
    return Explanation(
        [_explain_column(evidence, name, moves[name]) for name in beyond if name in evidence.binning.columns],
        loss,
        _find_loss_change(evidence) if loss and loss.rise and loss.rise.is_rise else None,
        list(_list_limits(evidence)),
    )


def _explain_column(evidence: WindowEvidence, name: str, move: ColumnMove) -> ColumnShift:
    recent, before = _select_counts(evidence, name)
    reference = np.array(list(before.values()))
    now, then = np.sum(evidence.select_latest(recent, move.days), axis=0), reference.sum(axis=0)
    places = dict(zip(recent, project_days(np.array(list(recent.values())), now, then).tolist(), strict=True))
    known = {day: place for day, place in places.items() if np.isfinite(place)}
    since = estimate_change_day(known, project_days(reference, now, then).tolist())
    classes = evidence.classes if name == PREDICTION_COLUMN else ()
    shift = describe_shift(evidence.binning, name, now, then, classes)
    return ColumnShift(PREDICTIONS if name == PREDICTION_COLUMN else name, move.ratio, shift, since, move.days)


def _select_counts(evidence: WindowEvidence, name: str) -> tuple[dict[dt.date, np.ndarray], dict[dt.date, np.ndarray]]:
    """The counts of a column by day, int64 [bins of the column]: of the latest days, and of those they are compared
    with."""
    span = evidence.binning.columns[name]
    recent = {day: each.counts[span] for day, each in evidence.profiles.items()}
    if name == PREDICTION_COLUMN and evidence.scores:
        last = max(evidence.scores)
        own = {day: each.counts for day, each in evidence.scores.items()}
        return {day: each for day, each in recent.items() if day > last}, own
    return recent, {day: each.counts[span] for day, each in evidence.reference.items()}


def _explain_loss(evidence: WindowEvidence, slices: Sequence[DegradedSlice], days: int | None) -> LossRise | None:
    if evidence.regression is None:
        return None
    if not evidence.outcomes:
        counts = np.array([day.counts for day in evidence.select_latest(evidence.profiles, None)])
        return decompose_loss_rise(counts, None, evidence.regression, evidence.binning) if len(counts) else None
    sums = evidence.select_latest(evidence.outcomes, days)
    counts, losses = np.array([day.counts for day in sums]), np.array([day.losses for day in sums])
    known = {(column, escape_text(value)): at for column, value, at in list_category_slices(evidence.binning)}
    places = [SlicePlace(f"{each.column} is {each.value}", known[each.column, each.value]) for each in slices]
    found = decompose_loss_rise(counts, losses, evidence.regression, evidence.binning, places)
    return replace(found, days=days) if found else None


def _find_loss_change(evidence: WindowEvidence) -> ChangeDay | None:
    daily = {day: each.loss / each.labels for day, each in evidence.outcomes.items()}
    return estimate_change_day(daily, evidence.reference_losses.tolist())


def _list_limits(evidence: WindowEvidence) -> Iterator[str]:
    if not evidence.reference:
        yield "No column can be compared: the model has no reference."
    if evidence.regression is None:
        yield (
            f"The loss can't be taken apart: the model's reference has fewer than {MIN_REFERENCE_DAYS} days with "
            "labels."
        )
    elif not evidence.outcomes:
        yield (
            "Whether the relation has changed isn't known: it takes the labels of the window's days, and they aren't "
            "all due, or too few have arrived."
        )
