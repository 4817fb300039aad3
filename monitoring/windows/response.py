"""The response to a window: all is well, people should look, or a new model should be trained."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from monitoring.drift.column_drift import PREDICTIONS
from penumbra.core.text.counts import format_count
from penumbra.core.text.tables import format_number


class ResponseSettings(Protocol):
    """The part of the settings' section `monitor` that the response depends on."""

    on_faults: bool
    on_drift: bool
    on_loss: bool
    every_days: int
    cooldown_days: int
    max_retrains: int
    period_days: int


@dataclass(frozen=True)
class WindowVerdict:
    """The verdict on a window.

    Attributes:
        verdict: "ok", "wait", "investigate" or "retrain".
        reason: Why, in one sentence.
    """

    verdict: Literal["ok", "wait", "investigate", "retrain"]
    reason: str


@dataclass(frozen=True)
class WindowSignals:
    """What a window showed; None where something isn't known.

    Attributes:
        faults: Data faults in words.
        column: The column that drifted the most.
        ratio: Its ratio of distance to threshold.
        stretch: Over which days it has moved and where to, as `windows.describe_stretch` says it.
        loss: Realised mean loss, over the days that are nearest to an alarm.
        threshold: The mean loss above which it is an alarm.
        loss_stretch: Over which days, as `windows.describe_stretch` says it.
        model: The version that answered.
        age: How many days of events before the window's end the data ended that it learnt from.
        has_newer_data: Whether there is data that no version was made from.
        limits: What of the window isn't judged, or not as usual, and why: a clause each.
    """

    faults: Sequence[str] = ()
    column: str = ""
    ratio: float | None = None
    stretch: str = ""
    loss: float | None = None
    threshold: float | None = None
    loss_stretch: str = ""
    model: str = ""
    age: int | None = None
    has_newer_data: bool = True
    limits: Sequence[str] = ()


def decide_response(
    signals: WindowSignals, day: dt.date, retrained: Sequence[dt.date], policy: ResponseSettings
) -> WindowVerdict:
    """Decide what follows from a window.

    A fault comes first, because what is learned from broken data is a broken model; what is beyond its threshold is
    named after it. Drift, loss and age call for a retraining, which waits for newer data, and for the cool-down of the
    last one. None follows where a later window has led to one already, as it may where labels take weeks. At the limit
    of a period people are asked to look, as retraining doesn't seem to help.

    Args:
        signals: What the window showed.
        day: The first day after the window.
        retrained: The days of other retrainings, in days of events like `day`: a later window may have led to one.
        policy: The settings that decide.

    Returns:
        The verdict with its reason, which ends with what isn't judged, as a note.
    """
    found = _choose_response(signals, day, retrained, policy)
    notes = "; ".join(signals.limits)
    return WindowVerdict(found.verdict, f"{found.reason}; note: {notes}" if notes else found.reason)


def _choose_response(
    signals: WindowSignals, day: dt.date, retrained: Sequence[dt.date], policy: ResponseSettings
) -> WindowVerdict:
    """The verdict, with the reason but for what isn't judged."""
    alarms = list(_list_alarms(signals, policy))
    if policy.on_faults and signals.faults:
        return WindowVerdict("investigate", "; ".join([*signals.faults, *alarms]))
    if not alarms:
        return WindowVerdict("ok", "; ".join(_describe_signals(signals)) or "nothing to judge by")
    why = "; ".join(alarms)
    if not signals.has_newer_data:
        return WindowVerdict(
            "wait", f"{why}; but there is nothing newer to learn from than what the latest version knows"
        )
    if later := [each for each in retrained if each > day]:
        return WindowVerdict("wait", f"{why}; but a later window has led to a retraining, on {max(later)}")
    recent = [each for each in retrained if 0 <= (day - each).days < policy.period_days]
    if recent and (day - max(recent)).days < policy.cooldown_days:
        return WindowVerdict(
            "wait",
            f"{why}; but the last retraining was on {max(recent)}, within {format_count(policy.cooldown_days, 'day')}",
        )
    if len(recent) >= policy.max_retrains:
        span = format_count(policy.period_days, "day")
        limit = f"no more than {format_count(len(recent), 'retraining')} within {span} are allowed"
        return WindowVerdict("investigate", f"{why}; but {limit}")
    return WindowVerdict("retrain", why)


def _list_alarms(signals: WindowSignals, policy: ResponseSettings) -> list[str]:
    found = []
    if policy.on_drift and signals.ratio is not None and signals.ratio > 1:
        found.append(_describe_drift(signals))
    if (
        policy.on_loss
        and signals.loss is not None
        and signals.threshold is not None
        and signals.loss > signals.threshold
    ):
        found.append(f"{_describe_loss(signals)}, above {format_number(signals.threshold)}")
    if policy.every_days and signals.age is not None and signals.age >= policy.every_days:
        days = format_count(signals.age, "day")
        found.append(f"age: what version {signals.model} learnt from ended {days} before the window did")
    return found


def _describe_signals(signals: WindowSignals) -> list[str]:
    """What was looked at."""
    found = []
    if signals.ratio is not None:
        found.append(_describe_drift(signals))
    if signals.loss is not None:
        limit = "" if signals.threshold is None else f", up to {format_number(signals.threshold)} is usual"
        found.append(f"{_describe_loss(signals)}{limit}")
    return found


def _describe_drift(signals: WindowSignals) -> str:
    is_at, its = ("are at", "their") if signals.column == PREDICTIONS else ("is at", "its")
    return f"drift: {signals.column or 'nothing'} {is_at} {signals.ratio:.2f} times {its} threshold{signals.stretch}"


def _describe_loss(signals: WindowSignals) -> str:
    return f"loss: {format_number(signals.loss or 0.0)} on mature labels{signals.loss_stretch}"
