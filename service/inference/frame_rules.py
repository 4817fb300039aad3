"""The conditions of business rules for a frame of records: which rows a rule may have something to say of.

What is said of those rows is found as for the records of a request (service/inference/rule_engine.py). The built-in
conditions that read one number or a category are found in columns, others by the record, or by the different values of
their column.
"""

import functools
from collections.abc import Mapping, Sequence
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from penumbra.rules import Between, CloseCall, Condition, FewRows, ModelPriors, OneOf, Outside, RuleTest


class FramePredictions(NamedTuple):
    """Records as a frame: `rows` has the contract's columns, `features` those of the model, of `outputs` a row each."""

    rows: pl.DataFrame
    features: pl.DataFrame
    outputs: np.ndarray | None


@functools.singledispatch
def find_rows(when: Condition, test: RuleTest, priors: ModelPriors, scored: FramePredictions) -> np.ndarray:
    """Find the rows for which a condition holds, or can't be told.

    Args:
        when: The condition.
        test: The condition prepared for the model version.
        priors: What rules may know of the version.
        scored: The rows; without `outputs` where the condition comes before the model.

    Returns:
        bool [n].
    """
    predictions = repeat(None) if scored.outputs is None else scored.outputs.tolist()
    pairs = zip(scored.rows.iter_rows(named=True), predictions, strict=False)
    return np.array([_holds(test, record, prediction) for record, prediction in pairs], bool)


@find_rows.register
def _(when: FewRows, test: RuleTest, priors: ModelPriors, scored: FramePredictions) -> np.ndarray:
    counts = priors.counts.get(when.column)
    if counts is None or when.column not in priors.readers:
        return np.zeros(scored.rows.height, bool)
    enough = pl.Series([value for value, count in counts.items() if count >= when.below], dtype=pl.String)
    values = scored.features[when.column]
    return (values.is_not_null() & ~values.is_in(enough.implode()).fill_null(value=False)).to_numpy()


@find_rows.register
def _(when: OneOf, test: RuleTest, priors: ModelPriors, scored: FramePredictions) -> np.ndarray:
    return _find_by_value(when.column, test, scored.rows)


@find_rows.register
def _(when: Between, test: RuleTest, priors: ModelPriors, scored: FramePredictions) -> np.ndarray:
    values = scored.rows[when.column]
    if not (values.dtype.is_numeric() and _are_numbers((when.low, when.high))) or values.dtype.is_decimal():
        return _find_by_value(when.column, test, scored.rows)
    return values.is_between(when.low, when.high).fill_null(value=False).to_numpy()


@find_rows.register
def _(when: CloseCall, test: RuleTest, priors: ModelPriors, scored: FramePredictions) -> np.ndarray:
    outputs = np.asarray(scored.outputs, float)
    if outputs.ndim == 1:
        return np.abs(outputs - priors.threshold) < when.margin
    *_, second, first = np.sort(outputs, axis=1).T
    return first - second < when.margin


@find_rows.register
def _(when: Outside, test: RuleTest, priors: ModelPriors, scored: FramePredictions) -> np.ndarray:
    outputs = np.asarray(scored.outputs, float)
    if outputs.ndim > 1:  # a rule that fails for every row
        return np.ones(len(outputs), bool)
    return ~((when.low <= outputs) & (outputs <= when.high))


def _find_by_value(column: str, test: RuleTest, rows: pl.DataFrame) -> np.ndarray:
    """The rows whose value of a column a condition holds for, which reads nothing else; it is asked once a value."""
    different = rows[column].unique()
    holding = different.filter(
        pl.Series([_holds(test, {column: value}, None) for value in different], dtype=pl.Boolean)
    )
    return rows[column].is_in(holding.implode(), nulls_equal=True).to_numpy()


def _holds(test: RuleTest, record: Mapping[str, Any], prediction: Any) -> bool:
    try:
        return bool(test(record, prediction))
    except Exception:  # the rule engine finds out, and reports it
        return True


def _are_numbers(values: Sequence[Any]) -> bool:
    return all(isinstance(value, int | float) for value in values)
