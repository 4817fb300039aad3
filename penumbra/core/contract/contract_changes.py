"""What a model was made for, as plain JSON, and whether the contract of today still suffices for it.

| since the model was made                              | it goes on                                      |
|-------------------------------------------------------|-------------------------------------------------|
| a column was added, or one that it doesn't read went  | yes                                             |
| a column that it reads went or was renamed            | no                                              |
| an Enum gained or lost a value                        | yes: for it a new value is one never seen       |
| the same, and something else than a Category reads it | only where values were added behind the others  |
| text became an Enum or the other way round            | yes, if a Category reads it                     |
| a number became another type of number                | yes, unless an Expression reads it              |
| any other change of a dtype                           | no                                              |
| may be null, or no longer                             | yes                                             |
| another task, or other classes                        | no                                              |
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dataframely as dy
import polars as pl

from penumbra.core.checks.feature_checks import find_feature_faults
from penumbra.core.problem import ProblemSchema
from penumbra.core.task import Task
from penumbra.features import Expression, Feature

ContractColumn = Mapping[str, Any]
Contract = Mapping[str, ContractColumn]


def describe_contract(row: type[dy.Schema]) -> dict[str, ContractColumn]:
    """Describe a contract as plain JSON.

    Args:
        row: The contract.

    Returns:
        By column: `dtype` in words, `family` ("number", "text", or the dtype again; types of one family stand in for
        each other), and `values`, those of an Enum in their order, else [].
    """
    return {name: _describe_dtype(column.dtype) for name, column in row.columns().items()}


def find_contract_break(made_for: Contract, features: Sequence[Feature], task: Task, schema: ProblemSchema) -> str:
    """Find why a model can't be used under the contract of today.

    Args:
        made_for: What `describe_contract` gave when the model was made; {} where that isn't known.
        features: The model's features.
        task: The model's task.
        schema: The problem's schema as it is today.

    Returns:
        A clause that names the first change that the model can't live with; "" if there is none.
    """
    today = Task.from_schema(schema)
    if today != task:
        return f"it was made for another task: {task}, and the contract has {today} now"
    now = describe_contract(schema.Row)
    breaks = (fault for feature in features for fault in _find_column_breaks(feature, made_for, now))
    faults = (f"it has {fault}" for feature in features for fault in _find_kind_faults(feature, schema.Row))
    return next(itertools.chain(breaks, faults), "")


def list_contract_changes(then: Contract, now: Contract) -> list[str]:
    """List the differences between two contracts.

    Args:
        then: What `describe_contract` gave earlier.
        now: What it gives now.

    Returns:
        A sentence for each column that is new, was dropped, or has another dtype or other values.
    """
    names = dict.fromkeys([*then, *now])
    return [change for name in names if (change := _describe_column_change(name, then.get(name), now.get(name)))]


def list_changed_columns(frame: pl.DataFrame, row: type[dy.Schema]) -> list[str]:
    """List the columns of a frame that are of another kind than the contract's columns of these names are now.

    Args:
        frame: Rows that kept an earlier contract.
        row: The contract.

    Returns:
        Names of columns whose values can't stand for one another: text for numbers, say.
    """
    now, then = describe_contract(row), {name: _describe_dtype(dtype) for name, dtype in frame.schema.items()}
    return [name for name in now if name in then and then[name]["family"] != now[name]["family"]]


def _describe_dtype(dtype: pl.DataType) -> ContractColumn:
    if isinstance(dtype, pl.Enum):
        return {"dtype": "Enum", "family": "text", "values": dtype.categories.to_list()}
    family = "number" if dtype.is_numeric() else "text" if dtype == pl.String else str(dtype)
    return {"dtype": str(dtype), "family": family, "values": []}


def _describe_column_change(name: str, then: ContractColumn | None, now: ContractColumn | None) -> str:
    if then is None and now is not None:
        return f"column {name} is new ({_name_dtype(now)})"
    if then is not None and now is None:
        return f"column {name} is dropped"
    return "" if then == now or not then or not now else f"column {name}: {_name_dtype(then)} → {_name_dtype(now)}"


def _find_column_breaks(feature: Feature, made_for: Contract, now: Contract) -> Iterator[str]:
    for column in feature.columns:
        reads = f"its feature {feature.name} reads the column {column}"
        if column not in now:
            yield f"{reads}, which Row in problem/schema.py doesn't have"
        elif (then := made_for.get(column)) and not _suffices(then, now[column], feature):
            yield f"{reads} as {_name_dtype(then)}, and Row in problem/schema.py has {_name_dtype(now[column])} now"


def _find_kind_faults(feature: Feature, row: type[dy.Schema]) -> Iterator[str]:
    """Yield why a kind doesn't take its columns as they are now. An expression was tried when it was made."""
    yield from () if isinstance(feature, Expression) else find_feature_faults(feature, row)


def _suffices(then: ContractColumn, now: ContractColumn, feature: Feature) -> bool:
    """Whether a feature reads the same of a column as before: a category its text, an expression any of its bits."""
    if feature.categorical or not (then["values"] or now["values"]):
        compared = "dtype" if isinstance(feature, Expression) else "family"
        return bool(then[compared] == now[compared])
    return bool(then["values"]) and now["values"][: len(then["values"])] == then["values"]


def _name_dtype(column: ContractColumn) -> str:
    return f"Enum of {', '.join(column['values'])}" if column["values"] else str(column["dtype"])
