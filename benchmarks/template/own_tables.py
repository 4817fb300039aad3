"""Data sets of three tasks, as a person gets them: a CSV file, of which nothing is known to the template."""

import importlib
from dataclasses import dataclass
from pathlib import Path

FINISHED = Path(__file__).parent / "finished"


@dataclass(frozen=True)
class OwnTable:
    """A data set, and the task of it.

    Attributes:
        name: Its name: that of its folder in `finished/`, and of the problem of `bench own-data` with the same rows.
        task: The answer to copier's question `task`.
    """

    name: str
    task: str

    @property
    def finished(self) -> Path:
        """The files of `problem/` that a person wrote for it."""
        return FINISHED / self.name

    def write_csv(self, project: Path) -> None:
        """Write the table where the finished source expects it.

        Args:
            project: The folder of the project.
        """
        (project / "tables").mkdir()
        table = importlib.import_module(f"benchmarks.own_data.problems.{self.name}.table").load_table()
        table.write_csv(project / "tables" / f"{self.name}.csv")


OWN_TABLES = (OwnTable("orders", "binary"), OwnTable("tickets", "classes"), OwnTable("tips", "number"))
