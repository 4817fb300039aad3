"""Policies played over the year as it was, side by side: what each served, in figures with intervals over days."""

import functools
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from typing import Any

import numpy as np

from flows import common
from flows.policies.past import History, Past
from monitoring.policies import Course, Policy, play
from settings import Settings
from training import bootstrap
from training.bootstrap import Interval

WEEK, MONTH, QUARTER, HALF_YEAR = 7, 28, 91, 182
STANDARD, OURS = "weekly", "ours"


@dataclass(frozen=True)
class Trial:
    """A policy, and where the settings of the promotion test differ from the shipped ones."""

    policy: Policy
    promotion: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """How a policy did. Of each row that was served its loss and its day; mistakes are told in hindsight."""

    trial: Trial
    course: Course
    losses: np.ndarray
    days: np.ndarray
    false_promotions: int
    false_rollbacks: int
    cpu_seconds: float

    @property
    def name(self) -> str:
        return self.trial.policy.name

    @functools.cached_property
    def loss(self) -> Interval:
        return bootstrap.mean(self.losses, self.days)

    def beyond(self, standard: "Result") -> Interval:
        """How much more a row cost than with another policy."""
        return bootstrap.paired(self.losses, standard.losses, self.days)


def rivals() -> list[Trial]:
    """What everybody does: new models answer at once."""
    plain = Policy("never"), Policy("monthly", every_days=MONTH), Policy(STANDARD, every_days=WEEK)
    return [Trial(policy) for policy in (*plain, Policy("drift", on_drift=True), Policy("loss", on_loss=True))]


def ours(chosen: Settings, name: str = OURS, **changes: Any) -> Policy:
    """What the settings say, or would with some changes."""
    watched = chosen.monitor.model_dump(
        include={"every_days", "on_drift", "on_loss", "cooldown_days", "max_retrains", "period_days"}
    )
    return Policy(name, **{**watched, "tested": True, **changes})


def variants(chosen: Settings) -> list[Trial]:
    """Other settings, and other lengths of what is learnt from."""
    tried = [(every, shadow) for every in (0, WEEK, 2 * WEEK, MONTH) for shadow in (3, WEEK, 2 * WEEK)]
    grid = [
        Trial(ours(chosen, f"every {every or '-':>2}, shadow {shadow:>2}", every_days=every), {"shadow_days": shadow})
        for every, shadow in tried
    ]
    less = [Trial(ours(chosen, f"ours, {name} false", **{name: False})) for name in ("on_drift", "on_loss")]
    spans = [
        Trial(replace(policy, name=f"{policy.name}, last {days} days", learn_days=days))
        for policy in (ours(chosen), Policy("monthly", every_days=MONTH))
        for days in (QUARTER, HALF_YEAR)
    ]
    return [*grid, *less, Trial(Policy("every 14, untested", every_days=2 * WEEK)), *spans]


def run(chosen: Settings, history: History, trials: Sequence[Trial]) -> Iterator[Result]:
    """Play every trial, as many at once as there are cores; the fits that several share are made first."""
    os.environ.update(common.ONE_THREAD)
    shared = [*range(history.learnt, Past(history, chosen).end, WEEK)]
    with ProcessPoolExecutor(common.workers(), get_context("spawn")) as pool:  # polars doesn't survive a fork
        list(pool.map(functools.partial(_fit, chosen, history), reversed(shared)))
        yield from pool.map(functools.partial(_play, chosen, history), trials)


def _fit(chosen: Settings, history: History, end: int) -> None:
    Past(history, chosen).fit(end, 0)


def _play(chosen: Settings, history: History, trial: Trial) -> Result:
    past, terms = Past(history, chosen), chosen.promotion.model_copy(update=trial.promotion)
    began = time.process_time()
    course = play(trial.policy, past, terms)
    watching = time.process_time() - began - past.spent_seconds
    cpu_seconds = past.cpu_seconds + watching
    mistakes = [course.mistakes(what, past, chosen.backtest.hindsight_days) for what in ("promote", "roll back")]
    return Result(trial, course, *_served(past, course), *mistakes, cpu_seconds)


def _served(past: Past, course: Course) -> tuple[np.ndarray, np.ndarray]:
    """The losses of all rows as they were served, and their days."""
    found = np.full(len(past.day), np.nan)
    for fit in set(course.served.values()):
        days = [day for day, served in course.served.items() if served == fit]
        later = past.day >= fit.end
        rows = np.isin(past.day, days)
        found[rows] = past.row_losses(fit)[rows[later]]
    served = ~np.isnan(found)
    return found[served], past.day[served]
