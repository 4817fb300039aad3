"""Inputs of the stages, each made once for all stages of a size that read it, by whichever asks first."""

import sys
from functools import cached_property
from pathlib import Path

from benchmarks.helpers.process_costs import ProcessCost, measure_command
from benchmarks.pipeline.growth.copied_source import write_copies
from benchmarks.pipeline.growth.sizes import MILLION_ROWS, SIZES
from benchmarks.pipeline.monitor.line_logs import MILLION, link_line_log, link_parquet_log, write_year
from benchmarks.pipeline.train import make_environment
from tests.helpers.checkout import FLIGHTS, link_checkout

CANDIDATE = "gradient_boosting"
MONTHS_OF_YEAR = 12
PYTHON = [sys.executable, "-m"]


class PreparedRows:
    """The rows of one size: as raw files of a source, in the data store of a checkout, and as prediction logs."""

    def __init__(self, folder: Path, year: Path, rows: int) -> None:
        """Take an empty folder, one for what all sizes have in common, and one of `SIZES`."""
        self.folder, self._year, self.rows = folder, year, rows

    def measure(self, *command: str | Path, **variables: str) -> ProcessCost:
        """Run a command in the checkout, and return its cost.

        Args:
            command: Program and arguments.
            variables: What its environment has beside that of the checkout.

        Returns:
            The cost.

        Raises:
            SystemExit: It failed.
        """
        return measure_command(command, self.environ | variables, self.folder / "checkout")

    @cached_property
    def environ(self) -> dict[str, str]:
        """The environment of a data store of its own, and of a checkout whose source has these rows."""
        (problem := self.folder / "problem").mkdir()
        (checkout := self.folder / "checkout").mkdir()
        for path in FLIGHTS.glob("*.py"):
            copied = Path(__file__).with_name("copied_source.py")
            (problem / path.name).symlink_to(copied if path.name == "source.py" else path)
        link_checkout(checkout, problem)
        own = {
            "COPIED_ROWS": f"{self.raw}",
            "PYTHONPATH": f"{checkout}",
            "PENUMBRA_TRAINING__CANDIDATES": CANDIDATE,
            "PENUMBRA_BACKTEST__FOLDER": f"{self.folder}/backtest",
        }
        months = SIZES[self.rows][0]
        today = f"2013-{months + 1:02}-01" if months < MONTHS_OF_YEAR else "2014-01-01"
        return make_environment(self.folder, today) | own

    @cached_property
    def raw(self) -> Path:
        """The folder with the raw files of each batch."""
        (made := self.folder / "raw" / "data").mkdir(parents=True)
        write_copies(made, *SIZES[self.rows])
        return made

    @cached_property
    def ingest_cost(self) -> ProcessCost:
        """What it cost to fill the data store."""
        return self.measure(sys.executable, "flows/ingest.py", "--no-pylint", "run")

    @cached_property
    def lines(self) -> Path:
        """The folder with the prediction log as the service writes it."""
        return link_line_log(self.folder / "lines", self.year / "once", self.rows)

    @cached_property
    def archive_cost(self) -> ProcessCost:
        """What it cost to archive `lines`."""
        return measure_command([*PYTHON, "benchmarks.pipeline.monitor", "archive", f"{self.lines}"])

    @cached_property
    def archived(self) -> Path:
        """The folder with the prediction log as Parquet: of more than a million rows, links to the parts of these."""
        if self.rows <= MILLION_ROWS:
            _ = self.archive_cost
            return self.lines
        if not (lines := self.year / "lines").exists():
            link_line_log(lines, self.year / "once", MILLION_ROWS)
            measure_command([*PYTHON, "benchmarks.pipeline.monitor", "archive", f"{lines}"])
        return link_parquet_log(self.year, self.rows / MILLION)

    @cached_property
    def year(self) -> Path:
        """The folder with the rows of a year as Parquet, and their log in `once`."""
        if not self._year.exists():
            self._year.mkdir()
            write_year(self._year)
        return self._year
