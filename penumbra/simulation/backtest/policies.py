"""What a policy of retraining would have done over a stretch of history: a year played again in seconds, with the very
tests that promote and roll back in earnest.

Days are numbers. What happens on a day is decided in its morning, when the labels of the last days are still out.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
import polars as pl

from penumbra.promotion.evidence import Evidence, EvidenceSettings, compute_evidence

NEVER_RETRAINED = -(10**6)


@dataclass(frozen=True, order=True)
class ModelFit:
    """A model that learnt from all days before `end`, or from the last `days` of them where that isn't 0."""

    end: int
    days: int = 0


@dataclass(frozen=True)
class RetrainingPolicy:
    """When to retrain: `every_days` after the last time (0: not by the calendar), and where a window drifted or lost
    too much; but not within `cooldown_days`, nor more than `max_retrains` times in `period_days`. A new model answers
    at once or, where `tested`, when it has been through shadow and promotion test, which then goes on turned round."""

    name: str
    every_days: int = 0
    on_drift: bool = False
    on_loss: bool = False
    cooldown_days: int = 7
    max_retrains: int = 10**6
    period_days: int = 90
    tested: bool = False
    learn_days: int = 0


class HistoryProtocol(Protocol):
    """What was. `begin` to before `end` are the days that are answered, `rows` [end] how many rows each has; a day's
    labels are all known `delay` mornings later; windows are of `window` days."""

    begin: int
    end: int
    delay: int
    window: int
    rows: np.ndarray

    def fit(self, end: int, days: int) -> ModelFit: ...

    def losses(self, fit: ModelFit) -> np.ndarray:
        """The sum of a model's losses on each day, float64 [end]; 0 before its own end."""

    def drift(self, fit: ModelFit, first: int) -> float:
        """How unlike what the model learnt from the window that begins on `first` was; above 1 is an alarm."""

    def loss_ratio(self, fit: ModelFit, first: int) -> float:
        """Its loss there beside what its reference makes one expect; above 1 is an alarm."""


@dataclass(frozen=True)
class PolicyEvent:
    """What happened in the morning of a day: `fit` is the model that it happened to, `other` the one beside it."""

    day: int
    what: Literal["retrain", "promote", "reject", "roll back"]
    fit: ModelFit
    other: ModelFit
    reason: str


@dataclass
class PolicyRun:
    """How it went: who answered on each day, and what happened."""

    policy: RetrainingPolicy
    served: dict[int, ModelFit] = field(default_factory=dict)
    events: list[PolicyEvent] = field(default_factory=list)

    def count(self, what: str) -> int:
        return sum(event.what == what for event in self.events)

    def count_mistakes(self, what: str, past: HistoryProtocol, days: int) -> int:
        """How often, in hindsight, the model that came was worse in the `days` after than the one that went."""
        came_and_went = [
            (e.fit, e.other) if what == "promote" else (e.other, e.fit) for e in self.events if e.what == what
        ]
        begin = [event.day for event in self.events if event.what == what]
        spans = [slice(day, min(day + days, past.end)) for day in begin]
        return sum(
            bool(past.losses(came)[span].sum() > past.losses(went)[span].sum())
            for (came, went), span in zip(came_and_went, spans, strict=True)
        )


@dataclass
class _PolicyState:
    live: ModelFit
    since: int  # the first day that it answered
    retrained: list[int]
    previous: ModelFit | None = None
    candidate: ModelFit | None = None


def simulate_policy(policy: RetrainingPolicy, past: HistoryProtocol, terms: EvidenceSettings) -> PolicyRun:
    """The policy over the whole of the past, from a first model that learnt from all before it."""
    reign, course = (
        _PolicyState(past.fit(past.begin + 1 - past.delay, policy.learn_days), past.begin, []),
        PolicyRun(policy),
    )
    for day in range(past.begin, past.end):
        course.events += [*_apply_promotion_test(past, terms, reign, day), *_retrain(policy, past, reign, day)]
        course.served[day] = reign.live
    return course


def compare_fits(
    past: HistoryProtocol, live: ModelFit, other: ModelFit, first: int, until: int, terms: EvidenceSettings
) -> Evidence:
    """The evidence of the days from `first` to before `until` on whether `other` does worse than `live`."""
    days = np.arange(first, max(until, first))
    sums = {"live": past.losses(live)[days], "candidate": past.losses(other)[days]}
    daily = pl.DataFrame({"first": days // terms.block_days, "labels": past.rows[days], **sums})
    blocks = daily.group_by("first").agg(pl.len().alias("days"), pl.col("labels", "live", "candidate").sum())
    complete = pl.col("days") == terms.block_days
    differing = blocks.with_columns(difference=pl.col("live") - pl.col("candidate"), complete=complete)
    return compute_evidence(differing, "non-inferiority", terms)


def _apply_promotion_test(
    past: HistoryProtocol, terms: EvidenceSettings, reign: _PolicyState, day: int
) -> Iterator[PolicyEvent]:
    """Demote and promote, by the same test."""
    known = day + 1 - past.delay
    if reign.previous:
        evidence = compare_fits(past, reign.previous, reign.live, reign.since, known, terms)
        if evidence.verdict == "reject":
            yield PolicyEvent(day, "roll back", reign.live, reign.previous, str(evidence))
            reign.live, reign.since, reign.previous, reign.candidate = reign.previous, day, None, None
    if reign.candidate:
        evidence = compare_fits(past, reign.live, reign.candidate, reign.candidate.end, known, terms)
        if evidence.verdict == "promote":
            yield PolicyEvent(day, "promote", reign.candidate, reign.live, str(evidence))
            reign.live, reign.since, reign.previous, reign.candidate = reign.candidate, day, reign.live, None
        elif evidence.verdict == "reject":
            yield PolicyEvent(day, "reject", reign.candidate, reign.live, str(evidence))
            reign.candidate = None


def _retrain(policy: RetrainingPolicy, past: HistoryProtocol, reign: _PolicyState, day: int) -> Iterator[PolicyEvent]:
    """While a candidate is in the shadow there is no other."""
    if (
        reign.candidate
        or not _may_retrain(policy, reign, day)
        or not (reason := _find_retrain_reason(policy, past, reign, day))
    ):
        return
    fit = past.fit(day + 1 - past.delay, policy.learn_days)
    reign.retrained.append(day)
    yield PolicyEvent(day, "retrain", fit, reign.live, reason)
    if policy.tested:
        reign.candidate = fit
    else:
        yield PolicyEvent(day, "promote", fit, reign.live, "untested")
        reign.live, reign.since = fit, day


def _may_retrain(policy: RetrainingPolicy, reign: _PolicyState, day: int) -> bool:
    lately = sum(day - each < policy.period_days for each in reign.retrained)
    return day - max(reign.retrained, default=NEVER_RETRAINED) >= policy.cooldown_days and lately < policy.max_retrains


def _find_retrain_reason(policy: RetrainingPolicy, past: HistoryProtocol, reign: _PolicyState, day: int) -> str:
    if policy.every_days and day - max(reign.retrained, default=past.begin) >= policy.every_days:
        return "age"
    if (
        policy.on_drift
        and (first := _window_start(past, day, reign.live)) is not None
        and past.drift(reign.live, first) > 1
    ):
        return "drift"
    late = _window_start(past, day + 1 - past.delay, reign.live)
    return "loss" if policy.on_loss and late is not None and past.loss_ratio(reign.live, late) > 1 else ""


def _window_start(past: HistoryProtocol, day: int, live: ModelFit) -> int | None:
    """The first day of the window that ends with the day before, if one does of whose days `live` has learnt none."""
    first = day - past.window
    whole = first >= past.begin and (first - past.begin) % past.window == 0
    return first if whole and first >= live.end else None
