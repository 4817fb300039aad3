"""Labels: the outcomes that `POST /feedback` and the batches of ingest report, and what people say in reviews.

A label is the contract's outcome columns (those of `Labelled` that `Row` hasn't) with the key of the row that they
belong to, or with the id of a prediction made for it. Its record is `LabelEntry` (penumbra/logs/schema.py); what comes
of it, such as that it corrects an earlier one, is decided in the index (penumbra/logs/indexing/index.py).
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from penumbra.core.contract.feature_specs import describe_expression
from penumbra.core.problem import ProblemSchema
from penumbra.core.task import Task
from penumbra.logs.queries.lookup import KEY_FORMAT
from penumbra.logs.schema import FEEDBACK_SOURCE, REVIEW_SOURCE, LabelEntry

BATCH_PREFIX = "batch "  # of the source of labels that a batch brought, before its name


def is_source_of_truth(source: str) -> bool:
    """Return whether labels of a `source` count as truth: outcomes and people's answers do, what a model says never."""
    return source in (FEEDBACK_SOURCE, REVIEW_SOURCE) or source.startswith(BATCH_PREFIX)


@dataclass(frozen=True)
class LabelSpec:
    """What the contract says of labels.

    Attributes:
        key: The columns of a row's primary key with their dtypes; empty where the contract has none.
        time: The column with the row's time.
        outcome: The outcome columns with their dtypes.
        target: The expression that computes the target from the outcome columns.
        task: The task: binary, multi-class or regression.
    """

    key: Mapping[str, Any]
    time: str
    outcome: Mapping[str, Any]
    target: pl.Expr
    task: Task

    @classmethod
    def from_schema(cls, schema: ProblemSchema) -> "LabelSpec":
        """Return the specification by the problem's `schema`."""
        row, labelled = schema.Row.columns(), schema.Labelled.columns()
        outcome = {name: column.dtype for name, column in labelled.items() if name not in row}
        key = {name: row[name].dtype for name in schema.Row.primary_key()}
        return cls(key, schema.TIME, outcome, schema.target(), Task.from_schema(schema))

    def describe(self) -> str:
        """Describe all of it; what is made by one specification is kept under its description.

        Returns:
            A text that is equal for equal specifications.
        """
        return f"{KEY_FORMAT}{self.key}{self.time}{self.outcome}{describe_expression(self.target)}{self.task!r}"

    def labels(self, rows: pl.DataFrame, source: str, time: dt.datetime) -> list[LabelEntry]:
        """Make a label of each row.

        Args:
            rows: A frame with the columns of key and outcome.
            source: Where the labels come from, as in `LabelEntry`.
            time: When they arrived (UTC).

        Returns:
            A label for each row; none where the contract has no key.
        """
        if not self.key:
            return []
        width, names = len(self.key), list(self.outcome)
        values = rows.select(*self.key, *names).iter_rows()
        return [LabelEntry(time, source, dict(zip(names, row[width:], strict=True)), row[:width]) for row in values]

    def compute_targets(self, labels: Sequence[Mapping[str, Any] | None]) -> pl.Series:
        """Compute the targets of labels.

        Args:
            labels: The outcome columns' values of each label; None where there is none.

        Returns:
            The target of each; null without a label.
        """
        columns = {name: [label and label.get(name) for label in labels] for name in self.outcome}
        return pl.DataFrame(columns, schema=dict(self.outcome), strict=False).select(target=self.target).to_series()
