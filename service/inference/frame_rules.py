"""The conditions of business rules for a frame of records: for which rows one holds, and for which it can't be told.

The built-in conditions that read one number or a category are found in columns, others by the record, or by the
different values of their column.
"""

import functools
from collections.abc import Mapping, Sequence
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from penumbra.rules import (
    Between,
    CloseCall,
    Condition,
    DecisionValue,
    FewRows,
    ModelPriors,
    OneOf,
    Outside,
    RuleTest,
)


class FramePredictions(NamedTuple):
    """Records as a frame: `rows` has the contract's columns, `features` those of the model, of `outputs` a row each."""

    rows: pl.DataFrame
    features: pl.DataFrame
    outputs: np.ndarray | None


class FoundRows(NamedTuple):
    """For which of n rows a condition holds, and for which it fails, as by an exception; both bool [n]."""

    holding: np.ndarray
    failing: np.ndarray


class RuledRows(NamedTuple):
    """What rules say of the rows of a frame.

    Attributes:
        concerned: The rows for which rules may say something else than the model, or are to be asked anew, bool [n].
        codes: What marks each of the other rows gets: positions in `marks`, int64 [n].
        marks: The marks of several rows each, see `service.inference.rule_engine`; empty where no rule fired.
        decisions: What rules decide in place of the model, for each of `marks`; None where they don't.
    """

    concerned: np.ndarray
    codes: np.ndarray
    marks: Sequence[dict[str, Any]]
    decisions: Sequence[DecisionValue | None]


@functools.singledispatch
def find_rows(when: Condition, test: RuleTest, priors: ModelPriors, scored: FramePredictions) -> FoundRows:
    """Find the rows for which a condition holds.

    Args:
        when: The condition.
        test: The condition prepared for the model version.
        priors: What rules may know of the version.
        scored: The rows; without `outputs` where the condition comes before the model.

    Returns:
        Those rows, and those for which it can't be told.
    """
    predictions = repeat(None) if scored.outputs is None else scored.outputs.tolist()
    pairs = zip(scored.rows.iter_rows(named=True), predictions, strict=False)
    answers = [_ask(test, record, prediction) for record, prediction in pairs]
    return FoundRows(*(np.array([answer is each for answer in answers], bool) for each in (True, None)))


@find_rows.register
def _(when: FewRows, test: RuleTest, priors: ModelPriors, scored: FramePredictions) -> FoundRows:
    counts = priors.counts.get(when.column)
    if counts is None or when.column not in priors.readers:
        return _find_all_told(np.zeros(scored.rows.height, bool))
    enough = pl.Series([value for value, count in counts.items() if count >= when.below], dtype=pl.String)
    values = scored.features[when.column]
    return _find_all_told((values.is_not_null() & ~values.is_in(enough.implode()).fill_null(value=False)).to_numpy())


@find_rows.register
def _(when: OneOf, test: RuleTest, priors: ModelPriors, scored: FramePredictions) -> FoundRows:
    return _find_by_value(when.column, test, scored.rows)


@find_rows.register
def _(when: Between, test: RuleTest, priors: ModelPriors, scored: FramePredictions) -> FoundRows:
    values = scored.rows[when.column]
    if not (values.dtype.is_numeric() and _are_numbers((when.low, when.high))) or values.dtype.is_decimal():
        return _find_by_value(when.column, test, scored.rows)
    return _find_all_told(values.is_between(when.low, when.high).fill_null(value=False).to_numpy())


@find_rows.register
def _(when: CloseCall, test: RuleTest, priors: ModelPriors, scored: FramePredictions) -> FoundRows:
    outputs = np.asarray(scored.outputs, float)
    if outputs.ndim == 1:
        return _find_all_told(np.abs(outputs - priors.threshold) < when.margin)
    *_, second, first = np.sort(outputs, axis=1).T
    return _find_all_told(first - second < when.margin)


@find_rows.register
def _(when: Outside, test: RuleTest, priors: ModelPriors, scored: FramePredictions) -> FoundRows:
    outputs = np.asarray(scored.outputs, float)
    if outputs.ndim > 1:  # a rule that fails for every row
        return FoundRows(np.zeros(len(outputs), bool), np.ones(len(outputs), bool))
    return _find_all_told(~((when.low <= outputs) & (outputs <= when.high)))


def _find_all_told(holding: np.ndarray) -> FoundRows:
    return FoundRows(holding, np.zeros(len(holding), bool))


def _find_by_value(column: str, test: RuleTest, rows: pl.DataFrame) -> FoundRows:
    """The rows whose value of a column a condition holds for, which reads nothing else; it is asked once a value."""
    different = rows[column].unique()
    answers = pl.Series([_ask(test, {column: value}, None) for value in different], dtype=pl.Boolean)
    parts = different.filter(answers.fill_null(value=False)), different.filter(answers.is_null())
    return FoundRows(*(rows[column].is_in(part.implode(), nulls_equal=True).to_numpy() for part in parts))


def _ask(test: RuleTest, record: Mapping[str, Any], prediction: Any) -> bool | None:
    """Whether a condition holds; None where it fails, which the rule engine finds out again, and reports."""
    try:
        return bool(test(record, prediction))
    except Exception:
        return None


def _are_numbers(values: Sequence[Any]) -> bool:
    return all(isinstance(value, int | float) for value in values)
