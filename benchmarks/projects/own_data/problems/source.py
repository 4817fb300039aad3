"""Where raw batches come from: the table that somebody exported, a batch a month."""

from pathlib import Path

from penumbra.sources import TableFiles

from .schema import TIME

SOURCE = TableFiles(Path(__file__).parents[1] / "exports" / "table.csv", time=TIME)
