"""Fairness: metrics by group of the sensitive columns with intervals over days, and the check of the gate.

Differences are between the group with the highest and the one with the lowest value, as in fairlearn. Of several groups
that don't differ at all one is highest by chance, so the interval of a difference holds for all pairs of groups
together, and the check asks each pair (Holm), with the same share of the error for each column: one of many groups
takes nothing from the others.
"""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
import polars as pl

from penumbra.core.columns import DAY_COLUMN
from penumbra.core.metrics.group_metrics import GROUP_COMPARISONS, JUDGED_COMPARISONS
from penumbra.core.task import TaskKind
from penumbra.core.text.quoting import escape_text, list_beginning, list_names
from penumbra.core.text.tables import format_number
from penumbra.training import bootstrap
from penumbra.training.gate_checks import NOT_ENOUGH_DATA, GateCheck, GateLimits, GateVerdict, describe_limit_setting
from penumbra.training.gate_comparisons import reject_hypotheses

MIN_GROUP_ROWS = 50  # rows that count for a metric, of a group that is compared
MAX_GROUPS = 20  # of a column, those with the most rows
MAX_NAMED_PAIRS = 5
GROUP_SCORE_SCHEMA = {
    **{"column": pl.String, "group": pl.String, "rows": pl.Int64, "days": pl.Int64, "metric": pl.String},
    **{"value": pl.Float64, "low": pl.Float64, "high": pl.Float64},
}
COMPARISON_SCHEMA = {
    **{"column": pl.String, "comparison": pl.String, "value": pl.Float64, "low": pl.Float64, "high": pl.Float64},
    **{"highest": pl.String, "lowest": pl.String, "ratio": pl.Float64},
}


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


@dataclass(frozen=True)
class GroupMetric:
    """One metric of the groups of one column that have rows enough.

    Args:
        column: The sensitive column.
        metric: The metric.
        groups: The groups.
        rows: How many rows of each count, int64 [groups].
        day_sums: The sum of what counts of each day, float64 [groups, days].
        day_rows: The rows that count of each day, float64 [groups, days].
        left_out: The groups with too few rows or days.
        beyond: How many groups of the column are not among its largest, of which alone all this is.
    """

    column: str
    metric: str
    groups: list[str]
    rows: np.ndarray
    day_sums: np.ndarray
    day_rows: np.ndarray
    left_out: list[str]
    beyond: int

    @functools.cached_property
    def contributions(self) -> np.ndarray:
        """Each day's contribution to the groups' values, float64 [groups, days]."""
        return bootstrap.convert_sums_to_contributions(self.day_sums, self.day_rows)

    @property
    def pairs(self) -> np.ndarray:
        """The positions of all ordered pairs of groups, int64 [pairs, 2]."""
        return np.array(list(permutations(range(len(self.groups)), 2)), int).reshape(-1, 2)

    @property
    def differences(self) -> np.ndarray:
        """Each day's contribution to the first group's value less the second's, float64 [pairs, days]."""
        first, second = self.pairs.T
        return np.asarray(self.contributions[first] - self.contributions[second])


def read_group_metrics(sums: pl.DataFrame, min_rows: int = MIN_GROUP_ROWS, min_days: int = 1) -> Iterator[GroupMetric]:
    """Read the metrics of groups from sums by day.

    Args:
        sums: The columns of `GROUP_SUM_SCHEMA`.
        min_rows: The fewest rows that count, of a group that is compared.
        min_days: The fewest days that these are on.

    Yields:
        Each metric of each column, in their order. All have the same days.
    """
    days = sums.select(pl.col(DAY_COLUMN).unique().sort())
    for _, of_column in sums.group_by("column", maintain_order=True):
        of_groups = (
            of_column.group_by("group", "metric").agg(pl.col("rows").sum()).group_by("group").agg(pl.max("rows"))
        )
        largest = of_groups.sort("rows", "group", descending=[True, False]).head(MAX_GROUPS)["group"]
        for _, of_metric in of_column.group_by("metric", maintain_order=True):
            yield _read_metric(of_metric, days, largest, (min_rows, min_days), of_groups.height - len(largest))


def _read_metric(
    of_metric: pl.DataFrame, days: pl.DataFrame, largest: pl.Series, least: tuple[int, int], beyond: int
) -> GroupMetric:
    """Read one metric of the largest groups of a column; `least` are the fewest rows and days of a group."""
    sizes = of_metric.group_by("group").agg(pl.col("rows").sum(), days=pl.len())
    enough = pl.col("group").is_in(largest.implode()) & (pl.col("rows") >= least[0]) & (pl.col("days") >= least[1])
    kept = sizes.filter(enough).sort("group")
    by_day = [
        days.join(of_metric.filter(pl.col("group") == group), on=DAY_COLUMN, how="left").sort(DAY_COLUMN)
        for group in kept["group"]
    ]
    totals, rows = (
        np.array([each[name].fill_null(0).to_numpy() for each in by_day], float).reshape(-1, days.height)
        for name in ("sum", "rows")
    )
    left_out = sorted(set(largest) - set(kept["group"]))
    column, metric = (of_metric[name][0] for name in ("column", "metric"))
    groups = kept["group"].to_list()
    return GroupMetric(column, metric, groups, kept["rows"].to_numpy(), totals, rows, left_out, beyond)


def score_groups(sums: pl.DataFrame, confidence: float = 0.95) -> pl.DataFrame:
    """Compute every metric of every group, with its interval over the days that have such rows, as that of a slice.

    Args:
        sums: The columns of `GROUP_SUM_SCHEMA`.
        confidence: Two-sided confidence of each interval.

    Returns:
        The columns of `GROUP_SCORE_SCHEMA`; where there are too few days to tell, an interval covers every value that
        the metric can have.
    """
    found = []
    for each in read_group_metrics(sums, min_rows=1):
        days_of_groups = zip(each.groups, each.rows.tolist(), each.day_sums, each.day_rows, strict=True)
        for group, count, of_days, rows in days_of_groups:
            met = rows > 0
            interval = bootstrap.compute_day_sum_interval(each.metric, of_days[met], rows[met], confidence)
            found.append((each.column, group, count, int(met.sum()), each.metric, *vars(interval).values()))
    return pl.DataFrame(found, GROUP_SCORE_SCHEMA, orient="row").sort("column", "group", maintain_order=True)


def compare_groups(
    sums: pl.DataFrame, kind: TaskKind, min_days: int = 1, confidence: float = 0.95, in_blocks: bool = True
) -> pl.DataFrame:
    """Compute the largest differences between groups, and the least ratios.

    Args:
        sums: The columns of `GROUP_SUM_SCHEMA`.
        kind: The kind of task.
        min_days: The fewest days of a group.
        confidence: Two-sided confidence of the interval, for all pairs of groups together.
        in_blocks: Whether neighbouring days may resemble each other, which takes two blocks of five days to allow for;
            False for a window of fewer days.

    Returns:
        The columns of `COMPARISON_SCHEMA`: for each column and comparison (`demographic_parity`, `equalized_odds`, …)
        the largest difference with its interval, the groups that differ so, and the least ratio of two groups' values;
        NaN for numbers, whose ratios say nothing. Nothing where fewer than two groups have rows enough, for equalized
        odds of each of the two rates.
    """
    metrics = {(each.column, each.metric): each for each in read_group_metrics(sums, min_days=min_days)}
    found = []
    for column in dict.fromkeys(column for column, _ in metrics):
        for name, parts in GROUP_COMPARISONS[kind].items():
            compared = [metrics[column, part] for part in parts if (column, part) in metrics]
            if sum(len(each.groups) > 1 for each in compared) == len(parts):
                ratio = float("nan") if kind == "regression" else min(map(_compute_ratio, compared))
                found.append((column, name, *_find_largest_difference(compared, confidence, in_blocks), ratio))
    return pl.DataFrame(found, COMPARISON_SCHEMA, orient="row")


def _find_largest_difference(
    compared: list[GroupMetric], confidence: float, in_blocks: bool
) -> tuple[float, float, float, str, str]:
    """The largest difference of any of these metrics with its limits, and the two groups."""
    differences = np.concatenate([each.differences for each in compared])
    pairs = [(each.groups[a], each.groups[b]) for each in compared for a, b in each.pairs]
    limits = _compute_block_limits if in_blocks else _compute_day_limits
    low, high = limits(differences, confidence)
    largest = int((means := differences.mean(axis=1)).argmax())
    return float(means[largest]), float(low[largest]), float(high[largest]), *pairs[largest]


def _compute_block_limits(contributions: np.ndarray, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    errors = bootstrap.compute_standard_errors(contributions)
    return bootstrap.compute_joint_limits(contributions.mean(axis=1), errors, contributions.shape[1], confidence)


def _compute_day_limits(contributions: np.ndarray, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """By Student's t over days, for all means together (Bonferroni); NaN of a single day."""
    from scipy.special import stdtrit

    count, days = contributions.shape
    if days == 1:
        return np.full(count, np.nan), np.full(count, np.nan)
    reach = stdtrit(days - 1, 1 - (1 - confidence) / 2 / count) * contributions.std(axis=1, ddof=1) / np.sqrt(days)
    return contributions.mean(axis=1) - reach, contributions.mean(axis=1) + reach


def _compute_ratio(metric: GroupMetric) -> float:
    """The lowest value over the highest; NaN where that is 0."""
    values = metric.contributions.mean(axis=1)
    return float(values.min() / values.max()) if len(values) and values.max() > 0 else float("nan")


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
    limit, left_out = limits.fairness_limit * sums.unit, _describe_left_out(judged)
    if not kept:
        needed = f"two groups with {MIN_GROUP_ROWS} rows that count, on {limits.min_days} days"
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


def _describe_left_out(judged: Sequence[GroupMetric]) -> str:
    few = list(dict.fromkeys(f"{each.column}={group}" for each in judged for group in each.left_out))
    beyond = {each.column: each.beyond for each in judged if each.beyond}
    parts = [f"{count:,} groups of {column} are not among its {MAX_GROUPS} largest" for column, count in beyond.items()]
    return "".join(f"; {part}" for part in [*([f"too few rows of {list_names(few)}"] if few else []), *parts])


def _name_pairs(kept: Sequence[GroupMetric], unfair: np.ndarray) -> str:
    pairs = [(each, first, second) for each in kept for first, second in each.pairs]
    return list_beginning([_describe_pair(*pairs[at]) for at in unfair], MAX_NAMED_PAIRS)


def _describe_pair(metric: GroupMetric, first: int, second: int) -> str:
    higher, lower = (format_number(metric.contributions[at].mean()) for at in (first, second))
    names = escape_text(metric.groups[first]), escape_text(metric.groups[second])
    return f"{metric.metric.replace('_', ' ')} of {metric.column}={names[0]} {higher}, of {names[1]} {lower}"
