"""Evidently reports on a window of rows, live against reference and live against candidate.

Rows come as samples; what the alarms rest on is counted over all rows elsewhere and passed in: `Figure`s, and of each
column its distance with the calibrated threshold. So no page says "drift" where the monitor doesn't.

Importing this takes 3.6 CPU seconds and 300 MB: import it in the function that makes reports.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import pandas as pd
import polars as pl

from monitoring.datasets import DECISION, LABEL, PREDICTION, dataset
from monitoring.imports import quietly
from monitoring.reportable import Columns, Figure, columns
from task import Task

with quietly():
    from evidently import Report
    from evidently.core.metric_types import SingleValue, SingleValueCalculation, SingleValueMetric
    from evidently.legacy.calculations.stattests import StatTest, register_stattest
    from evidently.legacy.core import ColumnType
    from evidently.legacy.renderers.html_widgets import table_data
    from evidently.metrics import DriftedColumnsCount, ValueDrift, column_statistics
    from evidently.presets import ClassificationPreset, DataSummaryPreset, RegressionPreset, ValueStats

EXACT = "over all rows"
UNSEEN = ("Maximum value", "Mean value", "Std value", "Quantile")
FEWEST = 10  # labelled rows, of both sides, for a look at quality
PICTURES = 6
ANY = 1e-9  # of the columns: one that is beyond its threshold is drift

Distances = Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class Sides:
    """Two samples of rows to hold against each other: raw columns with the dtypes of `declared`, `prediction`,
    `decision` and `label` (see task.py); of several classes `prediction` is the most probable one, beside a column of
    probabilities for each."""

    current: pl.DataFrame
    reference: pl.DataFrame
    task: Task
    declared: Mapping[str, Any]
    threshold: float | None = None

    def columns(self) -> Columns:
        said = pl.String() if self.task.kind == "multiclass" else pl.Float64()
        return columns(self.current, self.reference, {**self.declared, PREDICTION: said})


class Exact(SingleValueMetric):  # type: ignore[misc, unused-ignore]
    """A figure. Its value comes with the run: as a field it would make a series of each window."""

    group: str
    series: str


class ExactCalculation(SingleValueCalculation[Exact]):  # type: ignore[misc, unused-ignore]
    def calculate(self, context: Any, current_data: Any, reference_data: Any) -> SingleValue:
        figures, words = (context.additional_data[name].as_dataframe() for name in ("figures", "words"))
        mine = (figures["group"] == self.metric.group) & (figures["series"] == self.metric.series)
        result = self.result(float(figures.loc[mine, "value"].iloc[0]))
        first = bool(mine.iloc[0])
        result.widget = [_table(words)] if first else []
        return result

    def display_name(self) -> str:
        return f"{self.metric.group}: {self.metric.series}"


_picture = column_statistics.distribution


def _once(title: str, *columns: Any) -> list[Any]:
    """Of each statistic of a column Evidently draws the column's distribution, and shows that of the minimum: four
    fifths of all pictures, and a third of the work, are seen on no page."""
    return [] if title.startswith(UNSEEN) else _picture(title, *columns)


column_statistics.distribution = _once


def data(sides: Sides, distances: Distances, figures: Sequence[Figure], words: Mapping[str, str], **about: Any) -> Any:
    """A snapshot: the figures, drift of each column by its calibrated threshold, and a summary of the columns.

    `words`: what the page's first table says, by subject; the columns that were left out are added to it. `about`:
    timestamp, name, tags, metadata. Raises ValueError where no column is left to report on and there is no figure.
    """
    usable = sides.columns()
    judged = [name for name in usable.names if name in distances]
    metrics = [Exact(group=each.group, series=each.series) for each in figures]
    metrics += _drift(judged, {name: distances[name] for name in judged})
    metrics += [DataSummaryPreset(columns=usable.names)] if usable.names else []
    if not metrics:
        raise ValueError("no column is left to report on, and there is no figure")
    left_out = {f"left out: {name}": reason for name, reason in usable.left_out.items()}
    beside = {"figures": pd.DataFrame([asdict(each) for each in figures]), "words": _lines({**words, **left_out})}
    return _run(metrics, sides, usable, beside if figures else {}, about)


def quality(sides: Sides, **about: Any) -> Any | None:
    """A snapshot of how good the predictions are on labelled rows, beside those of the reference; None where there are
    too few labels, all are the same, or a class among them that the reference hasn't."""
    both = [_labelled(rows, sides.task) for rows in (sides.current, sides.reference)]
    if any(len(rows) < FEWEST or rows[LABEL].n_unique() < 2 for rows in both):
        return None
    if sides.task.kind == "multiclass" and not set(both[0][LABEL]) <= set(both[1][LABEL]):
        return None
    every = all(set(rows[LABEL]) == set(sides.task.classes) for rows in both)
    task = sides.task if every else replace(sides.task, classes=())  # probabilities of classes that never came break it
    judged = replace(sides, current=both[0], reference=both[1], declared={}, task=task)
    return _run([_quality(judged)], judged, judged.columns(), {}, about, judge=True)


def predictions(sides: Sides, **about: Any) -> Any | None:
    """A snapshot of two models' predictions of the same rows; None where a report can't be made of them."""
    usable = sides.columns()
    return _run([ValueStats(column=PREDICTION)], sides, usable, {}, about) if PREDICTION in usable.names else None


def _quality(sides: Sides) -> Any:
    if sides.task.kind == "regression":
        return RegressionPreset()
    return ClassificationPreset(probas_threshold=sides.threshold if sides.task.kind == "binary" else None)


def _drift(names: Sequence[str], distances: Distances) -> list[Any]:
    """How many columns drifted, and pictures of those and of the nearest to it: each takes a tenth of a second."""
    if not names:
        return []
    register_stattest(_STATTEST, lambda _, current, *__: (distances[current.name][0], _beyond(distances[current.name])))
    limits = {name: threshold for name, (_, threshold) in distances.items()}
    count = DriftedColumnsCount(columns=list(names), drift_share=ANY, method=EXACT, per_column_threshold=limits)
    nearest = sorted(names, key=lambda name: -distances[name][0] / max(limits[name], ANY))
    shown = [name for place, name in enumerate(nearest) if place < PICTURES or _beyond(distances[name])]
    return [count, *(ValueDrift(column=name, method=EXACT, threshold=limits[name]) for name in shown)]


_STATTEST = StatTest(EXACT, f"distance {EXACT}", [ColumnType.Numerical, ColumnType.Categorical])


def _beyond(pair: tuple[float, float]) -> bool:
    distance, threshold = pair
    return distance > threshold


def _run(
    metrics: list[Any],
    sides: Sides,
    usable: Columns,
    beside: dict[str, Any],
    about: dict[str, Any],
    judge: bool = False,
) -> Any:
    current, reference = (dataset(rows, sides.task, usable, judge) for rows in (sides.current, sides.reference))
    with warnings.catch_warnings():  # of numpy, pandas and scikit-learn, about columns that are constant or rare
        warnings.simplefilter("ignore")
        return Report(metrics).run(current, reference, additional_data=beside, **about)


def _labelled(rows: pl.DataFrame, task: Task) -> pl.DataFrame:
    """The rows with a label and a prediction, of which Evidently takes no others."""
    needed = {LABEL, PREDICTION, DECISION, *task.classes}
    if not needed <= set(rows.columns):
        return rows.clear()
    numbers = [name for name in needed if rows.schema[name].is_float()]
    usable = [pl.col(name).is_finite() for name in numbers]
    usable += [pl.col(PREDICTION).is_between(0, 1)] if task.kind == "binary" else []
    return rows.drop_nulls(sorted(needed)).filter(*usable)


def _lines(words: Mapping[str, str]) -> pd.DataFrame:
    return pd.DataFrame(list(words.items()), columns=["what", "said"])


def _table(words: pd.DataFrame) -> Any:
    return table_data(title="Counted over all rows", column_names=["", ""], data=words.to_numpy().tolist())
