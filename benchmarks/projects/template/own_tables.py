"""Data sets of three tasks, as a person gets them: a CSV file, of which nothing is known to the template."""

import importlib
from dataclasses import dataclass
from pathlib import Path

from benchmarks.projects.own_data.project import PROBLEMS as OWN_DATA

FINISHED = Path(__file__).parent / "finished"
FILES = ("schema.py", "features.py", "source.py")


@dataclass(frozen=True)
class OwnTable:
    """A data set, and the task of it.

    Attributes:
        name: Its name: that of its source in `finished/`, and of the problem of `bench own-data` with the same rows.
        task: The answer to copier's question `task`.
    """

    name: str
    task: str

    def list_files(self) -> dict[str, Path | None]:
        """List the files of `problem/` that a person writes for it.

        Returns:
            Where each lies, by its name; None where it isn't needed, as its content follows from the contract.
        """
        folders = (FINISHED / self.name, OWN_DATA / self.name)
        return {name: next((path for each in folders if (path := each / name).exists()), None) for name in FILES}

    def write_csv(self, project: Path) -> None:
        """Write the table where the finished source expects it.

        Args:
            project: The folder of the project.
        """
        (project / "tables").mkdir()
        table = importlib.import_module(f"benchmarks.projects.own_data.problems.{self.name}.table").load_table()
        table.write_csv(project / "tables" / f"{self.name}.csv")


OWN_TABLES = (OwnTable("orders", "binary"), OwnTable("tickets", "classes"), OwnTable("tips", "number"))
