"""Rows on which a live model failed: the part of validation that grows with experience.

Append-only: one Parquet file for each time that rows were added, named by that time; each row is kept once, as it was
first added.
"""

import datetime as dt
import secrets
from pathlib import Path
from typing import Any

import dataframely as dy
import polars as pl

from penumbra.core.columns import ADDED_AT_COLUMN, BATCH_COLUMN, LOSS_COLUMN, MODEL_COLUMN, add_missing_prefix
from penumbra.storage.sealed import DamagedFile, check_sealed_file, write_sealed_aside

FAILURE_COLUMNS = {BATCH_COLUMN: pl.String(), MODEL_COLUMN: pl.String(), LOSS_COLUMN: pl.Float64()}
ADDED_AT_DTYPE = pl.Datetime("us", "UTC")


class FailureSet:
    """The failure set in a folder. The contract `row` has the key that tells rows apart; without it none is kept."""

    def __init__(self, folder: Path, row: type[dy.Schema] | Any):
        self.folder = folder
        self.key: dict[str, Any] = {name: row.columns()[name].dtype for name in row.primary_key()}

    def add(self, rows: pl.DataFrame) -> int:
        """Add the rows that aren't in the set yet.

        Args:
            rows: A frame with the key's columns, `penumbra.batch` (String), `penumbra.model` (String, a version) and
                `penumbra.loss` (Float64).

        Returns:
            How many rows are new.

        Raises:
            OSError: Where they can't be written.
        """
        if not self.key:
            return 0
        rows = rows.select(*self.key, *FAILURE_COLUMNS).unique(list(self.key), keep="first", maintain_order=True)
        new = rows.join(self.read(), on=list(self.key), how="anti", maintain_order="left")
        if len(new):
            _write_failures(
                new.select(*(_cast_enum_to_text(name, dtype) for name, dtype in self.key.items()), *FAILURE_COLUMNS),
                self.folder,
            )
        return len(new)

    def read(self, most: int | None = None) -> pl.DataFrame:
        """Read the set, in the order in which rows were added.

        Args:
            most: How many rows to return at most, those that were added last; None for all.

        Returns:
            A frame with the key's columns, those of `add` and `penumbra.when` (Datetime, UTC). Rows whose key the
            contract no longer admits are left out.

        Raises:
            DamagedFile: A file isn't what was written; says what to do.
        """
        found = pl.concat([self._empty(), *(self._part(path) for path in sorted(self.folder.glob("*.parquet")))])
        found = found.unique(list(self.key) or None, keep="first", maintain_order=True)
        return found if most is None else found.tail(most)

    def _empty(self) -> pl.DataFrame:
        return pl.DataFrame(schema=self.key | FAILURE_COLUMNS | {ADDED_AT_COLUMN: ADDED_AT_DTYPE})

    def _part(self, path: Path) -> pl.DataFrame:
        try:
            check_sealed_file(path)
        except DamagedFile as error:
            raise DamagedFile(f"{error}: bring it back from a backup, or remove it to forget its rows") from None
        when = dt.datetime.fromtimestamp(int(path.name[:13], 16) / 1e6, dt.UTC)
        part = add_missing_prefix(pl.read_parquet(path, glob=False), FAILURE_COLUMNS)
        part = part.with_columns(pl.lit(when).cast(ADDED_AT_DTYPE).alias(ADDED_AT_COLUMN))
        kept = part.with_columns(pl.col(name).cast(dtype, strict=False) for name, dtype in self.key.items())
        return kept.drop_nulls(list(self.key)).select(self._empty().columns)


def _cast_enum_to_text(name: str, dtype: Any) -> pl.Expr:
    """An Enum as text: the contract's values may change."""
    return pl.col(name).cast(pl.String) if isinstance(dtype, pl.Enum) else pl.col(name)


def _write_failures(rows: pl.DataFrame, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    now = int(dt.datetime.now(dt.UTC).timestamp() * 1e6)
    path = folder / f"{now:013x}-{secrets.token_hex(3)}.parquet"
    with write_sealed_aside(path) as aside:
        rows.write_parquet(aside)
