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

from flows.steps import parallel
from penumbra.core.settings import Settings
from penumbra.simulation.backtest.history import BacktestData, BacktestHistory
from penumbra.simulation.backtest.policies import PolicyRun, RetrainingPolicy, simulate_policy
from penumbra.training import bootstrap
from penumbra.training.bootstrap import Interval

WEEK, MONTH, QUARTER, HALF_YEAR = 7, 28, 91, 182
BASELINE_POLICY, CONFIGURED_POLICY = "weekly", "ours"


@dataclass(frozen=True)
class PolicyTrial:
    """A policy, and where the settings of the promotion test differ from the shipped ones."""

    policy: RetrainingPolicy
    promotion: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PolicyResult:
    """How a policy did. Of each row that was served its loss and its day; mistakes are told in hindsight."""

    trial: PolicyTrial
    course: PolicyRun
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
        return bootstrap.compute_mean_interval(self.losses, self.days)

    def loss_difference(self, standard: "PolicyResult") -> Interval:
        """How much more a row cost than with another policy."""
        return bootstrap.compare_paired_losses(self.losses, standard.losses, self.days)


def list_rival_trials() -> list[PolicyTrial]:
    """What everybody does: new models answer at once."""
    plain = (
        RetrainingPolicy("never"),
        RetrainingPolicy("monthly", every_days=MONTH),
        RetrainingPolicy(BASELINE_POLICY, every_days=WEEK),
    )
    return [
        PolicyTrial(policy)
        for policy in (*plain, RetrainingPolicy("drift", on_drift=True), RetrainingPolicy("loss", on_loss=True))
    ]


def build_configured_policy(settings: Settings, name: str = CONFIGURED_POLICY, **changes: Any) -> RetrainingPolicy:
    """What the settings say, or would with some changes."""
    watched = settings.monitor.model_dump(
        include={"every_days", "on_drift", "on_loss", "cooldown_days", "max_retrains", "period_days"}
    )
    return RetrainingPolicy(name, **{**watched, "tested": True, **changes})


def list_variant_trials(settings: Settings) -> list[PolicyTrial]:
    """Other settings, and other lengths of what is learnt from."""
    tried = [(every, shadow) for every in (0, WEEK, 2 * WEEK, MONTH) for shadow in (3, WEEK, 2 * WEEK)]
    grid = [
        PolicyTrial(
            build_configured_policy(settings, f"every {every or '-':>2}, shadow {shadow:>2}", every_days=every),
            {"shadow_days": shadow},
        )
        for every, shadow in tried
    ]
    less = [
        PolicyTrial(build_configured_policy(settings, f"ours, {name} false", **{name: False}))
        for name in ("on_drift", "on_loss")
    ]
    spans = [
        PolicyTrial(replace(policy, name=f"{policy.name}, last {days} days", learn_days=days))
        for policy in (build_configured_policy(settings), RetrainingPolicy("monthly", every_days=MONTH))
        for days in (QUARTER, HALF_YEAR)
    ]
    return [*grid, *less, PolicyTrial(RetrainingPolicy("every 14, untested", every_days=2 * WEEK)), *spans]


def run_backtest(settings: Settings, history: BacktestData, trials: Sequence[PolicyTrial]) -> Iterator[PolicyResult]:
    """Play every trial, as many at once as there are cores; the fits that several share are made first."""
    os.environ.update(parallel.SINGLE_THREAD_ENVIRONMENT)
    shared = [*range(history.first_unlearnt_day, BacktestHistory(history, settings).end, WEEK)]
    with ProcessPoolExecutor(
        parallel.count_parallel_tasks(), get_context("spawn")
    ) as pool:  # polars doesn't survive a fork
        list(pool.map(functools.partial(_fit_shared_model, settings, history), reversed(shared)))
        yield from pool.map(functools.partial(_run_trial, settings, history), trials)


def _fit_shared_model(settings: Settings, history: BacktestData, end: int) -> None:
    BacktestHistory(history, settings).fit(end, 0)


def _run_trial(settings: Settings, history: BacktestData, trial: PolicyTrial) -> PolicyResult:
    past, terms = BacktestHistory(history, settings), settings.promotion.model_copy(update=trial.promotion)
    began = time.process_time()
    course = simulate_policy(trial.policy, past, terms)
    watching = time.process_time() - began - past.spent_seconds
    cpu_seconds = past.cpu_seconds + watching
    losses, days = _collect_served_losses(past, course)
    promotions, rollbacks = (
        course.count_mistakes(what, past, settings.backtest.hindsight_days) for what in ("promote", "roll back")
    )
    return PolicyResult(trial, course, losses, days, promotions, rollbacks, cpu_seconds)


def _collect_served_losses(past: BacktestHistory, course: PolicyRun) -> tuple[np.ndarray, np.ndarray]:
    """The losses of all rows as they were served, and their days."""
    found = np.full(len(past.day), np.nan)
    for fit in set(course.served.values()):
        days = [day for day, served in course.served.items() if served == fit]
        later = past.day >= fit.end
        rows = np.isin(past.day, days)
        found[rows] = past.row_losses(fit)[rows[later]]
    served = ~np.isnan(found)
    return found[served], past.day[served]
