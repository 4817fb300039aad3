"""Evidently reports that compare two samples of rows: live with reference, live with candidate.

The rows are samples. The numbers that alarms rest on are counted over all rows elsewhere and passed in: figures, and
for each column its distance with the calibrated threshold. So no page says "drift" where the monitor doesn't.

Importing this takes about a CPU second and 200 MB: only the step that reports does (flows/steps/monitor/reports.py).
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import pandas as pd
import polars as pl

from monitoring.reports.columns import ReportColumns, ReportSides
from monitoring.reports.datasets import build_dataset
from monitoring.reports.window_figures import ReportFigure
from penumbra.core.columns import DECISION_COLUMN, LABEL_COLUMN, PREDICTION_COLUMN, name_class_column
from penumbra.core.system.lean_imports import UNUSED_BY_REPORTS, hide_modules
from penumbra.core.task import Task

with warnings.catch_warnings(), hide_modules(UNUSED_BY_REPORTS):  # as in monitoring/reports/datasets.py
    warnings.simplefilter("ignore")
    from evidently import Report
    from evidently.core.metric_types import SingleValue, SingleValueCalculation, SingleValueMetric
    from evidently.legacy.calculations.stattests import StatTest, register_stattest
    from evidently.legacy.core import ColumnType
    from evidently.legacy.renderers.html_widgets import table_data
    from evidently.legacy.ui.dashboards import utils as _utils  # noqa: F401  gives charts Evidently's colours
    from evidently.metrics import DriftedColumnsCount, ValueDrift
    from evidently.presets import DataSummaryPreset, ValueStats

EXACT_METHOD = "over all rows"
MIN_QUALITY_ROWS = 10  # labelled rows on each side, for a report on quality
MAX_DRIFT_PICTURES = 6
MIN_DRIFT_SHARE = 1e-9  # of the columns: one that is beyond its threshold is drift

ColumnDistances = Mapping[str, tuple[float, float]]


class Exact(SingleValueMetric):  # type: ignore[misc, unused-ignore]
    """A figure as an Evidently metric.

    Its value is passed with the run, in `additional_data`: a field for it would start a new series in each window.
    """

    group: str
    series: str


class ExactCalculation(SingleValueCalculation[Exact]):  # type: ignore[misc, unused-ignore]
    """The calculation of `Exact`: looks its value up in the run's `additional_data`."""

    def calculate(self, context: Any, current_data: Any, reference_data: Any) -> SingleValue:
        """Look the figure up; the first figure of a report also carries the table of sentences.

        Args:
            context: Evidently's context of the run, with the frames `figures` and `words`.
            current_data: Unused; Evidently passes the current dataset.
            reference_data: Unused; Evidently passes the reference dataset.

        Returns:
            The figure's value.
        """
        figures, words = (context.additional_data[name].as_dataframe() for name in ("figures", "words"))
        is_own = (figures["group"] == self.metric.group) & (figures["series"] == self.metric.series)
        result = self.result(float(figures.loc[is_own, "value"].iloc[0]))
        is_first = bool(is_own.iloc[0])
        result.widget = [_build_word_table(words)] if is_first else []
        return result

    def display_name(self) -> str:
        """Build the metric's title on the page.

        Returns:
            Group and series.
        """
        return f"{self.metric.group}: {self.metric.series}"


def build_data_report(
    sides: ReportSides,
    distances: ColumnDistances,
    figures: Sequence[ReportFigure],
    words: Mapping[str, str],
    **metadata: Any,
) -> Any:
    """Build a snapshot with figures, drift of each column by its calibrated threshold, and a summary of the columns.

    Args:
        sides: The rows to compare.
        distances: Distance and threshold by column, counted over all rows.
        figures: Numbers counted over all rows.
        words: Sentences by subject for the page's first table; columns that were left out are added to it.
        **metadata: Evidently's `timestamp`, `name`, `tags` and `metadata` of the snapshot.

    Returns:
        The Evidently snapshot.

    Raises:
        ValueError: No column is left to report on, and there is no figure.
    """
    usable = sides.columns()
    judged = [name for name in usable.names if name in distances]
    metrics = [Exact(group=figure.group, series=figure.series) for figure in figures]
    metrics += _drift_metrics(judged, {name: distances[name] for name in judged})
    metrics += [DataSummaryPreset(columns=usable.names)] if usable.names else []
    if not metrics:
        raise ValueError("no column is left to report on, and there is no figure")
    left_out = {f"left out: {name}": reason for name, reason in usable.left_out.items()}
    additional_data = {
        "figures": pd.DataFrame([asdict(figure) for figure in figures]),
        "words": _to_word_frame({**words, **left_out}),
    }
    return _run_report(metrics, sides, usable, additional_data if figures else {}, metadata)


def build_quality_report(sides: ReportSides, **metadata: Any) -> Any | None:
    """Build a snapshot of how good the predictions are on labelled rows, beside those of the reference.

    Args:
        sides: The rows to compare.
        **metadata: Evidently's `timestamp`, `name`, `tags` and `metadata` of the snapshot.

    Returns:
        The Evidently snapshot, or None where there are too few labels, all labels are the same, there is a class among
        them that the reference lacks, or there are two alone of more classes.
    """
    labelled = [_select_labelled(rows, sides.task) for rows in (sides.current, sides.reference)]
    if any(len(rows) < MIN_QUALITY_ROWS or rows[LABEL_COLUMN].n_unique() < 2 for rows in labelled):
        return None
    current, reference = labelled
    if sides.task.kind == "multiclass" and not set(current[LABEL_COLUMN]) <= set(reference[LABEL_COLUMN]):
        return None
    if len(sides.task.classes) > 2 and any(
        len({*rows[LABEL_COLUMN], *rows[DECISION_COLUMN]}) == 2 for rows in labelled
    ):
        return None  # Evidently takes two for yes and no
    has_every_class = all(set(rows[LABEL_COLUMN]) == set(sides.task.classes) for rows in labelled)
    task = sides.task if has_every_class else replace(sides.task, classes=())  # Evidently fails on an absent class
    judged = replace(sides, current=current, reference=reference, declared={}, task=task)
    return _run_report([_quality_preset(judged)], judged, judged.columns(), {}, metadata, judge=True)


def build_prediction_report(sides: ReportSides, **metadata: Any) -> Any | None:
    """Build a snapshot of two models' predictions of the same rows.

    Args:
        sides: The rows with either model's predictions.
        **metadata: Evidently's `timestamp`, `name`, `tags` and `metadata` of the snapshot.

    Returns:
        The Evidently snapshot, or None where the predictions can't be reported on.
    """
    usable = sides.columns()
    if PREDICTION_COLUMN not in usable.names:
        return None
    return _run_report([ValueStats(column=PREDICTION_COLUMN)], sides, usable, {}, metadata)


def _quality_preset(sides: ReportSides) -> Any:
    with hide_modules(UNUSED_BY_REPORTS):
        if sides.task.kind == "regression":
            from evidently.presets import RegressionPreset

            return RegressionPreset()
        from evidently.presets import ClassificationPreset
    return ClassificationPreset(probas_threshold=sides.threshold if sides.task.kind == "binary" else None)


def _drift_metrics(names: Sequence[str], distances: ColumnDistances) -> list[Any]:
    """Metrics for the number of drifted columns, with pictures of those and of the columns nearest to drift.

    A picture takes a tenth of a second, so not every column has one."""
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
    shown = [name for rank, name in enumerate(nearest) if rank < MAX_DRIFT_PICTURES or _is_beyond(distances[name])]
    return [count, *(ValueDrift(column=name, method=EXACT_METHOD, threshold=limits[name]) for name in shown)]


_DISTANCE_STATTEST = StatTest(EXACT_METHOD, f"distance {EXACT_METHOD}", [ColumnType.Numerical, ColumnType.Categorical])


def _is_beyond(distance_and_threshold: tuple[float, float]) -> bool:
    distance, threshold = distance_and_threshold
    return distance > threshold


def _run_report(
    metrics: list[Any],
    sides: ReportSides,
    usable: ReportColumns,
    additional_data: dict[str, Any],
    metadata: dict[str, Any],
    judge: bool = False,
) -> Any:
    current, reference = (build_dataset(rows, sides.task, usable, judge) for rows in (sides.current, sides.reference))
    with warnings.catch_warnings():  # of numpy, pandas and scikit-learn, about columns that are constant or rare
        warnings.simplefilter("ignore")
        return Report(metrics).run(current, reference, additional_data=additional_data, **metadata)


def _select_labelled(rows: pl.DataFrame, task: Task) -> pl.DataFrame:
    """The rows with a label and a prediction, the only ones that Evidently accepts."""
    needed = {LABEL_COLUMN, PREDICTION_COLUMN, DECISION_COLUMN, *map(name_class_column, task.classes)}
    if not needed <= set(rows.columns):
        return rows.clear()
    numbers = [name for name in needed if rows.schema[name].is_float()]
    usable = [pl.col(name).is_finite() for name in numbers]
    usable += [pl.col(PREDICTION_COLUMN).is_between(0, 1)] if task.kind == "binary" else []
    return rows.drop_nulls(sorted(needed)).filter(*usable)


def _to_word_frame(words: Mapping[str, str]) -> pd.DataFrame:
    return pd.DataFrame(list(words.items()), columns=["what", "said"])


def _build_word_table(words: pd.DataFrame) -> Any:
    return table_data(title="Counted over all rows", column_names=["", ""], data=words.to_numpy().tolist())
