"""Scores of a model by slice, and the search for slices with a higher loss that nobody has named."""

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
    """Find every slice "column=value" and its rows.

    Args:
        rows: Rows with these columns.
        columns: The columns to slice by.

    Returns:
        The names, in the order of columns and values, and which rows each has: bool [slices, n].
    """
    names, members = [], []
    for column in columns:
        for value in rows[column].drop_nulls().unique().sort():
            names.append(f"{column}={value}")
            members.append((rows[column] == value).fill_null(value=False).to_numpy())
    return names, np.array(members, dtype=bool).reshape(len(names), len(rows))


def count_slice_days(members: np.ndarray, days: np.ndarray) -> np.ndarray:
    """Count the days on which each slice has rows.

    Args:
        members: Which rows each slice has, bool [k, n].
        days: The day of each row, [n].

    Returns:
        int64 [k].
    """
    return np.array([len(np.unique(days[rows])) for rows in members], dtype=int)


def score_slices(
    task: Task, labels: np.ndarray, predictions: np.ndarray, days: np.ndarray, named: pl.DataFrame
) -> pl.DataFrame:
    """Score every named slice. A slice with a single class has the primary metric only.

    Args:
        task: The task.
        labels: The labels [n].
        predictions: The predictions, float64 [n] or [n, classes].
        days: The day of each row, [n], numbers or dates whose order is that of time.
        named: A column for each way of slicing the rows.

    Returns:
        A row for each slice and metric: `slice`, `rows`, `days`, `metric`, `value`, `low`, `high`.
    """
    lines = []
    for name, members in zip(*find_slice_members(named, named.columns), strict=True):
        found = _score_slice(task, labels[members], predictions[members], days[members])
        size = {"slice": name, "rows": int(members.sum()), "days": len(np.unique(days[members]))}
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
    """Find where the loss most certainly exceeds the average of the same day.

    Slices are values of single features and of pairs of them, numbers by quarters. Thousands are looked at, and some
    are bad by chance: the limits hold for all of them together (Bonferroni, on Student's t), so that a `low` above 0
    is no accident. A pair is left out if one of its two values ranks before it.

    Args:
        features: The features, [n, k].
        losses: The loss of each row, float64 [n].
        days: The day of each row, [n], numbers or dates whose order is that of time.
        most: The largest number of slices to return.
        min_rows: The smallest number of rows of a slice; the largest is half of all.
        min_days: The smallest number of days of a slice.
        confidence: Two-sided confidence of all limits together.

    Returns:
        `slice`, `rows`, `days`, `excess` (the mean excess loss), `low` and `high`, in falling order of `low`.
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
    """Rank slices, each of which is its features, its values, and its sums and rows by day."""
    sums, rows = (np.array([each[part] for each in slices]) for part in (2, 3))
    contributions = bootstrap.convert_sums_to_contributions(sums, rows)
    low, high = bootstrap.compute_joint_limits(contributions, confidence)
    parts = [[f"{name}={value}" for name, value in zip(*each[:2], strict=True)] for each in slices]
    names = [" and ".join(each) for each in parts]
    found = names, rows.sum(axis=1).astype(int), (rows > 0).sum(axis=1), contributions.mean(axis=1), low, high
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
    """Code a feature: each row's code, and the meaning of each code. Categories and numbers of few values keep their
    values; other numbers are cut into quarters.
    """
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
    """Sum excess and rows by day, [k, days], for each combination of values of these features."""
    sizes = [len(values) for _, values in binned]
    cell = np.ravel_multi_index([codes for codes, _ in binned], sizes)
    shape = int(np.prod(sizes)), int(day.max()) + 1
    cell_day = cell * shape[1] + day
    sums, rows = (np.bincount(cell_day, weights, shape[0] * shape[1]).reshape(shape) for weights in (excess, None))
    values = [
        tuple(names[part] for (_, names), part in zip(binned, np.unravel_index(each, sizes), strict=True))
        for each in range(shape[0])
    ]
    return values, sums, rows
