"""Where a model is good and where it isn't: scores by named slice, and slices that nobody had thought of."""

from collections.abc import Sequence
from itertools import combinations, pairwise

import numpy as np
import polars as pl

from penumbra.core.metrics.losses import compute_row_losses, get_primary_metric
from penumbra.core.task import Task
from penumbra.training import bootstrap

SLICE_BINS = 4
WORST_SLICE_SCHEMA = {
    "slice": pl.String,
    "rows": pl.Int64,
    "days": pl.Int64,
    "excess": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
}


def find_slice_members(rows: pl.DataFrame, columns: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """Every slice "column=value", in the order of columns and values, and which rows it has: bool [slices, n]."""
    names, belongs = [], []
    for column in columns:
        for value in rows[column].drop_nulls().unique().sort():
            names.append(f"{column}={value}")
            belongs.append((rows[column] == value).fill_null(value=False).to_numpy())
    return names, np.array(belongs, dtype=bool).reshape(len(names), len(rows))


def count_slice_days(belongs: np.ndarray, days: np.ndarray) -> np.ndarray:
    """How many days each slice [k, n] has rows on: int [k]."""
    return np.array([len(np.unique(days[rows])) for rows in belongs], dtype=int)


def score_slices(
    task: Task, labels: np.ndarray, predictions: np.ndarray, days: np.ndarray, named: pl.DataFrame
) -> pl.DataFrame:
    """One line a slice and metric: `slice`, `rows`, `days`, `metric`, `value`, `low`, `high`. `named` has a column for
    each way of slicing the rows. Of a slice with a single class there is the primary metric only."""
    lines = []
    for name, belongs in zip(*find_slice_members(named, named.columns), strict=True):
        found = _score_slice(task, labels[belongs], predictions[belongs], days[belongs])
        size = {"slice": name, "rows": int(belongs.sum()), "days": len(np.unique(days[belongs]))}
        lines += [{**size, "metric": metric, **vars(interval)} for metric, interval in found.items()]
    return pl.DataFrame(lines)


def _score_slice(
    task: Task, labels: np.ndarray, predictions: np.ndarray, days: np.ndarray
) -> dict[str, bootstrap.Interval]:
    try:
        return bootstrap.compute_metric_intervals(task, labels, predictions, days)
    except ValueError:
        losses = compute_row_losses(task, labels, predictions)
        return {get_primary_metric(task): bootstrap.compute_mean_interval(losses, days)}


def find_worst_slices(
    features: pl.DataFrame,
    losses: np.ndarray,
    days: np.ndarray,
    most: int = 10,
    min_rows: int = 200,
    min_days: int = 20,
    confidence: float = 0.95,
) -> pl.DataFrame:
    """Where the loss exceeds the average of the same day most surely: values of single features and of pairs of them,
    numbers by quarters, at most half of all rows. Columns `slice`, `rows`, `days`, `excess`, `low`, `high`, in falling
    order of `low`.

    Thousands of slices are looked at, and some are bad by chance: the limits hold for all of them together (Bonferroni,
    on Student's t), so that a `low` above 0 is no accident. A pair is left out where one of its two stands before it.
    """
    day = np.unique(days, return_inverse=True)[1]
    excess = losses - (np.bincount(day, losses) / np.bincount(day))[day]
    binned = {name: _bin_feature(features[name]) for name in features.columns}
    ways = [*((name,) for name in binned), *combinations(binned, 2)]
    tables = [_tabulate_slices([binned[name] for name in way], excess, day) for way in ways]
    slices = [(way, *each) for way, table in zip(ways, tables, strict=True) for each in zip(*table, strict=True)]
    kept = [each for each in slices if _is_eligible(each[3], min_rows, len(losses) / 2, min_days)]
    if not kept:
        return pl.DataFrame(schema=WORST_SLICE_SCHEMA)
    return _drop_nested_slices(_rank_slices(kept, confidence)).head(most)


def _is_eligible(rows: np.ndarray, least: float, most: float, min_days: int) -> bool:
    return bool(least <= rows.sum() <= most and (rows > 0).sum() >= min_days)


def _rank_slices(slices: list, confidence: float) -> pl.DataFrame:
    """Each slice is its features, its values, and its sums and rows by day."""
    sums, rows = (np.array([each[part] for each in slices]) for part in (2, 3))
    pulls = bootstrap.convert_sums_to_contributions(sums, rows)
    low, high = bootstrap.compute_joint_limits(pulls, confidence)
    parts = [[f"{name}={value}" for name, value in zip(*each[:2], strict=True)] for each in slices]
    names = [" and ".join(each) for each in parts]
    found = names, rows.sum(axis=1).astype(int), (rows > 0).sum(axis=1), pulls.mean(axis=1), low, high
    return (
        pl.DataFrame(dict(zip(WORST_SLICE_SCHEMA, found, strict=True)), WORST_SLICE_SCHEMA)
        .with_columns(parts=pl.Series(parts))
        .sort("low", descending=True)
    )


def _drop_nested_slices(ranked: pl.DataFrame) -> pl.DataFrame:
    seen: set[str] = set()
    keep = []
    for parts in ranked["parts"]:
        keep.append(not seen & set(parts))
        seen |= set(parts) if len(parts) == 1 else set()
    return ranked.filter(pl.Series(keep, dtype=pl.Boolean)).drop("parts")


def _bin_feature(feature: pl.Series) -> tuple[np.ndarray, list[str]]:
    """Each row's code, and what the codes mean: categories and numbers of few values as they are, others by
    quarters."""
    if feature.dtype.is_numeric() and feature.n_unique() > 2 * SLICE_BINS:
        return _bin_by_quartile(feature.cast(pl.Float64).to_numpy())
    text = (feature.fill_nan(None) if feature.dtype.is_float() else feature).cast(pl.String).fill_null("missing")
    values = text.unique().sort()
    return text.replace_strict(values, np.arange(len(values))).to_numpy(), values.to_list()


def _bin_by_quartile(numbers: np.ndarray) -> tuple[np.ndarray, list[str]]:
    edges = np.unique(np.nanquantile(numbers, np.arange(1, SLICE_BINS) / SLICE_BINS))
    between = [f"{low:g} to {high:g}" for low, high in pairwise(edges)]
    names = [f"below {edges[0]:g}", *between, f"from {edges[-1]:g}", "missing"]
    return np.where(np.isnan(numbers), len(edges) + 1, np.digitize(numbers, edges)), names


def _tabulate_slices(binned: list, excess: np.ndarray, day: np.ndarray) -> tuple[list, np.ndarray, np.ndarray]:
    """Of each combination of values of these features: the values, and the excess and rows by day, [k, days]."""
    sizes = [len(values) for _, values in binned]
    cell = np.ravel_multi_index([codes for codes, _ in binned], sizes)
    shape = int(np.prod(sizes)), int(day.max()) + 1
    place = cell * shape[1] + day
    sums, rows = (np.bincount(place, weights, shape[0] * shape[1]).reshape(shape) for weights in (excess, None))
    values = [
        tuple(names[part] for (_, names), part in zip(binned, np.unravel_index(each, sizes), strict=True))
        for each in range(shape[0])
    ]
    return values, sums, rows
