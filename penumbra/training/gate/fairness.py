"""The check of the gate that no two groups of a sensitive column differ by too much.

It asks each pair of groups (Holm), with the same share of the error for each column: one of many groups takes nothing
from the others.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from penumbra.core.metrics.group_metrics import GROUP_COMPARISONS, JUDGED_COMPARISONS
from penumbra.core.task import TaskKind
from penumbra.core.text.counts import format_count
from penumbra.core.text.quoting import escape_text, list_beginning, list_names
from penumbra.core.text.tables import format_number
from penumbra.training.evaluation import bootstrap
from penumbra.training.evaluation.group_scores import MAX_GROUPS, MIN_GROUP_ROWS, GroupMetric, read_group_metrics
from penumbra.training.gate.gate_checks import (
    NOT_ENOUGH_DATA,
    GateCheck,
    GateLimits,
    GateVerdict,
    describe_limit_setting,
)
from penumbra.training.gate.gate_comparisons import reject_hypotheses

MAX_NAMED_PAIRS = 5


@dataclass(frozen=True)
class GroupSums:
    """The sums of a model's metrics by group and day.

    Args:
        candidate: The candidate's, with the columns of `GROUP_SUM_SCHEMA`.
        live: The live model's on the same rows; None where it has none.
        kind: The kind of task.
        unit: What the limits are shares of: 1 for classes, of numbers the baseline's mean absolute error.
        columns: The sensitive columns, with those of which no row has a group.
    """

    candidate: pl.DataFrame
    live: pl.DataFrame | None
    kind: TaskKind
    unit: float = 1.0
    columns: Sequence[str] = ()

    @property
    def judged_metrics(self) -> Sequence[str]:
        """The metrics whose differences the gate judges."""
        return GROUP_COMPARISONS[self.kind][JUDGED_COMPARISONS[self.kind]]


def check_fairness(sums: GroupSums, limits: GateLimits) -> GateCheck:
    """Check that no two groups of a sensitive column differ by too much, beyond doubt.

    Two groups may differ by `fairness_limit`; where they differ by more with the live model, by `fairness_margin` more
    than with it. What is judged follows from the task, see `JUDGED_COMPARISONS`.

    Args:
        sums: What the models do by group.
        limits: `confidence`, `min_days`, `fairness_limit` and `fairness_margin` are used. Nothing is said of groups
            with fewer than 50 rows that count, or on fewer days.

    Returns:
        The check, measured on the two groups that exceed what is allowed most, or come nearest to it: "not enough data"
        where of some sensitive column fewer than two groups have rows enough for one of the metrics that are judged,
        unless others differ by too much.
    """
    judged = [each for each in _read_metrics(sums.candidate, limits) if each.metric in sums.judged_metrics]
    kept = [each for each in judged if len(each.groups) > 1]
    limit, left_out = limits.fairness_limit * sums.unit, _describe_left_out(judged, limits.min_days)
    if not kept:
        needed = f"two groups with {MIN_GROUP_ROWS} rows that count, on {format_count(limits.min_days, 'day')}"
        return GateCheck(
            "fairness", float("nan"), limit, NOT_ENOUGH_DATA, f"no sensitive column has {needed}{left_out}"
        )
    p_values, allowed = _compute_pair_values(kept, sums, limits)
    means = np.concatenate([each.differences.mean(axis=1) for each in kept])
    is_unfair = _find_unfair_pairs(kept, p_values, limits.confidence)
    worst = int(np.where(is_unfair | ~is_unfair.any(), means - allowed, -np.inf).argmax())
    if is_unfair.any():
        named = _name_pairs(kept, np.flatnonzero(is_unfair)) + left_out + describe_limit_setting("gate.fairness_limit")
        sentence = f"{_describe_limit(sums, limits)} is exceeded: {named}"
        return GateCheck("fairness", float(means[worst]), float(allowed[worst]), "fail", sentence)
    known = {(each.column, each.metric) for each in kept}
    columns = dict.fromkeys([*sums.candidate["column"].unique().sort(), *sums.columns])
    unknown = [
        (column, metric) for column in columns for metric in sums.judged_metrics if (column, metric) not in known
    ]
    sentence = f"of {list_names(sorted({column for column, _ in known}))} no groups are shown to exceed "
    sentence += _describe_limit(sums, limits)
    sentence += f"; {_name_pairs(kept, np.array([worst]))} may be chance" if means[worst] > allowed[worst] else ""
    names = [f"{metric.replace('_', ' ')} of {column}" for column, metric in unknown]
    sentence += f"; {list_names(names)} can't be judged" if names else ""
    verdict: GateVerdict = NOT_ENOUGH_DATA if names else "pass"
    return GateCheck("fairness", float(means[worst]), float(allowed[worst]), verdict, sentence + left_out)


def _read_metrics(sums: pl.DataFrame, limits: GateLimits) -> Iterator[GroupMetric]:
    return read_group_metrics(sums, min_days=limits.min_days)


def _find_unfair_pairs(kept: Sequence[GroupMetric], p_values: np.ndarray, confidence: float) -> np.ndarray:
    """Find the pairs that surely differ by too much: Holm within each column, whose confidences hold together."""
    columns = np.repeat([each.column for each in kept], [len(each.pairs) for each in kept])
    of_column, is_unfair = 1 - (1 - confidence) / len(set(columns)), np.zeros(len(columns), bool)
    for column in set(columns):
        is_unfair[columns == column], _ = reject_hypotheses(p_values[columns == column], of_column)
    return is_unfair


def _compute_pair_values(
    kept: Sequence[GroupMetric], sums: GroupSums, limits: GateLimits
) -> tuple[np.ndarray, np.ndarray]:
    """Compute for each ordered pair of groups of each metric the p-value of a difference that is allowed, and what is.

    A difference d is more than max(limit, |live| + margin) where it is beyond the limit, and both d - live and d + live
    are beyond the margin: all three have to be shown, so the largest p-value counts (intersection-union).
    """
    limit, margin = limits.fairness_limit * sums.unit, limits.fairness_margin * sums.unit
    p_values = [bootstrap.compute_p_values(each.differences, limit) for each in kept]
    allowed = [np.full(len(each.pairs), limit) for each in kept]
    if sums.live is not None:
        of_live = {(each.column, each.metric): each for each in _read_metrics(sums.live, limits)}
        for at, each in enumerate(kept):
            live = of_live[each.column, each.metric].differences
            more = [bootstrap.compute_p_values(each.differences + sign * live, margin) for sign in (-1, 1)]
            p_values[at] = np.max([p_values[at], *more], axis=0)
            allowed[at] = np.maximum(limit, np.abs(live.mean(axis=1)) + margin)
    return np.concatenate(p_values), np.concatenate(allowed)


def _describe_limit(sums: GroupSums, limits: GateLimits) -> str:
    name = JUDGED_COMPARISONS[sums.kind].replace("_", " ")
    limit, margin = (format_number(each * sums.unit) for each in (limits.fairness_limit, limits.fairness_margin))
    beside = "" if sums.live is None else f", or the live model's and {margin}"
    return f"a difference in {name} of {limit}{beside}"


def _describe_left_out(judged: Sequence[GroupMetric], min_days: int) -> str:
    sizes = [(f"{each.column}={group}", *size) for each in judged for group, size in each.left_out.items()]
    few = {  # of several rates the one with the fewest rows
        name: f"{name} ({rows} of {MIN_GROUP_ROWS} rows)"
        if rows < MIN_GROUP_ROWS
        else f"{name} ({days} of {format_count(min_days, 'day')})"
        for name, rows, days in sorted(sizes, reverse=True)
    }
    parts = [f"too little of {list_names(reversed(few.values()))}"] if few else []
    beyond = {each.column: each.beyond for each in judged if each.beyond}
    parts += [
        f"{format_count(count, 'group')} of {column} beyond its {MAX_GROUPS} largest"
        for column, count in beyond.items()
    ]
    return "".join(f"; {part}" for part in parts)


def _name_pairs(kept: Sequence[GroupMetric], unfair: np.ndarray) -> str:
    pairs = [(each, first, second) for each in kept for first, second in each.pairs]
    return list_beginning([_describe_pair(*pairs[at]) for at in unfair], MAX_NAMED_PAIRS)


def _describe_pair(metric: GroupMetric, first: int, second: int) -> str:
    higher, lower = (format_number(metric.contributions[at].mean()) for at in (first, second))
    names = escape_text(metric.groups[first]), escape_text(metric.groups[second])
    return f"{metric.metric.replace('_', ' ')} of {metric.column}={names[0]} {higher}, of {names[1]} {lower}"
