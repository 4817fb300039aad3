"""The problem that a data version is of, as the `.dvc` file says it: its batches and its columns.

A team that puts its own problem in the place of another inherits that one's `data.dvc`, whose data it neither has nor
wants.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from penumbra.core.problem import Problem
from penumbra.data.source_reader import list_source_batches

MIN_COMMON_COLUMNS = 0.5  # the share of columns that a contract keeps, whatever else changes in it


@dataclass(frozen=True)
class DataOrigin:
    """The origin of a data version.

    Attributes:
        first: The name of its first batch.
        last: The name of its last batch.
        columns: The columns of the contract `Labelled`.
    """

    first: str
    last: str
    columns: tuple[str, ...]

    @classmethod
    def of_batches(cls, batches: Sequence[str], problem: Problem) -> "DataOrigin":
        """Return the origin of some `batches` of a `problem`, at least one, in their order."""
        return cls(batches[0], batches[-1], tuple(problem.schema.Labelled.columns()))

    @classmethod
    def from_meta(cls, meta: Mapping[str, Any] | None) -> "DataOrigin | None":
        """Read the origin from what a `.dvc` file has under `meta`; returns None if there is none."""
        try:
            return cls(str(meta["first"]), str(meta["last"]), tuple(map(str, meta["columns"]))) if meta else None
        except (KeyError, TypeError):  # somebody else's
            return None

    def to_meta(self) -> dict[str, Any]:
        """Return what the `.dvc` file gets under `meta`."""
        return {"first": self.first, "last": self.last, "columns": list(self.columns)}

    def is_of(self, problem: Problem) -> bool:
        """Return whether data of this origin can be data of a `problem`, as it is today.

        Its source has the first or the last batch, and its contract half of the columns.
        """
        named = {batch.name for batch in list_source_batches(problem)} & {self.first, self.last}
        common = set(self.columns) & set(problem.schema.Labelled.columns())
        return bool(named) and len(common) >= MIN_COMMON_COLUMNS * len(self.columns)

    def __str__(self) -> str:
        shown = ", ".join(self.columns[:3]) + (", …" if self.columns[3:] else "")
        return f"{self.first} to {self.last} with the columns {shown}"
