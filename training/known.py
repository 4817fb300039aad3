"""What a model knows of its own knowledge: an answer without looking at a record, and how often it met each value."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from inputs import Tables
from task import Task


def baseline(task: Task, labels: np.ndarray) -> float | list[float]:
    """The prediction for one row that looks at no record, from labels [n]: the rate of True, the shares of the classes,
    or the mean."""
    if task.kind == "multiclass":
        return (np.bincount(labels, minlength=len(task.classes)) / len(labels)).tolist()
    return float(labels.mean())


def counts(inputs: np.ndarray, columns: Sequence[int], tables: Tables) -> dict[str, dict[str, int]]:
    """How many rows of the matrix [n, k] have each value of each category; `columns` are the positions of the tables'
    in it."""
    return {name: _counts(inputs[:, at], table) for at, (name, table) in zip(columns, tables.items(), strict=True)}


def _counts(codes: np.ndarray, table: Any) -> dict[str, int]:
    found = np.bincount(codes[codes >= 0].astype(int), minlength=len(table))
    return {value: int(found[code]) for value, code in table.items()}
