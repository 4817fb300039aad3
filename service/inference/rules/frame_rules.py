"""The conditions of business rules for a frame of records: for which rows one holds, and for which it can't be told.

The built-in conditions that read one number or a category are found in columns, others by the record, or by the
different values of their column.
"""

import math
from collections.abc import Callable, Sequence
from itertools import compress, repeat
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from penumbra.core.text.errors import USER_ERRORS
from penumbra.features import Record
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

MAX_EXACT_FLOAT = 1 << 53  # up to which each integer is a float


class FramePredictions(NamedTuple):
    """Records as a frame: `rows` has the contract's columns, `features` those of the model, of `outputs` a row each.

    Where `records` are given, conditions that aren't built in are asked of these.
    """

    rows: pl.DataFrame
    features: pl.DataFrame
    outputs: np.ndarray | None
    records: Sequence[Record] | None = None


class FoundRows(NamedTuple):
    """For which of n rows a condition holds, and for which it fails, both bool [n]; and the first `error` of these."""

    holding: np.ndarray
    failing: np.ndarray
    error: BaseException | None = None


class RuledRows(NamedTuple):
    """What rules say of the rows of a frame.

    Attributes:
        concerned: The rows for which rules may say something else than the model, or are to be asked anew, bool [n].
        codes: What marks each of the other rows gets: positions in `marks`, int64 [n].
        marks: The marks of several rows each, see `service.inference.rules.rule_engine`; empty where no rule fired.
        decisions: What rules decide in place of the model, for each of `marks`; None where they don't.
    """

    concerned: np.ndarray
    codes: np.ndarray
    marks: Sequence[dict[str, Any]]
    decisions: Sequence[DecisionValue | None]


def find_rows(
    when: Condition, test: RuleTest, priors: ModelPriors, scored: FramePredictions, asked: np.ndarray
) -> FoundRows:
    """Find the rows for which a condition holds.

    Args:
        when: The condition.
        test: The condition prepared for the model version.
        priors: What rules may know of the version.
        scored: The rows; without `outputs` where the condition comes before the model.
        asked: The rows of which one that isn't built in is asked, each once; bool [n].

    Returns:
        Those rows, and those for which it can't be told, and why; a condition that isn't built in says nothing of the
        others.
    """
    find = _FINDERS.get(type(when))  # a subclass has a test of its own
    return _find_by_record(test, scored, asked) if find is None else find(when, test, priors, scored)


def is_built_in(when: Condition) -> bool:
    """Check whether a condition is found in columns, and says the same of a record however often it is asked.

    Args:
        when: The condition.

    Returns:
        Whether it is one of `penumbra.rules` itself.
    """
    return type(when) in _FINDERS


def _find_few_rows(when: FewRows, test: RuleTest, priors: ModelPriors, scored: FramePredictions) -> FoundRows:
    counts = priors.counts.get(when.column)
    if counts is None or when.column not in priors.readers:
        return _find_all_told(np.zeros(scored.rows.height, bool))
    enough = pl.Series([value for value, count in counts.items() if count >= when.below], dtype=pl.String)
    values = scored.features[when.column]
    return _find_all_told((values.is_not_null() & ~values.is_in(enough.implode()).fill_null(value=False)).to_numpy())


def _find_one_of(when: OneOf, test: RuleTest, priors: ModelPriors, scored: FramePredictions) -> FoundRows:
    return _find_by_value(when.column, test, scored.rows)


def _find_between(when: Between, test: RuleTest, priors: ModelPriors, scored: FramePredictions) -> FoundRows:
    within = _find_within(scored.rows[when.column], when.low, when.high)
    return _find_by_value(when.column, test, scored.rows) if within is None else _find_all_told(within)


def _find_close_calls(when: CloseCall, test: RuleTest, priors: ModelPriors, scored: FramePredictions) -> FoundRows:
    outputs = np.asarray(scored.outputs, float)
    if outputs.ndim == 1:
        return _find_all_told(np.abs(outputs - priors.threshold) < when.margin)
    *_, second, first = np.sort(outputs, axis=1).T
    return _find_all_told(first - second < when.margin)


def _find_outside(when: Outside, test: RuleTest, priors: ModelPriors, scored: FramePredictions) -> FoundRows:
    outputs = np.asarray(scored.outputs, float)
    within = _find_within(pl.Series(outputs), when.low, when.high) if outputs.ndim == 1 else None
    if within is None:  # of several classes it fails for every row
        return _find_by_record(test, scored, np.ones(scored.rows.height, bool))
    return _find_all_told(~within)


_FINDERS: dict[type, Callable[..., FoundRows]] = {
    FewRows: _find_few_rows,
    OneOf: _find_one_of,
    Between: _find_between,
    CloseCall: _find_close_calls,
    Outside: _find_outside,
}


def _find_within(values: pl.Series, low: Any, high: Any) -> np.ndarray | None:
    """For which numbers `low <= value <= high`, as Python compares them: exactly, whatever the dtype can hold.

    Returns:
        bool [n], False for null and NaN; None where they can't be compared so in columns.
    """
    dtype: Any = values.dtype
    if not (dtype.is_integer() or dtype.is_float()) or not _are_numbers((low, high)):
        return None
    if not low <= high:  # or one of them is NaN
        return np.zeros(len(values), bool)
    if dtype.is_integer():
        least, most = (pl.select(limit).item() for limit in (dtype.min(), dtype.max()))
        if low > most or high < least:
            return np.zeros(len(values), bool)
        low, high = math.ceil(max(low, least)), math.floor(min(high, most))
    elif any(isinstance(limit, int) and abs(limit) > MAX_EXACT_FLOAT for limit in (low, high)):
        return None
    else:
        values = values.cast(pl.Float64)
    return values.is_between(low, high).fill_null(value=False).to_numpy()


def _find_all_told(holding: np.ndarray) -> FoundRows:
    return FoundRows(holding, np.zeros(len(holding), bool))


def _find_by_record(test: RuleTest, scored: FramePredictions, asked: np.ndarray) -> FoundRows:
    predictions = repeat(None) if scored.outputs is None else scored.outputs[asked].tolist()
    rows, records = scored.rows, scored.records
    given = rows.filter(asked).iter_rows(named=True) if records is None else compress(records, asked)
    pairs = zip(given, predictions, strict=False)
    answers = [_ask_condition(test, record, prediction) for record, prediction in pairs]
    holding, failing = np.zeros(len(asked), bool), np.zeros(len(asked), bool)
    holding[asked], failing[asked], error = _split_answers(answers)
    return FoundRows(holding, failing, error)


def _find_by_value(column: str, test: RuleTest, rows: pl.DataFrame) -> FoundRows:
    """The rows whose value of a column a condition holds for, which reads nothing else; it is asked once a value."""
    different = rows[column].unique()
    *found, error = _split_answers([_ask_condition(test, {column: value}, None) for value in different])
    parts = [different.filter(pl.Series(each, dtype=pl.Boolean)) for each in found]
    holding, failing = (rows[column].is_in(part.implode(), nulls_equal=True).to_numpy() for part in parts)
    return FoundRows(holding, failing, error)


def _split_answers(answers: Sequence[bool | BaseException]) -> tuple[list[bool], list[bool], BaseException | None]:
    """Which of the answers of `_ask_condition` say that it holds, which that it failed, and the first of these."""
    failing = [not isinstance(answer, bool) for answer in answers]
    return [answer is True for answer in answers], failing, next(compress(answers, failing), None)  # type: ignore[return-value]


def _are_numbers(values: Sequence[Any]) -> bool:
    return all(isinstance(value, int | float) for value in values)


def _ask_condition(test: RuleTest, record: Record, prediction: Any) -> bool | BaseException:
    """Whether a condition holds for a record, or why that can't be told; without a prediction before the model."""
    try:
        return bool(test(record, prediction))
    except USER_ERRORS as error:
        return error
