"""The task: what kind of thing is predicted, which follows from the dtype of the target in `problem/schema.py`.

|              | target    | labels of n rows        | predictions of n rows                                   |
|--------------|-----------|-------------------------|---------------------------------------------------------|
| `binary`     | Boolean   | bool [n]                | float64 [n], the probability of True                    |
| `multiclass` | Enum      | int64 [n], class codes  | float64 [n, classes], probabilities in the enum's order |
| `regression` | a number  | float64 [n]             | float64 [n]                                             |
"""

from dataclasses import dataclass, field
from typing import Literal

import polars as pl

from penumbra.core.metrics.loss_names import AUTO_LOSS
from penumbra.core.problem import ProblemSchema

TaskKind = Literal["binary", "multiclass", "regression"]


class UnsupportedTargetError(TypeError):
    """The target has a dtype that can't be learnt; names it and the dtypes that can."""


@dataclass(frozen=True)
class Task:
    """The kind of a prediction.

    Attributes:
        kind: One of the rows of the table above.
        classes: The names of the columns of a multi-class prediction; empty for the other kinds.
        loss: What predictions are judged by, as `promotion.loss` names it. Two tasks that differ in it alone are equal.
    """

    kind: TaskKind
    classes: tuple[str, ...] = ()
    loss: str = field(default=AUTO_LOSS, compare=False, repr=False)

    def __str__(self) -> str:
        """The kind, and the classes where it has any."""
        return f"{self.kind} ({', '.join(self.classes)})" if self.classes else self.kind

    @classmethod
    def from_schema(cls, schema: ProblemSchema) -> "Task":
        """Derive the task from the dtype of the target.

        Args:
            schema: The problem's schema, whose `target()` is computed on an empty frame.

        Returns:
            The task; for several classes with the categories of the Enum, in their order.

        Raises:
            UnsupportedTargetError: The target is neither Boolean, nor an Enum, nor a number.
        """
        dtype = read_target_dtype(schema)
        if dtype == pl.Boolean:
            return cls("binary")
        if isinstance(dtype, pl.Enum):
            return cls("multiclass", tuple(dtype.categories))
        if dtype.is_numeric():
            return cls("regression")
        raise UnsupportedTargetError(f"target() gives {dtype}: expected Boolean, an Enum of classes, or a number")


def read_target_dtype(schema: ProblemSchema) -> pl.DataType:
    """Read the dtype of the target.

    Args:
        schema: The problem's schema, whose `target()` is computed on an empty frame.

    Returns:
        The polars dtype.
    """
    dtypes = {name: column.dtype for name, column in schema.Labelled.columns().items()}
    return pl.DataFrame(schema=dtypes).select(target=schema.target()).schema["target"]
