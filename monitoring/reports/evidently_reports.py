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

from monitoring.reports.columns import ReportColumns, ReportFigure, select_report_columns
from monitoring.reports.datasets import REPORT_DECISION, REPORT_LABEL, REPORT_PREDICTION, build_dataset
from monitoring.reports.quiet_import import import_quietly
from penumbra.core.task import Task

with import_quietly():
    from evidently import Report
    from evidently.core.metric_types import SingleValue, SingleValueCalculation, SingleValueMetric
    from evidently.legacy.calculations.stattests import StatTest, register_stattest
    from evidently.legacy.core import ColumnType
    from evidently.legacy.renderers.html_widgets import table_data
    from evidently.metrics import DriftedColumnsCount, ValueDrift, column_statistics
    from evidently.presets import ClassificationPreset, DataSummaryPreset, RegressionPreset, ValueStats

EXACT_METHOD = "over all rows"
HIDDEN_STATISTICS = ("Maximum value", "Mean value", "Std value", "Quantile")
MIN_QUALITY_ROWS = 10  # labelled rows, of both sides, for a look at quality
MAX_DRIFT_PICTURES = 6
MIN_DRIFT_SHARE = 1e-9  # of the columns: one that is beyond its threshold is drift

ColumnDistances = Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class ReportSides:
    """Two samples of rows to hold against each other: raw columns with the dtypes of `declared`, `prediction`,
    `decision` and `label` (see penumbra/core/task.py); of several classes `prediction` is the most probable one, beside a column of
    probabilities for each."""

    current: pl.DataFrame
    reference: pl.DataFrame
    task: Task
    declared: Mapping[str, Any]
    threshold: float | None = None

    def columns(self) -> ReportColumns:
        said = pl.String() if self.task.kind == "multiclass" else pl.Float64()
        return select_report_columns(self.current, self.reference, {**self.declared, REPORT_PREDICTION: said})


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
        result.widget = [_build_word_table(words)] if first else []
        return result

    def display_name(self) -> str:
        return f"{self.metric.group}: {self.metric.series}"


_draw_distribution = column_statistics.distribution


def _draw_shown_distribution(title: str, *columns: Any) -> list[Any]:
    """Of each statistic of a column Evidently draws the column's distribution, and shows that of the minimum: four
    fifths of all pictures, and a third of the work, are seen on no page."""
    return [] if title.startswith(HIDDEN_STATISTICS) else _draw_distribution(title, *columns)


column_statistics.distribution = _draw_shown_distribution


def build_data_report(
    sides: ReportSides,
    distances: ColumnDistances,
    figures: Sequence[ReportFigure],
    words: Mapping[str, str],
    **about: Any,
) -> Any:
    """A snapshot: the figures, drift of each column by its calibrated threshold, and a summary of the columns.

    `words`: what the page's first table says, by subject; the columns that were left out are added to it. `about`:
    timestamp, name, tags, metadata. Raises ValueError where no column is left to report on and there is no figure.
    """
    usable = sides.columns()
    judged = [name for name in usable.names if name in distances]
    metrics = [Exact(group=each.group, series=each.series) for each in figures]
    metrics += _drift_metrics(judged, {name: distances[name] for name in judged})
    metrics += [DataSummaryPreset(columns=usable.names)] if usable.names else []
    if not metrics:
        raise ValueError("no column is left to report on, and there is no figure")
    left_out = {f"left out: {name}": reason for name, reason in usable.left_out.items()}
    beside = {
        "figures": pd.DataFrame([asdict(each) for each in figures]),
        "words": _to_word_frame({**words, **left_out}),
    }
    return _run_report(metrics, sides, usable, beside if figures else {}, about)


def build_quality_report(sides: ReportSides, **about: Any) -> Any | None:
    """A snapshot of how good the predictions are on labelled rows, beside those of the reference; None where there are
    too few labels, all are the same, or a class among them that the reference hasn't."""
    both = [_select_labelled(rows, sides.task) for rows in (sides.current, sides.reference)]
    if any(len(rows) < MIN_QUALITY_ROWS or rows[REPORT_LABEL].n_unique() < 2 for rows in both):
        return None
    if sides.task.kind == "multiclass" and not set(both[0][REPORT_LABEL]) <= set(both[1][REPORT_LABEL]):
        return None
    every = all(set(rows[REPORT_LABEL]) == set(sides.task.classes) for rows in both)
    task = sides.task if every else replace(sides.task, classes=())  # probabilities of classes that never came break it
    judged = replace(sides, current=both[0], reference=both[1], declared={}, task=task)
    return _run_report([_quality_preset(judged)], judged, judged.columns(), {}, about, judge=True)


def build_prediction_report(sides: ReportSides, **about: Any) -> Any | None:
    """A snapshot of two models' predictions of the same rows; None where a report can't be made of them."""
    usable = sides.columns()
    return (
        _run_report([ValueStats(column=REPORT_PREDICTION)], sides, usable, {}, about)
        if REPORT_PREDICTION in usable.names
        else None
    )


def _quality_preset(sides: ReportSides) -> Any:
    if sides.task.kind == "regression":
        return RegressionPreset()
    return ClassificationPreset(probas_threshold=sides.threshold if sides.task.kind == "binary" else None)


def _drift_metrics(names: Sequence[str], distances: ColumnDistances) -> list[Any]:
    """How many columns drifted, and pictures of those and of the nearest to it: each takes a tenth of a second."""
    if not names:
        return []
    register_stattest(
        _DISTANCE_STATTEST, lambda _, current, *__: (distances[current.name][0], _is_beyond(distances[current.name]))
    )
    limits = {name: threshold for name, (_, threshold) in distances.items()}
    count = DriftedColumnsCount(
        columns=list(names), drift_share=MIN_DRIFT_SHARE, method=EXACT_METHOD, per_column_threshold=limits
    )
    nearest = sorted(names, key=lambda name: -distances[name][0] / max(limits[name], MIN_DRIFT_SHARE))
    shown = [name for place, name in enumerate(nearest) if place < MAX_DRIFT_PICTURES or _is_beyond(distances[name])]
    return [count, *(ValueDrift(column=name, method=EXACT_METHOD, threshold=limits[name]) for name in shown)]


_DISTANCE_STATTEST = StatTest(EXACT_METHOD, f"distance {EXACT_METHOD}", [ColumnType.Numerical, ColumnType.Categorical])


def _is_beyond(pair: tuple[float, float]) -> bool:
    distance, threshold = pair
    return distance > threshold


def _run_report(
    metrics: list[Any],
    sides: ReportSides,
    usable: ReportColumns,
    beside: dict[str, Any],
    about: dict[str, Any],
    judge: bool = False,
) -> Any:
    current, reference = (build_dataset(rows, sides.task, usable, judge) for rows in (sides.current, sides.reference))
    with warnings.catch_warnings():  # of numpy, pandas and scikit-learn, about columns that are constant or rare
        warnings.simplefilter("ignore")
        return Report(metrics).run(current, reference, additional_data=beside, **about)


def _select_labelled(rows: pl.DataFrame, task: Task) -> pl.DataFrame:
    """The rows with a label and a prediction, of which Evidently takes no others."""
    needed = {REPORT_LABEL, REPORT_PREDICTION, REPORT_DECISION, *task.classes}
    if not needed <= set(rows.columns):
        return rows.clear()
    numbers = [name for name in needed if rows.schema[name].is_float()]
    usable = [pl.col(name).is_finite() for name in numbers]
    usable += [pl.col(REPORT_PREDICTION).is_between(0, 1)] if task.kind == "binary" else []
    return rows.drop_nulls(sorted(needed)).filter(*usable)


def _to_word_frame(words: Mapping[str, str]) -> pd.DataFrame:
    return pd.DataFrame(list(words.items()), columns=["what", "said"])


def _build_word_table(words: pd.DataFrame) -> Any:
    return table_data(title="Counted over all rows", column_names=["", ""], data=words.to_numpy().tolist())
