"""The label log: what was reported of outcomes, by `POST /feedback` and by the batches of ingest.

A label is the contract's outcome columns (those of `Labelled` that `Row` hasn't) with the key of the row that they
belong to, or with the id of a prediction made for it. What came of a label is the index's to say (penumbra/logs/index.py).
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import polars as pl

from penumbra.core.task import Task
from penumbra.logs.schema import LabelEntry


@dataclass(frozen=True)
class LabelSpec:
    """What the contract says of labels: a row's key and time, the outcome columns, and the target they make."""

    key: tuple[str, ...]
    time: str
    outcome: Mapping[str, Any]
    target: pl.Expr
    task: Task

    @classmethod
    def from_schema(cls, schema: ModuleType | Any) -> "LabelSpec":
        """`schema` is the problem's module of that name."""
        row, labelled = schema.Row.columns(), schema.Labelled.columns()
        outcome = {name: column.dtype for name, column in labelled.items() if name not in row}
        return cls(tuple(schema.Row.primary_key()), schema.TIME, outcome, schema.target(), Task.from_schema(schema))

    def labels(self, rows: pl.DataFrame, source: str, time: dt.datetime) -> list[LabelEntry]:
        """A label for each row of a frame with the columns of key and outcome; none where the contract has no key."""
        if not self.key:
            return []
        width, names = len(self.key), list(self.outcome)
        values = rows.select(*self.key, *names).iter_rows()
        return [LabelEntry(time, source, dict(zip(names, row[width:], strict=True)), row[:width]) for row in values]

    def frame(self, labels: Sequence[Mapping[str, Any] | None]) -> pl.DataFrame:
        """The outcome columns, with the contract's dtypes, and the column "target"; null where there is no label."""
        columns = {name: [label and label.get(name) for label in labels] for name in self.outcome}
        return pl.DataFrame(columns, schema=dict(self.outcome), strict=False).with_columns(target=self.target)
