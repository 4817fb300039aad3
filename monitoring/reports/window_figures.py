"""Figures and sentences of a window's report, both taken from the window's record."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from monitoring.drift.column_drift import ColumnDrift
from monitoring.explanations.sentences import list_sentences
from monitoring.windows.recurring_faults import describe_faults
from monitoring.windows.window_days import describe_stretch
from monitoring.windows.window_records import EstimatedLoss, Window, WindowLoss
from penumbra.core.columns import PREDICTION_COLUMN, RESERVED_PREFIX
from penumbra.core.histograms import DegradedSlice
from penumbra.core.text.counts import format_count
from penumbra.core.text.tables import format_number

THRESHOLD_SERIES = f"{RESERVED_PREFIX}threshold"  # beside the lines of columns
VERDICT_CODES = {"ok": 0, "investigate": 1, "retrain": 2, "wait": 3}


@dataclass(frozen=True)
class ReportFigure:
    """A number counted over all rows of a window.

    Attributes:
        group: The panel of the dashboard that shows it (see `DASHBOARD_PANELS` in workspace.py).
        series: The line of the panel, such as "threshold".
        value: The number, always finite.
    """

    group: str
    series: str
    value: float


def build_figures(window: Window, left_out: int) -> list[ReportFigure]:
    """List everything that is known of a window as numbers.

    Args:
        window: The window's record.
        left_out: How many columns the report leaves out.

    Returns:
        The finite figures, in the order of the dashboard's panels.
    """
    return [ReportFigure(*figure) for figure in _list_figures(window, left_out) if math.isfinite(figure[2])]


def describe_window(window: Window) -> dict[str, str]:
    """Describe a window in words.

    Args:
        window: The window's record.

    Returns:
        Sentences by subject, such as "loss" or "drift: amount".
    """
    sentences = {"verdict": f"{window.verdict}: {window.reason}", "model": f"version {window.model}"}
    sentences["rows"] = f"{window.rows:,}"
    return sentences | dict(_list_descriptions(window))


def extract_distances(window: Window) -> dict[str, tuple[float, float]]:
    """Collect the distances from the reference that the monitor measured.

    Args:
        window: The window's record.

    Returns:
        Distance and threshold of each column, and of `penumbra.prediction` where it is known.
    """
    distances = {**window.columns, **({PREDICTION_COLUMN: window.prediction} if window.prediction else {})}
    return {name: (measured.distance, measured.threshold) for name, measured in distances.items()}


def _list_figures(window: Window, left_out: int) -> Iterator[tuple[str, str, float]]:
    if window.verdict in VERDICT_CODES:
        yield "verdict", "verdict", float(VERDICT_CODES[window.verdict])
    yield "rows", "rows", float(window.rows)
    if window.columns:
        yield "drift", THRESHOLD_SERIES, 1.0
        yield from (("drift", name, measured.ratio) for name, measured in _sort_by_ratio(window))
    if window.prediction:
        yield "prediction", "distance", window.prediction.distance
        yield "prediction", "threshold", window.prediction.threshold
    yield from _list_loss_figures(window)
    if window.calibration is not None:
        yield "calibration", "expected error", window.calibration
    if window.labels and window.labels.due:
        yield "labels", "arrived of those due", window.labels.arrived / window.labels.due
    if found := window.coverage:
        yield "coverage", "held the truth", found.mean
        yield from (("coverage", "low", found.low), ("coverage", "high", found.high))
        yield "coverage", "promised", found.promised
    if window.shadow:
        yield "shadow", "disagreement", window.shadow.disagreement
        yield from [("shadow", "noise floor", window.shadow.floor)] if window.shadow.floor is not None else []
    yield "faults", "faults", float(len(window.faults))
    yield "faults", "columns left out", float(left_out)


def _list_loss_figures(window: Window) -> Iterator[tuple[str, str, float]]:
    if loss := window.loss:
        yield from (("loss", "mean", loss.mean), ("loss", "low", loss.low), ("loss", "high", loss.high))
        yield from [("loss", "threshold", loss.threshold)] if loss.threshold is not None else []
    if guess := window.estimated:
        yield from (("loss", "estimated", guess.mean), ("loss", "estimated low", guess.low))
        yield "loss", "estimated high", guess.high


def _list_descriptions(window: Window) -> Iterator[tuple[str, str]]:
    yield from list_sentences(window.explanation) if window.explanation else ()
    if loss := window.loss:
        limit = "" if loss.threshold is None else f"; an alarm above {format_number(loss.threshold)}"
        yield "loss", f"{_format_band(loss)} over {format_count(loss.labels, 'label')}{limit}"
        if longer := loss.longer:
            limit = f"; an alarm above {format_number(longer.threshold)}"
            yield f"loss over the last {format_count(longer.days, 'day')}", f"{format_number(longer.mean)}{limit}"
    yield from ((f"loss where {each.column} is {each.value}", _format_slice(each)) for each in window.slices)
    if guess := window.estimated:
        yield "loss, estimated", f"{_format_band(guess)}, {guess.basis}; assuming {guess.assumes}"
    if window.calibration is not None:
        yield "expected calibration error", f"{window.calibration:.4f}"
    if window.coverage:
        yield "prediction sets that held the truth", str(window.coverage)
    if window.labels:
        yield "labels", f"{window.labels.arrived:,} of {window.labels.due:,} that are due have arrived"
    if shadow := window.shadow:
        floor = "unknown" if shadow.floor is None else format_number(shadow.floor)
        yield (
            "shadow",
            f"{format_number(shadow.disagreement)} apart over {format_count(shadow.rows, 'row')}; noise floor {floor}",
        )
    for (what, column), sentence in describe_faults(window.faults).items():
        yield f"fault: {what} {column}".strip(), sentence
    if window.prediction:
        against = f"; compared with {window.compared}; pictures show the bundle's reference" if window.compared else ""
        yield "drift of the predictions", _format_distance(window, window.prediction) + against
    yield from ((f"drift: {name}", _format_distance(window, measured)) for name, measured in _sort_by_ratio(window))


def _format_slice(degraded: DegradedSlice) -> str:
    usual = format_number(degraded.reference)
    return f"{_format_band(degraded)} over {format_count(degraded.labels, 'label')}, above the {usual} of the reference"


def _format_band(measured: WindowLoss | EstimatedLoss | DegradedSlice) -> str:
    return f"{format_number(measured.mean)} ({format_number(measured.low)} to {format_number(measured.high)})"


def _sort_by_ratio(window: Window) -> list[tuple[str, ColumnDrift]]:
    """The columns with their distances, those nearest to an alarm first."""
    return sorted(window.columns.items(), key=lambda item: -item[1].ratio)


def _format_distance(window: Window, measured: ColumnDrift) -> str:
    alarm = ", an alarm" if measured.ratio > 1 else ""
    over = describe_stretch(measured.days, window.length, measured.shift)
    return f"{measured.distance:.4f}{over}, with a threshold of {measured.threshold:.4f}{alarm}"
