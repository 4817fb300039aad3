"""What a model knows of its own knowledge: an answer without looking at a record, and how often it met each value."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from penumbra.core.encoding import CategoryTables
from penumbra.core.task import Task


def compute_baseline(task: Task, labels: np.ndarray) -> float | list[float]:
    """The prediction for one row that looks at no record, from labels [n]: the rate of True, the shares of the classes,
    or the mean."""
    if task.kind == "multiclass":
        return (np.bincount(labels, minlength=len(task.classes)) / len(labels)).tolist()
    return float(labels.mean())


def count_category_values(
    inputs: np.ndarray, columns: Sequence[int], tables: CategoryTables
) -> dict[str, dict[str, int]]:
    """How many rows of the matrix [n, k] have each value of each category; `columns` are the positions of the tables'
    in it."""
    return {name: _count_codes(inputs[:, at], table) for at, (name, table) in zip(columns, tables.items(), strict=True)}


def _count_codes(codes: np.ndarray, table: Any) -> dict[str, int]:
    found = np.bincount(codes[codes >= 0].astype(int), minlength=len(table))
    return {value: int(found[code]) for value, code in table.items()}
