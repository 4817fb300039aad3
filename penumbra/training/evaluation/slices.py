"""Scores of a model by slice, and the search for slices with a higher loss that nobody has named."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import polars as pl

from penumbra.core.columns import COUNT_COLUMN
from penumbra.core.task import Task
from penumbra.core.text.quoting import escape_text
from penumbra.training.evaluation import bootstrap, metric_intervals

SLICE_BINS = 4
MAX_SLICE_VALUES = 100  # of a column, that are looked at one by one
CodedFeature = tuple[np.ndarray, list[str]]  # the code of each row, int64 [n], and the meaning of each code
MEASURED_SCHEMA = {
    "cell": pl.Int64,
    "rows": pl.Int64,
    "days": pl.Int64,
    "excess": pl.Float64,
    "error": pl.Float64,
}
SLICE_SCORE_SCHEMA = {
    "slice": pl.String,
    "rows": pl.Int64,
    "days": pl.Int64,
    "metric": pl.String,
    "value": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
}
WORST_SLICE_SCHEMA = {
    "slice": pl.String,
    "rows": pl.Int64,
    "days": pl.Int64,
    "excess": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
}


def find_slice_members(rows: pl.DataFrame, columns: Sequence[str]) -> Iterator[tuple[str, np.ndarray]]:
    """Find every slice "column=value" and its rows.

    Args:
        rows: Rows with these columns.
        columns: The columns to slice by.

    Yields:
        The name and which rows the slice has, bool [n], in the order of columns and values. Of a column with more than
        100 values the 100 with the most rows.
    """
    for column in columns:
        counts = (
            rows[column]
            .drop_nulls()
            .value_counts(name=COUNT_COLUMN)
            .sort(COUNT_COLUMN, column, descending=[True, False])
        )
        for value in counts[column].head(MAX_SLICE_VALUES).sort():
            yield f"{column}={escape_text(value)}", (rows[column] == value).fill_null(value=False).to_numpy()


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
        A row for each slice of `find_slice_members` and metric, none without slices; the columns are those of
        `SLICE_SCORE_SCHEMA`.
    """
    lines = []
    for name, members in find_slice_members(named, named.columns):
        found = metric_intervals.compute_defined_intervals(task, labels[members], predictions[members], days[members])
        size = {"slice": name, "rows": int(members.sum()), "days": len(np.unique(days[members]))}
        lines += [{**size, "metric": metric, **vars(interval)} for metric, interval in found.items()]
    return pl.DataFrame(lines, schema=SLICE_SCORE_SCHEMA)


def find_worst_slices(
    features: pl.DataFrame,
    losses: np.ndarray,
    days: np.ndarray,
    most: int = 10,
    min_rows: int = 200,
    min_days: int = 20,
) -> pl.DataFrame:
    """Find where the loss most certainly exceeds the average of the same day.

    Slices are values of single features and of pairs of them, numbers by quarters. Thousands are looked at, and some
    are bad by chance: the limits hold for all of them together, in 95 % of the cases (Bonferroni, on Student's t), so
    that a `low` above 0 is no accident. A pair is left out if one of its two values ranks before it. Memory goes by the
    rows.

    Args:
        features: The features, [n, k].
        losses: The loss of each row, float64 [n].
        days: The day of each row, [n], numbers or dates whose order is that of time.
        most: The largest number of slices to return.
        min_rows: The smallest number of rows of a slice; the largest is half of all.
        min_days: The smallest number of days of a slice.

    Returns:
        `slice`, `rows`, `days`, `excess` (the mean excess loss), `low` and `high`, in falling order of `low`.
    """
    day = np.unique(days, return_inverse=True)[1]
    excess = losses - (np.bincount(day, losses) / np.bincount(day))[day]
    table = SliceRows(excess, day, min_rows, min_days)
    coded = {name: table.drop_rare_values(*_bin_feature(features[name])) for name in features.columns}
    ways = [*((name,) for name in coded), *combinations(coded, 2)]
    found = pl.concat(
        [table.measure_slices([coded[name] for name in way]).with_columns(way=i) for i, way in enumerate(ways)]
    )
    means, errors = (found[name].to_numpy() for name in ("excess", "error"))
    low, high = bootstrap.compute_joint_limits(means, errors, int(day.max()) + 1)
    ranked = found.with_columns(low=low, high=high).sort("low", descending=True)
    return _name_slices(ranked, ways, coded, most)


@dataclass(frozen=True)
class SliceRows:
    """The excess loss and the day (from 0 on) of each row, [n], and how many rows and days a slice has at least."""

    excess: np.ndarray
    day: np.ndarray
    min_rows: int
    min_days: int

    def drop_rare_values(self, codes: np.ndarray, names: list[str]) -> CodedFeature:
        """Drop the values that have too few rows or days: neither they nor their pairs can be slices.

        Args:
            codes: The code of each row, int64 [n].
            names: The meaning of each code.

        Returns:
            Codes, -1 for what is dropped, and the meaning of those that are left.
        """
        rows, days = np.bincount(codes, minlength=len(names)), self._count_days(codes, len(names))
        kept = np.flatnonzero((rows >= self.min_rows) & (days >= self.min_days))
        return _recode(len(names), kept)[codes], [names[code] for code in kept]

    def measure_slices(self, coded: Sequence[CodedFeature]) -> pl.DataFrame:
        """Measure each combination of values of some features that has rows and days enough, and half the rows at most.

        Only combinations that occur are looked at, so that time and memory go by rows, not by products of values.

        Args:
            coded: The features, as `drop_rare_values` gives them.

        Returns:
            `cell` (the combination of codes as one number), `rows`, `days`, `excess` (the mean) and `error` (its
            standard error over days).
        """
        within = np.flatnonzero(np.all([codes >= 0 for codes, _ in coded], axis=0))
        cells = np.ravel_multi_index([codes[within] for codes, _ in coded], _count_values(coded))
        found, place, rows = np.unique(cells, return_inverse=True, return_counts=True)
        kept = np.flatnonzero((rows >= self.min_rows) & (rows <= len(self.day) / 2))
        place = _recode(len(found), kept)[place]
        used, within = place[place >= 0], within[place >= 0]
        shape = len(kept), int(self.day.max()) + 1
        sums, rows_by_day = (
            np.bincount(used * shape[1] + self.day[within], weights, shape[0] * shape[1]).reshape(shape)
            for weights in (self.excess[within], None)
        )
        days = (rows_by_day > 0).sum(axis=1)
        enough = days >= self.min_days
        contributions = bootstrap.convert_sums_to_contributions(sums[enough], rows_by_day[enough])
        return pl.DataFrame(
            {
                "cell": found[kept][enough],
                "rows": rows[kept][enough],
                "days": days[enough],
                "excess": contributions.mean(axis=1),
                "error": bootstrap.compute_standard_errors(contributions),
            },
            schema=MEASURED_SCHEMA,
        )

    def _count_days(self, codes: np.ndarray, count: int) -> np.ndarray:
        """Count the days of each code: int64 [count]."""
        pairs = np.unique(codes * (int(self.day.max()) + 1) + self.day)
        return np.bincount(pairs // (int(self.day.max()) + 1), minlength=count)


def _recode(count: int, kept: np.ndarray) -> np.ndarray:
    """The new number of each of `count` old ones: the place among `kept`, or -1."""
    numbers = np.full(count, -1)
    numbers[kept] = np.arange(len(kept))
    return numbers


def _count_values(coded: Sequence[CodedFeature]) -> list[int]:
    return [max(len(names), 1) for _, names in coded]


def _name_slices(
    ranked: pl.DataFrame, ways: Sequence[tuple[str, ...]], coded: Mapping[str, CodedFeature], most: int
) -> pl.DataFrame:
    """Name the first `most` slices, without pairs of which one value ranks before them."""
    seen: set[str] = set()
    named: list[dict[str, Any]] = []
    for row in ranked.iter_rows(named=True):
        way = ways[row["way"]]
        codes = np.unravel_index(row["cell"], _count_values([coded[name] for name in way]))
        parts = [f"{name}={escape_text(coded[name][1][code])}" for name, code in zip(way, codes, strict=True)]
        if not seen.intersection(parts):
            named.append({**row, "slice": " and ".join(parts)})
        seen |= set(parts) if len(parts) == 1 else set()
        if len(named) == most:
            break
    return pl.DataFrame(named, WORST_SLICE_SCHEMA)


def _bin_feature(feature: pl.Series) -> CodedFeature:
    """Code a feature: each row's code, and the meaning of each code. Categories and numbers of few values keep their
    values; other numbers are cut into quarters.
    """
    if feature.dtype.is_numeric() and feature.n_unique() > 2 * SLICE_BINS:
        return _bin_by_quartile(feature.cast(pl.Float64).to_numpy())
    text = (feature.fill_nan(None) if feature.dtype.is_float() else feature).cast(pl.String).fill_null("missing")
    values = text.unique().sort()
    return text.replace_strict(values, np.arange(len(values))).to_numpy(), values.to_list()


def _bin_by_quartile(numbers: np.ndarray) -> CodedFeature:
    edges = np.unique(np.nanquantile(numbers, np.arange(1, SLICE_BINS) / SLICE_BINS))
    between = [f"{low:g} to {high:g}" for low, high in pairwise(edges)]
    names = [f"below {edges[0]:g}", *between, f"from {edges[-1]:g}", "missing"]
    return np.where(np.isnan(numbers), len(edges) + 1, np.digitize(numbers, edges)), names
