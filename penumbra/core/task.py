"""What kind of thing is predicted: read off the target in the contract, and asked wherever that makes a difference.

|              | target    | labels of n rows        | predictions of n rows                                   |
|--------------|-----------|-------------------------|---------------------------------------------------------|
| `binary`     | Boolean   | bool [n]                | float64 [n], the probability of True                    |
| `multiclass` | Enum      | int64 [n], class codes  | float64 [n, classes], probabilities in the enum's order |
| `regression` | a number  | float64 [n]             | float64 [n]                                             |
"""

from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal

import polars as pl

TaskKind = Literal["binary", "multiclass", "regression"]


class UnsupportedTargetError(TypeError):
    """The target has a dtype that nothing here can learn; says which and what was expected."""


@dataclass(frozen=True)
class Task:
    """`classes` names the columns of a multi-class prediction; empty for the other kinds."""

    kind: TaskKind
    classes: tuple[str, ...] = ()

    @classmethod
    def from_schema(cls, schema: ModuleType | Any) -> "Task":
        """The task of the problem's module `schema`. Raises NoTask."""
        dtype = schema.Labelled.create_empty().select(schema.target().alias("target")).schema["target"]
        if dtype == pl.Boolean:
            return cls("binary")
        if isinstance(dtype, pl.Enum):
            return cls("multiclass", tuple(dtype.categories))
        if dtype.is_numeric():
            return cls("regression")
        raise UnsupportedTargetError(
            f"target() in problem/schema.py gives {dtype}: expected Boolean, an Enum of classes, or a number"
        )
