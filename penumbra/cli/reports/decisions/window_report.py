"""The explanation of a judged window, for people and for machines."""

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from monitoring.explanations.records import Explanation, LossRise
from monitoring.explanations.sentences import (
    describe_column_shift,
    describe_loss_rise,
    describe_unseen_values,
    list_part_rows,
)
from monitoring.windows.window_days import format_window_days
from monitoring.windows.window_records import Window, has_alarm
from monitoring.windows.window_store import WindowStore, describe_missing_explanation
from penumbra.core.settings import Settings
from penumbra.core.text.tables import align_columns

NOTHING_JUDGED = (
    "Nothing has been judged yet: `penumbra monitor` judges the windows that are over, and says if none is."
)
PART_HEADINGS = ("", "mean loss", "95 % interval", "of the change")


class NoExplanation(LookupError):
    """There is no window to explain; says why."""


def find_explained_window(settings: Settings, day: dt.date | None) -> Window:
    """Find a window with its explanation.

    Args:
        settings: The settings' section `monitor` is read.
        day: A day of the window; None for the latest window with an alarm, or the latest one where none has any.

    Returns:
        The window's record, which has an explanation.

    Raises:
        NoExplanation: There is no such window, or its record is of a version that kept no explanation.
        DamagedWindow: A window's record is damaged.
    """
    windows = WindowStore(settings.monitor.folder).read()
    if not windows:
        raise NoExplanation(NOTHING_JUDGED)
    found = _select_window(windows, day)
    if found.explanation is None:
        raise NoExplanation(describe_missing_explanation(found, settings.monitor.folder))
    return found


def format_window_explanation(window: Window) -> Iterator[str]:
    """Format a window's explanation for people.

    Args:
        window: The window's record.

    Yields:
        Paragraphs.
    """
    explanation = window.explanation or Explanation()
    yield f"{window.days}, version {window.model}: {window.verdict}: {window.reason}"
    yield "\n".join(_list_shifts(window, explanation))
    if explanation.loss:
        yield f"Loss: {describe_loss_rise(explanation.loss, explanation.since)}"
        yield _format_parts(explanation.loss)
        yield from (f"{name}: {describe_unseen_values(share)}" for name, share in explanation.loss.unseen.items())
    yield from explanation.limits


def encode_window_explanation(window: Window) -> dict[str, Any]:
    """Encode a window's explanation for machines.

    Args:
        window: The window's record.

    Returns:
        "begin", "end", "model", "verdict", "reason" and "explanation", in types of JSON.
    """
    names = ("begin", "end", "model", "verdict", "reason", "explanation")
    return {name: value for name, value in msgspec.to_builtins(window).items() if name in names}


def _select_window(windows: Sequence[Window], day: dt.date | None) -> Window:
    if day is None:
        return next(filter(has_alarm, reversed(windows)), windows[-1])
    found = [window for window in windows if window.begin <= day < window.end]
    if not found:
        kept = format_window_days(windows[0].begin, windows[-1].end)
        raise NoExplanation(f"no window has {day}: those that are kept are from {kept}")
    return found[0]


def _list_shifts(window: Window, explanation: Explanation) -> Iterator[str]:
    for shift in explanation.shifts:
        yield f"{shift.column}: {describe_column_shift(shift)}"
    if not explanation.shifts and window.drift:
        yield f"No column is beyond its threshold; {window.drift.column} is nearest, at {window.drift.ratio:.2f} times."
    if window.drift is None:
        yield "No column could be compared with the reference."


def _format_parts(loss: LossRise) -> str:
    rows = [("  " * row.depth + row.name, row.amount, row.interval, row.share) for row in list_part_rows(loss)]
    table = align_columns([PART_HEADINGS, *rows])
    return f"{table}\nSlices overlap, with each other and with the other parts." if loss.slices else table
