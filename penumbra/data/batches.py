"""The data store: raw batches stay byte for byte as they arrived, everything else is derived from them once.

data/batches/<batch>/<file>            raw, immutable, versioned (see penumbra/data/versions.py)
.data.staged/batches/<batch>/<file>    accepted but not admitted yet
<derived>/rows/<batch>-<key>.parquet   the rows that keep the contract, with their features in the struct "inputs"
<derived>/quarantine/<batch>.parquet   the rows that don't: row number, rules broken, original text
"""

import functools
import hashlib
import json
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dataframely as dy
import polars as pl

import penumbra.features
from penumbra.core import encoding
from penumbra.core.problem import Problem
from penumbra.core.settings import DataSettings
from penumbra.data.checksums import ChecksumCache
from penumbra.data.dvc_listing import build_listing, compute_listing_md5
from penumbra.storage.atomic import write_aside

ROW_NUMBER_COLUMN = "row"
STORED_PARTS = ("schema", "source", "features")  # of a problem, those that the rows of the store depend on


class BatchRefused(ValueError):
    """A batch can't be used as a whole; names the batch, what is wrong and what was expected."""


@dataclass(frozen=True)
class BatchCheckResult:
    """The result of checking one batch against the contract.

    Attributes:
        batch: The batch's name.
        rows: How many rows it has.
        broken: How many rows break each rule, by the rule's name.
        rejected: How many rows break at least one.
    """

    batch: str
    rows: int
    broken: dict[str, int]
    rejected: int

    def __str__(self) -> str:
        if not self.rejected:
            return f"{self.batch}: {self.rows:,} rows, all keep the contract"
        rules = ", ".join(f"{rule} {count:,}" for rule, count in self.broken.items())
        return f"{self.batch}: {self.rows:,} rows, {self.rejected:,} of them quarantined ({rules})"


class DataStore:
    """One writer (`stage`, then `admit`) and one reader (`rows`) of batches.

    `problem` is loaded with the parts `STORED_PARTS`.
    """

    def __init__(self, settings: DataSettings, problem: Problem):
        self.settings = settings
        self.problem = problem
        self.raw = settings.folder / "batches"
        self.staged = settings.folder.with_name(f".{settings.folder.name}.staged")
        self.checksums = ChecksumCache(settings.derived / "md5.json")

    def batches(self) -> list[str]:
        """Return the names of the admitted batches, oldest first."""
        return sorted(folder.name for folder in self.raw.iterdir()) if self.raw.is_dir() else []

    def arrived(self) -> list[str]:
        """Return the names of the batches that the source has completed by `data.today`, oldest first."""
        return [b.name for b in self.problem.source.batches() if b.complete <= self.settings.today]

    def stage(self, batch: str, files: dict[str, bytes]) -> BatchCheckResult:
        """Check a batch against the contract, derive its partition and quarantine, and keep its files for `admit`.

        Args:
            batch: The batch's name.
            files: The content of its raw files, by name.

        Returns:
            The counts of rows, of rejected rows, and of rows that break each rule.

        Raises:
            BatchRefused: Where the files can't be read or too many rows break the contract; nothing is kept then.
            OSError: Where the quarantine, the partition or the files can't be written.
        """
        intake = self._derive(batch, files)
        folder = self._staged(batch)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name, content in files.items():
            (folder / name).write_bytes(content)
        return intake

    def admit(self, batches: Iterable[str]) -> None:
        """Move staged batches into `data/`, each in one step; one that is there already is replaced."""
        self.raw.mkdir(parents=True, exist_ok=True)
        for batch in batches:
            old = self.staged / f"{batch}.old"
            shutil.rmtree(old, ignore_errors=True)
            if (self.raw / batch).exists():
                os.replace(self.raw / batch, old)
            os.replace(self._staged(batch), self.raw / batch)
        shutil.rmtree(self.staged, ignore_errors=True)

    def staged_versions(self) -> list[str]:
        """Compute the data versions that an empty data folder takes as the staged batches are admitted one by one.

        Returns:
            The md5 after the first batch, after the first two, and so on.
        """
        batches = sorted((self.staged / "batches").iterdir())
        files = [
            sorted(path for folder in batches[:count] for path in folder.iterdir())
            for count in range(1, len(batches) + 1)
        ]
        return [compute_listing_md5(build_listing(self.staged, some, self.checksums)) for some in files]

    def discard_staged(self) -> None:
        """Throw away what an earlier run staged and never admitted."""
        shutil.rmtree(self.staged, ignore_errors=True)

    def rows(self, batch: str) -> pl.DataFrame:
        """Read a batch's rows that keep the contract.

        They are derived again only where the raw files or the code of contract, parsing and features changed.

        Args:
            batch: The name of an admitted batch.

        Returns:
            A frame with the contract's columns, `inputs` (a struct of the features) and `batch` (String).

        Raises:
            BatchRefused: Where too many rows break a contract that has changed.
        """
        partition = self._partition(batch, self.sums(batch))
        if not partition.exists():
            self._derive(batch, {path.name: path.read_bytes() for path in sorted((self.raw / batch).iterdir())})
        return pl.read_parquet(partition)

    def sums(self, batch: str) -> dict[str, str]:
        """Return the md5 of each raw file of an admitted `batch`, by the file's name."""
        found = {path.name: self.checksums.md5(path) for path in sorted((self.raw / batch).iterdir())}
        self.checksums.save()
        return found

    def quarantine(self, batch: str) -> pl.DataFrame:
        """Read a batch's rejected rows.

        Args:
            batch: The batch's name.

        Returns:
            A frame with `batch`, `row` (UInt32, the row's number in the raw files), `broken` (List(String), the rules)
            and the columns of the original text; empty where no row was rejected.
        """
        path = self._quarantine_path(batch)
        return pl.read_parquet(path) if path.exists() else pl.DataFrame()

    def _derive(self, batch: str, files: dict[str, bytes]) -> BatchCheckResult:
        text = self._parse(batch, files)
        good, failure = self._contract.filter(text.with_columns(self.problem.source.CONVERSIONS), cast=True)
        intake = BatchCheckResult(batch, text.height, failure.counts(), text.height - good.height)
        self._refuse_if_too_bad(intake)
        features = encoding.derive_features(self.problem.features.FEATURES, good)
        partition = good.drop(ROW_NUMBER_COLUMN).with_columns(
            pl.struct(features).alias("inputs"), pl.lit(batch).alias("batch")
        )
        self._keep_rejected(batch, text, failure)
        sums = {name: hashlib.md5(content).hexdigest() for name, content in files.items()}
        _write_parquet(partition, self._partition(batch, sums))  # last: what has a partition isn't derived again
        return intake

    def _parse(self, batch: str, files: dict[str, bytes]) -> pl.DataFrame:
        try:
            return self.problem.source.parse(files).with_row_index(ROW_NUMBER_COLUMN)
        except ValueError as error:
            raise BatchRefused(f"batch {batch} refused: {error}") from None

    @functools.cached_property
    def _contract(self) -> type[dy.Schema]:
        labelled = self.problem.schema.Labelled
        return type(
            labelled.__name__, (labelled,), {ROW_NUMBER_COLUMN: dy.UInt32(nullable=False), "__module__": __name__}
        )

    def _refuse_if_too_bad(self, intake: BatchCheckResult) -> None:
        limit = self.settings.bad_row_share
        if not intake.rows:
            raise BatchRefused(f"batch {intake.batch} refused: it has no rows")
        if intake.rejected > limit * intake.rows:
            share = intake.rejected / intake.rows
            raise BatchRefused(f"batch {intake.batch} refused: {share:.1%} of its rows break the contract, {limit:.1%} "
                               f"is allowed (data.bad_row_share); {intake}")  # fmt: skip

    def _keep_rejected(self, batch: str, text: pl.DataFrame, failure: Any) -> None:
        path = self._quarantine_path(batch)
        if not len(failure):
            path.unlink(missing_ok=True)
            return
        details = failure.details()
        rules = [column for column in details.columns if column not in text.columns]
        broken = pl.concat_list(pl.when(pl.col(rule) == "invalid").then(pl.lit(rule)) for rule in rules)
        reasons = details.select(pl.col(ROW_NUMBER_COLUMN).cast(pl.UInt32), broken.list.drop_nulls().alias("broken"))
        rejected = reasons.join(text, on=ROW_NUMBER_COLUMN, how="inner").with_columns(pl.lit(batch).alias("batch"))
        _write_parquet(
            rejected.select("batch", ROW_NUMBER_COLUMN, "broken", pl.exclude("batch", ROW_NUMBER_COLUMN, "broken")),
            path,
        )

    def _staged(self, batch: str) -> Path:
        return self.staged / "batches" / batch

    def _quarantine_path(self, batch: str) -> Path:
        return self.settings.derived / "quarantine" / f"{batch}.parquet"

    def _partition(self, batch: str, sums: dict[str, str]) -> Path:
        facts = json.dumps([sorted(sums.items()), hashlib.sha256(self._code()).hexdigest()])
        return self.settings.derived / "rows" / f"{batch}-{hashlib.sha256(facts.encode()).hexdigest()[:16]}.parquet"

    def _code(self) -> bytes:
        """What a partition depends on besides its batch: the code of contract, parsing and features."""
        files = [self.problem.files[part] for part in STORED_PARTS]
        files += [*sorted(Path(str(penumbra.features.__file__)).parent.glob("*.py")), Path(encoding.__file__)]
        return b"".join(file.read_bytes() for file in files) + pl.__version__.encode()


def _write_parquet(frame: pl.DataFrame, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with write_aside(path) as aside:
        frame.write_parquet(aside, compression="lz4", statistics=False)
