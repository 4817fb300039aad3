"""Work of Evidently, plotly and pydantic that no page shows, left undone while reports are made.

A test compares the pages with those of all the work, byte for byte.
"""

import copy
import functools
import typing
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pandas as pd

from monitoring.reports.evidently_reports import EXACT_METHOD
from penumbra.core.system.lean_imports import UNUSED_BY_REPORTS, hide_modules
from penumbra.core.task import Task

with warnings.catch_warnings(), hide_modules(UNUSED_BY_REPORTS):  # as in monitoring/reports/datasets.py
    warnings.simplefilter("ignore")
    from _plotly_utils import basevalidators
    from evidently._pydantic_compat import BaseModel
    from evidently.core.datasets import PandasDataset
    from evidently.legacy.calculations.stattests import get_stattest
    from evidently.legacy.core import ColumnType
    from evidently.legacy.metrics.classification_performance.base_classification_metric import (
        ThresholdClassificationMetric,
    )
    from evidently.legacy.metrics.data_drift import dataset_drift_metric
    from evidently.legacy.utils import dashboard
    from evidently.metrics import classification, column_statistics
    from plotly import basedatatypes
    from pydantic.v1.fields import ModelField

HIDDEN_BESIDE = {"binary": ("conf_matrix",)}  # a metric of such a task
HIDDEN_STATISTICS = ("Maximum value", "Mean value", "Std value", "Quantile")
PLAIN_TYPES = frozenset({str, float, int, bool, type(None)})
NUMBER_LIST = typing.List[float]  # noqa: UP006  as Evidently declares it, which isn't equal to list[float]
KEPT_PREDICTIONS = 8  # of datasets, by threshold: a report has two


@contextmanager
def spare_needless_work(task: Task) -> Iterator[None]:
    """Keep Evidently and plotly from work that no page shows; their own functions are put back at the end.

    For a process that does nothing but reports, as it replaces functions that all threads share.

    For each statistic of a column Evidently draws the column's distribution, but shows only that of the minimum: the
    others are four fifths of all pictures. Beside the precision of two classes it draws a confusion matrix at another
    threshold than that of the page. And plotly takes the names of a few dozen properties apart anew each time that one
    is looked up, which is a third of a picture's time. Where a report becomes a dictionary, pydantic asks of each
    number of each picture whether it is a model, a dictionary, a list or an Enum, and where it takes numbers it
    validates each; plotly looks for numpy and pandas before each, and copies its trees as if anything could stand in
    them. To count the columns that have drifted, Evidently prepares a picture of each; of each dataset it computes
    statistics that no metric reads, and for each metric of a classification it takes target and predictions out of the
    dataset anew; and it reads the script that all pages have anew for each.

    Args:
        task: The kind of prediction that is reported on.

    Yields:
        Nothing.
    """
    draw_distribution = column_statistics.distribution

    def draw_shown_distribution(title: str, *columns: Any) -> list[Any]:
        return [] if title.startswith(HIDDEN_STATISTICS) else draw_distribution(title, *columns)

    @classmethod  # type: ignore[misc]
    def get_plain_value(model: type[BaseModel], value: Any, *arguments: Any, **options: Any) -> Any:
        kind = type(value)
        if kind in PLAIN_TYPES or (kind is list and PLAIN_TYPES.issuperset(map(type, value))):
            return value[:] if kind is list else value
        return get_value(model, value, *arguments, **options)

    get_value = vars(BaseModel)["_get_value"].__func__
    take_predictions = ThresholdClassificationMetric.get_target_prediction_data
    hidden = HIDDEN_BESIDE.get(task.kind, ())
    beside = {name: each for name, each in classification.ADDITIONAL_WIDGET_MAPPING.items() if name not in hidden}
    replacements = (
        (column_statistics, "distribution", draw_shown_distribution),
        (classification, "ADDITIONAL_WIDGET_MAPPING", beside),
        (basedatatypes, "_str_to_dict_path_full", functools.cache(basedatatypes._str_to_dict_path_full)),
        (basedatatypes, "deepcopy", _copy_tree),
        (basevalidators, "to_scalar_or_list", _take_plain_lists(basevalidators.to_scalar_or_list)),
        (BaseModel, "_get_value", get_plain_value),
        (ModelField, "_validate_sequence_like", _take_numbers(ModelField._validate_sequence_like)),
        (dataset_drift_metric, "get_drift_for_columns", _count_drifted_columns),
        (PandasDataset, "_collect_stats", lambda *_: None),
        (ThresholdClassificationMetric, "get_target_prediction_data", _keep_predictions(take_predictions)),
        (dashboard, "__load_js", functools.cache(vars(dashboard)["__load_js"])),
    )
    originals = [(owner, name, vars(owner)[name]) for owner, name, _ in replacements]
    try:
        for replacement in replacements:
            setattr(*replacement)
        yield
    finally:
        for original in originals:
            setattr(*original)


def _take_plain_lists(convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Let what plotly converts values with take lists of plain ones as they are."""

    def convert_list(value: Any) -> Any:
        is_plain = type(value) is list and PLAIN_TYPES.issuperset(map(type, value))
        return value[:] if is_plain else convert(value)

    return convert_list


def _take_numbers(validate: Callable[..., Any]) -> Callable[..., Any]:
    """Let what pydantic validates lists with take those of numbers as they are, where a model asks for numbers."""

    def validate_list(field: ModelField, value: Any, *arguments: Any) -> Any:
        is_plain = field.outer_type_ == NUMBER_LIST and type(value) is list and {float}.issuperset(map(type, value))
        return (value[:], None) if is_plain else validate(field, value, *arguments)

    return validate_list


def _copy_tree(value: Any) -> Any:
    """What `copy.deepcopy` returns of dictionaries and lists of plain values, in a fraction of its time."""
    kind = type(value)
    if kind is dict:
        return {name: each if type(each) in PLAIN_TYPES else _copy_tree(each) for name, each in value.items()}
    if kind is list:
        return value[:] if PLAIN_TYPES.issuperset(map(type, value)) else [_copy_tree(each) for each in value]
    return copy.deepcopy(value)


def _keep_predictions(take: Callable[..., Any]) -> Callable[..., Any]:
    """Let metrics share what is taken of the same dataset at the same threshold."""
    kept = dict[tuple[int, str, Any, Any], tuple[pd.DataFrame, Any]]()

    def take_once(metric: Any, data: pd.DataFrame, column_mapping: Any) -> Any:
        key = id(data), repr(column_mapping), metric.probas_threshold, metric.k
        if key not in kept:
            kept[key] = data, take(metric, data, column_mapping)  # with the data, so that its id stays its own
            if len(kept) > KEPT_PREDICTIONS:
                del kept[next(iter(kept))]
        return kept[key][1]

    return take_once


def _count_drifted_columns(
    current_data: pd.DataFrame,
    reference_data: pd.DataFrame,
    data_drift_options: Any,
    drift_share_threshold: float,
    columns: Sequence[str],
    **_: Any,
) -> SimpleNamespace:
    """What Evidently's function of these arguments returns of the columns, all of which have the method below."""
    test = get_stattest(reference_data, current_data, ColumnType.Numerical, EXACT_METHOD)
    limits = data_drift_options.per_feature_threshold
    drifted = sum(
        test(reference_data[name], current_data[name], ColumnType.Numerical, limits[name]).drifted for name in columns
    )
    share = drifted / len(columns)
    return SimpleNamespace(
        number_of_columns=len(columns),
        number_of_drifted_columns=drifted,
        share_of_drifted_columns=share,
        dataset_drift=share >= drift_share_threshold,
    )
