"""The explanation of a window, put together from daily counts, daily sums of losses and the reference's regression."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from monitoring.explanations.change_days import estimate_change_day
from monitoring.explanations.column_shifts import describe_shift, project_days
from monitoring.explanations.loss_regression import MIN_REFERENCE_DAYS, LossRegression
from monitoring.explanations.loss_rise import SlicePlace, decompose_loss_rise
from monitoring.explanations.records import ChangeDay, ColumnShift, Explanation, LossRise
from monitoring.slices import list_category_slices
from penumbra.core.columns import PREDICTION_COLUMN
from penumbra.core.histograms import Binning, DegradedSlice, OutcomeSums, Profile
from penumbra.core.quoting import escape_text

PREDICTIONS = "the predictions"


@dataclass(frozen=True)
class WindowEvidence:
    """What a window is explained from. Days are in the order of time; all are of the window's model.

    Attributes:
        binning: The bins of the counts.
        window: The profiles of the window's days.
        earlier: The profiles of days before the window.
        reference: The profiles of the reference's days.
        outcomes: The outcome sums of the window's days whose labels count; empty where they aren't all due.
        earlier_losses: The mean loss of days before the window.
        reference_losses: The mean loss of the reference's days, float64 [days].
        regression: What is known of the reference's loss; None where that is too little.
        classes: The names of the classes, where the model's predictions are classes.
    """

    binning: Binning
    window: Mapping[dt.date, Profile]
    earlier: Mapping[dt.date, Profile]
    reference: Mapping[dt.date, Profile]
    outcomes: Mapping[dt.date, OutcomeSums]
    earlier_losses: Mapping[dt.date, float]
    reference_losses: np.ndarray
    regression: LossRegression | None = field(repr=False)
    classes: Sequence[str] = ()


def explain_window(
    evidence: WindowEvidence, ratios: Mapping[str, float], slices: Sequence[DegradedSlice]
) -> Explanation:
    """Explain a window.

    Args:
        evidence: What it is explained from.
        ratios: Of each column, and of `penumbra.prediction`, the distance from the reference in thresholds.
        slices: The slices whose loss has risen.

    Returns:
        The columns beyond their threshold, and the parts of the loss's rise.
    """
    beyond = sorted((name for name, ratio in ratios.items() if ratio > 1), key=lambda name: -ratios[name])
    loss = _explain_loss(evidence, slices)
    return Explanation(
        [_explain_column(evidence, name, ratios[name]) for name in beyond if name in evidence.binning.columns],
        loss,
        _find_loss_change(evidence) if loss and loss.rise and loss.rise.is_rise else None,
        list(_list_limits(evidence)),
    )


def _explain_column(evidence: WindowEvidence, name: str, ratio: float) -> ColumnShift:
    span = evidence.binning.columns[name]
    window, earlier, reference = (
        np.array([day.counts[span] for day in days.values()]).reshape(-1, span.stop - span.start)
        for days in (evidence.window, evidence.earlier, evidence.reference)
    )
    now, then = window.sum(axis=0), reference.sum(axis=0)
    places = project_days(np.concatenate([earlier, window]), now, then)
    days = dict(zip([*evidence.earlier, *evidence.window], places.tolist(), strict=True))
    since = estimate_change_day(_select_known(days), project_days(reference, now, then).tolist())
    classes = evidence.classes if name == PREDICTION_COLUMN else ()
    shift = describe_shift(evidence.binning, name, now, then, classes)
    return ColumnShift(PREDICTIONS if name == PREDICTION_COLUMN else name, ratio, shift, since)


def _explain_loss(evidence: WindowEvidence, slices: Sequence[DegradedSlice]) -> LossRise | None:
    if evidence.regression is None or not evidence.window:
        return None
    if not evidence.outcomes:
        counts = np.array([day.counts for day in evidence.window.values()])
        return decompose_loss_rise(counts, None, evidence.regression, evidence.binning)
    days = evidence.outcomes.values()
    counts, losses = np.array([day.counts for day in days]), np.array([day.losses for day in days])
    known = {(column, escape_text(value)): at for column, value, at in list_category_slices(evidence.binning)}
    places = [SlicePlace(f"{each.column} is {each.value}", known[each.column, each.value]) for each in slices]
    return decompose_loss_rise(counts, losses, evidence.regression, evidence.binning, places)


def _find_loss_change(evidence: WindowEvidence) -> ChangeDay | None:
    window = {day: each.loss / each.labels for day, each in evidence.outcomes.items() if each.labels}
    return estimate_change_day({**evidence.earlier_losses, **window}, evidence.reference_losses.tolist())


def _select_known(days: Mapping[dt.date, float]) -> dict[dt.date, float]:
    return {day: value for day, value in days.items() if np.isfinite(value)}


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
