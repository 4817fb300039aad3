"""Where raw batches come from: the table that somebody exported, a batch a year."""

from pathlib import Path

from penumbra.sources import TableFiles

SOURCE = TableFiles(Path(__file__).parents[1] / "exports" / "table.csv", time="at", period="year")
