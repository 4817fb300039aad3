"""Retraining policies simulated over a stretch of history, with the very tests that promote and roll back in earnest.

Days are numbers. What happens on a day is decided in its morning, when the labels of the last days are still out.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
import polars as pl

from penumbra.core.metrics.losses import LossScale
from penumbra.promotion.evidence import Evidence, compute_evidence
from penumbra.promotion.verdict import EvidenceSettings, EvidenceVerdict, PromotionRule, compute_verdict

NEVER_RETRAINED = -(10**6)
REFIT_RULE: PromotionRule = "non-inferiority"


@dataclass(frozen=True, order=True)
class ModelFit:
    """A model that learnt from all days before `end`, or from the last `days` of them where that isn't 0."""

    end: int
    days: int = 0


@dataclass(frozen=True)
class RetrainingPolicy:
    """The rule by which a model is retrained and replaced.

    It is retrained `every_days` after the last time (0: not by the calendar), and where a window drifted or lost
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
    """The history that a policy is simulated on.

    `begin` to before `end` are the days that are answered, `rows` int64 [end] how many rows each has; a day's labels
    are all known `delay` mornings later; windows are of `window` days.
    """

    begin: int
    end: int
    delay: int
    window: int
    rows: np.ndarray

    @property
    def scale(self) -> LossScale:
        """The loss, and the baseline's."""

    def fit(self, end: int, days: int) -> ModelFit:
        """Fit a model on the last `days` days before `end`, all where `days` is 0; returns its name."""

    def losses(self, fit: ModelFit, first: int, end: int) -> np.ndarray:
        """Return the sum of the losses of `fit` on each day from `first`, its own end or later, to before `end`:
        float64 [days]."""

    def drift(self, fit: ModelFit, since: int, first: int) -> float:
        """Return how far the window from day `first` is, alone or with days before it that `fit` has answered since day
        `since`, from what `fit` learnt from; above 1 is an alarm."""

    def loss_ratio(self, fit: ModelFit, since: int, first: int) -> float:
        """Return the loss of `fit` in the window from day `first`, alone or with days before it since day `since`, by
        its threshold; above 1 is an alarm."""


@dataclass(frozen=True)
class PolicyEvent:
    """An event in the morning of a day: `fit` is the model that it happened to, `other` the one beside it."""

    day: int
    what: Literal["retrain", "promote", "reject", "roll back"]
    fit: ModelFit
    other: ModelFit
    reason: str


@dataclass
class PolicyRun:
    """A simulated policy: the model that answered on each day, and the events."""

    policy: RetrainingPolicy
    served: dict[int, ModelFit] = field(default_factory=dict)
    events: list[PolicyEvent] = field(default_factory=list)

    @property
    def fits(self) -> set[ModelFit]:
        """All models that were made, whether or not they answered."""
        return {*self.served.values(), *(event.fit for event in self.events)}

    def count(self, what: str) -> int:
        """Return the number of events of the kind `what`."""
        return sum(event.what == what for event in self.events)

    def count_mistakes(self, what: str, past: HistoryProtocol, days: int) -> int:
        """Count the replacements after which, in hindsight, the new model did worse than the old one.

        Args:
            what: "promote" or "roll back".
            past: The history that the policy was simulated on.
            days: How many days after the replacement are compared.

        Returns:
            The number.
        """
        came_and_went = [
            (e.fit, e.other) if what == "promote" else (e.other, e.fit) for e in self.events if e.what == what
        ]
        begin = [event.day for event in self.events if event.what == what]
        spans = [(day, min(day + days, past.end)) for day in begin]
        return sum(
            bool(past.losses(came, *span).sum() > past.losses(went, *span).sum())
            for (came, went), span in zip(came_and_went, spans, strict=True)
        )


@dataclass
class _PolicyState:
    live: ModelFit
    since: int  # the first day that it answered
    retrained: list[int]
    previous: ModelFit | None = None
    candidate: ModelFit | None = None


def simulate_policy(policy: RetrainingPolicy, past: HistoryProtocol, promotion: EvidenceSettings) -> PolicyRun:
    """Simulate a policy over a whole history, from a first model that learnt from all days before it.

    Args:
        policy: The policy.
        past: The history.
        promotion: Section [promotion] of the settings: the terms of the promotion test.

    Returns:
        The models that answered, and the events.
    """
    state, run = (
        _PolicyState(past.fit(past.begin + 1 - past.delay, policy.learn_days), past.begin, []),
        PolicyRun(policy),
    )
    for day in range(past.begin, past.end):
        run.events += [*_apply_promotion_test(past, promotion, state, day), *_retrain(policy, past, state, day)]
        run.served[day] = state.live
    return run


def compare_fits(
    past: HistoryProtocol,
    live: ModelFit,
    other: ModelFit,
    first: int,
    until: int,
    promotion: EvidenceSettings,
    verdicts: Collection[EvidenceVerdict],
) -> Evidence | None:
    """Weigh whether one model does worse than another.

    Args:
        past: The history.
        live: The model that stands as live.
        other: The model that is judged.
        first: The first day.
        until: The day after the last one.
        promotion: Section [promotion] of the settings.
        verdicts: The verdicts from which something follows.

    Returns:
        The evidence by non-inferiority; None where its verdict is another one.
    """
    days = np.arange(first, max(until, first))
    span = first, first + len(days)
    sums = {"live": past.losses(live, *span), "candidate": past.losses(other, *span)}
    daily = pl.DataFrame({"first": days // promotion.block_days, "labels": past.rows[days], **sums})
    blocks = daily.group_by("first").agg(pl.len().alias("days"), pl.col("labels", "live", "candidate").sum())
    complete = pl.col("days") == promotion.block_days
    differing = blocks.filter(pl.col("labels") > 0).with_columns(
        difference=pl.col("live") - pl.col("candidate"), complete=complete
    )
    if compute_verdict(differing, REFIT_RULE, promotion, past.scale) not in verdicts:
        return None
    return compute_evidence(differing, REFIT_RULE, promotion, past.scale)


def _apply_promotion_test(
    past: HistoryProtocol, promotion: EvidenceSettings, state: _PolicyState, day: int
) -> Iterator[PolicyEvent]:
    """Roll back, promote and reject, by the same test; a morning without new labels changes nothing."""
    known = day + 1 - past.delay
    if promotion.block_days == 1 and not past.rows[known - 1]:
        return
    if state.previous:
        evidence = compare_fits(past, state.previous, state.live, state.since, known, promotion, ["reject"])
        if evidence:
            yield PolicyEvent(day, "roll back", state.live, state.previous, str(evidence))
            state.live, state.since, state.previous, state.candidate = state.previous, day, None, None
    if state.candidate:
        judged = state.live, state.candidate, state.candidate.end, known
        evidence = compare_fits(past, *judged, promotion, ["promote", "reject"])
        if evidence and evidence.verdict == "promote":
            yield PolicyEvent(day, "promote", state.candidate, state.live, str(evidence))
            state.live, state.since, state.previous, state.candidate = state.candidate, day, state.live, None
        elif evidence:
            yield PolicyEvent(day, "reject", state.candidate, state.live, str(evidence))
            state.candidate = None


def _retrain(policy: RetrainingPolicy, past: HistoryProtocol, state: _PolicyState, day: int) -> Iterator[PolicyEvent]:
    """Retrain where the policy says so; while a candidate is in the shadow there is no other."""
    if (
        state.candidate
        or not _may_retrain(policy, state, day)
        or not (reason := _find_retrain_reason(policy, past, state, day))
    ):
        return
    if (fit := past.fit(day + 1 - past.delay, policy.learn_days)) == state.live:
        return  # there is nothing new to learn from
    state.retrained.append(day)
    yield PolicyEvent(day, "retrain", fit, state.live, reason)
    if policy.tested:
        state.candidate = fit
    else:
        yield PolicyEvent(day, "promote", fit, state.live, "untested")
        state.live, state.since = fit, day


def _may_retrain(policy: RetrainingPolicy, state: _PolicyState, day: int) -> bool:
    lately = sum(day - retrained < policy.period_days for retrained in state.retrained)
    return day - max(state.retrained, default=NEVER_RETRAINED) >= policy.cooldown_days and lately < policy.max_retrains


def _find_retrain_reason(policy: RetrainingPolicy, past: HistoryProtocol, state: _PolicyState, day: int) -> str:
    if policy.every_days and day - max(state.retrained, default=past.begin) >= policy.every_days:
        return "age"
    if (
        policy.on_drift
        and (first := _window_start(past, day, state.live)) is not None
        and past.drift(state.live, state.since, first) > 1
    ):
        return "drift"
    late = _window_start(past, day + 1 - past.delay, state.live)
    alarms = policy.on_loss and late is not None and past.loss_ratio(state.live, state.since, late) > 1
    return "loss" if alarms else ""


def _window_start(past: HistoryProtocol, day: int, live: ModelFit) -> int | None:
    """Return the first day of the window that ends before `day`; None if none does, or `live` has learnt any of it."""
    first = day - past.window
    whole = first >= past.begin and (first - past.begin) % past.window == 0
    return first if whole and first >= live.end else None
