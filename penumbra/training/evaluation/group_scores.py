"""Metrics by group of the sensitive columns, with intervals over days, and the largest differences between groups.

Differences are between the group with the highest and the one with the lowest value, as in fairlearn. Of several groups
that don't differ at all one is highest by chance, so the interval of a difference holds for all pairs of groups
together.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations

import numpy as np
import polars as pl

from penumbra.core.columns import DAY_COLUMN
from penumbra.core.metrics.group_metrics import GROUP_COMPARISONS
from penumbra.core.task import TaskKind
from penumbra.training.evaluation import bootstrap, metric_intervals

MIN_GROUP_ROWS = 50  # rows that count for a metric, of a group that is compared
MAX_GROUPS = 20  # of a column, those with the most rows
CONFIDENCE = 0.95  # of differences on few days, two-sided
GROUP_SCORE_SCHEMA = {
    **{"column": pl.String, "group": pl.String, "rows": pl.Int64, "days": pl.Int64, "metric": pl.String},
    **{"value": pl.Float64, "low": pl.Float64, "high": pl.Float64},
}
COMPARISON_SCHEMA = {
    **{"column": pl.String, "comparison": pl.String, "value": pl.Float64, "low": pl.Float64, "high": pl.Float64},
    **{"highest": pl.String, "lowest": pl.String, "ratio": pl.Float64},
}


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
        left_out: The groups with too few rows or days, with how many they have.
        beyond: How many groups of the column are not among its largest, of which alone all this is.
    """

    column: str
    metric: str
    groups: list[str]
    rows: np.ndarray
    day_sums: np.ndarray
    day_rows: np.ndarray
    left_out: dict[str, tuple[int, int]]
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
    counted = {group: (count, days) for group, count, days in sizes.select("group", "rows", "days").iter_rows()}
    left_out = {group: counted.get(group, (0, 0)) for group in sorted(set(largest) - set(kept["group"]))}
    column, metric = (of_metric[name][0] for name in ("column", "metric"))
    groups = kept["group"].to_list()
    return GroupMetric(column, metric, groups, kept["rows"].to_numpy(), totals, rows, left_out, beyond)


def score_groups(sums: pl.DataFrame) -> pl.DataFrame:
    """Compute every metric of every group, with its interval over the days that have such rows, as that of a slice.

    Args:
        sums: The columns of `GROUP_SUM_SCHEMA`.

    Returns:
        The columns of `GROUP_SCORE_SCHEMA`; where there are too few days to tell, both limits are infinite.
    """
    found = []
    for each in read_group_metrics(sums, min_rows=1):
        for group, count, of_days, rows in zip(
            each.groups, each.rows.tolist(), each.day_sums, each.day_rows, strict=True
        ):
            met = rows > 0
            interval = metric_intervals.compute_day_sum_interval(each.metric, of_days[met], rows[met])
            found.append((each.column, group, count, int(met.sum()), each.metric, *vars(interval).values()))
    return pl.DataFrame(found, GROUP_SCORE_SCHEMA, orient="row").sort("column", "group", maintain_order=True)


def compare_groups(sums: pl.DataFrame, kind: TaskKind, in_blocks: bool = True) -> pl.DataFrame:
    """Compute the largest differences between groups, and the least ratios.

    Args:
        sums: The columns of `GROUP_SUM_SCHEMA`.
        kind: The kind of task.
        in_blocks: Whether neighbouring days may resemble each other, which takes two blocks of five days to allow for;
            False for a window of fewer days.

    Returns:
        The columns of `COMPARISON_SCHEMA`: for each column and comparison (`demographic_parity`, `equalized_odds`, …)
        the largest difference with its 95 % interval for all pairs of groups together, the groups that differ so, and
        the least ratio of two groups' values; NaN for numbers, whose ratios say nothing. Nothing where fewer than two
        groups have rows enough, for equalized odds of each of the two rates.
    """
    metrics = {(each.column, each.metric): each for each in read_group_metrics(sums)}
    found = []
    for column in dict.fromkeys(column for column, _ in metrics):
        for name, parts in GROUP_COMPARISONS[kind].items():
            compared = [metrics[column, part] for part in parts if (column, part) in metrics]
            if sum(len(each.groups) > 1 for each in compared) == len(parts):
                is_rate = kind != "regression"
                ratio = min(map(_compute_ratio, compared)) if is_rate else float("nan")
                largest = _find_largest_difference(compared, in_blocks, 1.0 if is_rate else np.inf)
                found.append((column, name, *largest, ratio))
    return pl.DataFrame(found, COMPARISON_SCHEMA, orient="row")


def _find_largest_difference(
    compared: list[GroupMetric], in_blocks: bool, most: float
) -> tuple[float, float, float, str, str]:
    """The largest difference of any of these metrics with its limits, within -most to most, and the two groups."""
    differences = np.concatenate([each.differences for each in compared])
    pairs = [(each.groups[a], each.groups[b]) for each in compared for a, b in each.pairs]
    limits = _compute_block_limits if in_blocks else _compute_day_limits
    low, high = (np.where(np.isinf(each), each, np.clip(each, -most, most)) for each in limits(differences))
    largest = int((means := differences.mean(axis=1)).argmax())
    return float(means[largest]), float(low[largest]), float(high[largest]), *pairs[largest]


def _compute_block_limits(contributions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    errors = bootstrap.compute_standard_errors(contributions)
    return bootstrap.compute_joint_limits(contributions.mean(axis=1), errors, contributions.shape[1])


def _compute_day_limits(contributions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """By Student's t over days, for all means together (Bonferroni); NaN of a single day."""
    from scipy.special import stdtrit

    count, days = contributions.shape
    if days == 1:
        return np.full(count, np.nan), np.full(count, np.nan)
    reach = stdtrit(days - 1, 1 - (1 - CONFIDENCE) / 2 / count) * contributions.std(axis=1, ddof=1) / np.sqrt(days)
    return contributions.mean(axis=1) - reach, contributions.mean(axis=1) + reach


def _compute_ratio(metric: GroupMetric) -> float:
    """The lowest value over the highest; NaN where that is 0."""
    values = metric.contributions.mean(axis=1)
    return float(values.min() / values.max()) if len(values) and values.max() > 0 else float("nan")
