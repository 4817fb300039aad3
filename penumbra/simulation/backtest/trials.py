"""Trials of policies over the same history, side by side: what each served, in figures with intervals over days."""

import contextlib
import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from flows.steps.processes import parallel
from penumbra.core.settings import Settings
from penumbra.simulation.backtest.history import BacktestHistory
from penumbra.simulation.backtest.policies import PolicyRun, RetrainingPolicy, simulate_policy
from penumbra.simulation.backtest.prepared_data import BacktestData, BacktestRefused
from penumbra.training.evaluation import bootstrap
from penumbra.training.evaluation.bootstrap import Interval

WEEK, MONTH, QUARTER, HALF_YEAR = 7, 28, 91, 182
BASELINE_POLICY, UNTRAINED_POLICY, CONFIGURED_POLICY = "weekly", "never", "ours"
_history: BacktestHistory  # of a worker process


@dataclass(frozen=True)
class PolicyTrial:
    """A policy, and the values of section [promotion] in which it differs from the settings."""

    policy: RetrainingPolicy
    promotion: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PolicyResult:
    """The result of a trial: losses (float64 [n]) and days (int64 [n]) of served rows, and mistakes in hindsight."""

    trial: PolicyTrial
    run: PolicyRun
    losses: np.ndarray
    days: np.ndarray
    false_promotions: int
    false_rollbacks: int
    cpu_seconds: float

    @property
    def name(self) -> str:
        """The policy's name."""
        return self.trial.policy.name

    @functools.cached_property
    def loss(self) -> Interval:
        """The mean loss of a row, with its 95 % interval over days."""
        return bootstrap.compute_mean_interval(self.losses, self.days)

    def loss_difference(self, standard: "PolicyResult") -> Interval:
        """Return how much more a row lost than with the policy `standard`, with the interval over days."""
        return bootstrap.compare_paired_losses(self.losses, standard.losses, self.days)


def list_rival_trials() -> list[PolicyTrial]:
    """Return trials of the common policies, by which new models answer at once."""
    plain = (
        RetrainingPolicy(UNTRAINED_POLICY),
        RetrainingPolicy("monthly", every_days=MONTH),
        RetrainingPolicy(BASELINE_POLICY, every_days=WEEK),
    )
    return [
        PolicyTrial(policy)
        for policy in (*plain, RetrainingPolicy("drift", on_drift=True), RetrainingPolicy("loss", on_loss=True))
    ]


def build_configured_policy(settings: Settings, name: str = CONFIGURED_POLICY, **changes: Any) -> RetrainingPolicy:
    """Build the policy of the settings.

    Args:
        settings: Section [monitor] is read.
        name: The policy's name.
        changes: Fields of the policy that differ.

    Returns:
        The policy.
    """
    watched = settings.monitor.model_dump(
        include={"every_days", "on_drift", "on_loss", "cooldown_days", "max_retrains", "period_days"}
    )
    return RetrainingPolicy(name, **{**watched, "tested": True, **changes})


def list_variant_trials(settings: Settings) -> list[PolicyTrial]:
    """Return trials with other values of `settings`, and of policies that learn from the last months only."""
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


def run_backtest(
    settings: Settings, history: BacktestData, trials: Sequence[PolicyTrial]
) -> Iterator[PolicyResult | BacktestRefused]:
    """Run trials, as many at once as there are cores; the models that several share are fitted first.

    Args:
        settings: Sections [monitor], [promotion] and [backtest].
        history: The matrices and the days.
        trials: The trials.

    Yields:
        The result of each trial, in their order; or why it can't be run, where one of its models can't be fitted.
    """
    past = BacktestHistory(history, settings)
    shared = sorted({past.name_fit(end, 0).end for end in range(history.first_unlearnt_day, past.end, WEEK)})
    processes = parallel.count_parallel_tasks()
    with parallel.open_fork_pool(processes, __name__, _open_history, (history, settings)) as pool:
        list(pool.map(_fit_shared_model, reversed(shared)))
        yield from pool.map(_try_trial, trials)


def play_trial(past: BacktestHistory, trial: PolicyTrial) -> PolicyResult:
    """Play a trial.

    Args:
        past: The history, with the settings.
        trial: The trial.

    Returns:
        Its result.

    Raises:
        BacktestRefused: One of its models can't be fitted.
    """
    run = simulate_policy(trial.policy, past, past.settings.promotion.model_copy(update=trial.promotion))
    losses, days = _collect_served_losses(past, run)
    false_promotions, false_rollbacks = (
        run.count_mistakes(what, past, past.settings.backtest.hindsight_days) for what in ("promote", "roll back")
    )
    return PolicyResult(trial, run, losses, days, false_promotions, false_rollbacks, past.sum_cpu_seconds(run.fits))


def _open_history(history: BacktestData, settings: Settings) -> None:
    """Open the history that all trials of a worker process share."""
    global _history
    _history = BacktestHistory(history, settings)


def _fit_shared_model(end: int) -> None:
    with contextlib.suppress(BacktestRefused):  # the trials that need it say so
        _history.fit(end, 0)


def _try_trial(trial: PolicyTrial) -> PolicyResult | BacktestRefused:
    try:
        return play_trial(_history, trial)
    except BacktestRefused as error:
        return BacktestRefused(f"{trial.policy.name}: {error}")


def _collect_served_losses(past: BacktestHistory, run: PolicyRun) -> tuple[np.ndarray, np.ndarray]:
    """Return the losses of all rows as they were served, and their days."""
    losses = np.full(len(past.day), np.nan)
    for fit in set(run.served.values()):
        days = [day for day, served in run.served.items() if served == fit]
        rows, found = past.row_losses(fit, min(days), max(days) + 1)
        is_served = np.isin(past.day[rows], days)
        losses[rows[is_served]] = found[is_served]
    served = ~np.isnan(losses)
    return losses[served], past.day[served]
