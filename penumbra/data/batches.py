"""The data store: raw batches stay byte for byte as they arrived, everything else is derived from them once.

data/batches/<batch>/<file>            raw, immutable, versioned (see penumbra/data/versioning)
.data.staged/batches/<batch>/<file>    accepted but not admitted yet
<derived>/rows/<batch>-<key>.parquet   the rows that keep the contract; features are computed as they are read
<derived>/quarantine/<batch>.parquet   the rows that don't: row number, rules broken, original text
<derived>/faults/<key>.json            which days of a batch have faults (see flows/steps/train/exclusions/)
"""

import functools
import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl

from penumbra.core.columns import BATCH_COLUMN, INPUTS_COLUMN, WEIGHT_COLUMN
from penumbra.core.encoding import list_feature_expressions
from penumbra.core.problem import Problem
from penumbra.core.raw_files import RawContent, RawFiles, hash_contents
from penumbra.core.settings import DataSettings
from penumbra.data.flywheel import FLYWHEEL_COLUMNS, temper_counts
from penumbra.data.flywheel_manifest import BATCHES_FOLDER, is_flywheel_batch, read_period_end
from penumbra.data.partitions.derivation import BatchCheckResult, derive_batch
from penumbra.data.partitions.partition_code import fingerprint_partition_code
from penumbra.data.partitions.row_parts import read_row_slices
from penumbra.data.source_reader import BatchRefused, list_source_batches
from penumbra.data.staging import Staging, get_staging_folder
from penumbra.data.versioning import admitted
from penumbra.data.versioning.checksums import ChecksumCache, read_file_stat
from penumbra.data.versioning.dvc_listing import build_listing, list_files
from penumbra.storage.sealed import is_derived_file_whole, remove_sealed_file, write_sealed_aside

ROWS_FOLDER, QUARANTINE_FOLDER, FAULTS_FOLDER = "rows", "quarantine", "faults"
ROWS_PER_GROUP = 1 << 17  # said, since polars would choose it by how the rows come


class DataStore:
    """One writer (`stage`, then `admit`) and one reader (`rows`) of batches.

    `problem` is loaded with the parts `penumbra.data.partitions.partition_code.STORED_PARTS`.
    """

    def __init__(self, settings: DataSettings, problem: Problem):
        self.settings = settings
        self.problem = problem
        self.raw = settings.folder / BATCHES_FOLDER
        self.staging = Staging(self.raw, get_staging_folder(settings.folder))
        self.checksums = ChecksumCache(settings.derived / "md5.json")
        self._lasting: tuple[list[str], pl.DataFrame] = [], pl.DataFrame()

    def batches(self) -> list[str]:
        """Return the names of the admitted batches, oldest first."""
        return sorted(os.listdir(self.raw)) if self.raw.is_dir() else []

    def source_batches(self) -> list[str]:
        """Return the names of the admitted batches that are the source's, oldest first."""
        return [batch for batch in self.batches() if not is_flywheel_batch(batch)]

    def flywheel_batches(self) -> list[str]:
        """Return the names of the admitted batches that were made of the logs, by their periods."""
        return sorted((batch for batch in self.batches() if is_flywheel_batch(batch)), key=read_period_end)

    def arrived(self) -> list[str]:
        """List the batches that the source has completed by `data.today`.

        Returns:
            Their names, oldest first.

        Raises:
            SourceFailed: The source can't be read, or gives something else than batches.
        """
        return [b.name for b in list_source_batches(self.problem) if b.complete <= self.settings.today]

    def stage(self, batch: str, files: Mapping[str, RawContent]) -> BatchCheckResult:
        """Check a batch against the contract, derive its partition and quarantine, and keep its files for `admit`.

        Args:
            batch: The batch's name.
            files: The content of its raw files, by path relative to the batch's folder, as a whole or in pieces.

        Returns:
            The counts of rows, of rejected rows, and of rows that break each rule.

        Raises:
            BatchRefused: The files can't be read, too many rows break the contract, or a feature fails for a row;
                nothing is kept then.
            BatchEmpty: Where it has no rows.
            OSError: Where the quarantine, the partition or the files can't be written.
        """
        with self.staging.write(batch, files) as (raw, scratch):
            written = {name: read_file_stat(str(path)) for name, path in raw.paths.items()}  # parse() may change a file
            result = self._derive(batch, raw, scratch)
            for name, stat in written.items():
                self.checksums.note(str(self.raw / batch / name), stat, raw.sums[name])
        return result

    def admit(self, batches: Iterable[str]) -> None:
        """Move staged batches into `data/`, each as a whole; one that is there already is replaced.

        Args:
            batches: Names of staged batches.

        Raises:
            StagingLost: One of them isn't staged; nothing is moved then.
            OSError: Where a folder can't be moved.
        """
        self.staging.admit(batches)
        self.checksums.save()
        self._lasting = [], pl.DataFrame()

    def staged_rows(self, batch: str, files: Mapping[str, bytes]) -> pl.DataFrame:
        """Read the rows of a staged batch that keep the contract.

        Args:
            batch: The batch's name.
            files: What `stage` was given.

        Returns:
            What `rows` returns, of a flywheel batch also with `FLYWHEEL_COLUMNS`.
        """
        return self._scan_partition(self._partition(batch, hash_contents(files))).collect()

    def fingerprint(self, batch: str, files: Mapping[str, bytes]) -> str:
        """Return a text that is another one where `stage` of this `batch` and these raw `files` may end otherwise."""
        return f"{self._partition(batch, hash_contents(files)).stem} {self.settings.bad_row_share}"

    def staged_versions(self) -> list[str]:
        """Compute the data versions that an empty data folder takes as the staged batches are admitted one by one.

        Returns:
            The md5 after the first batch, after the first two, and so on.
        """
        return self.staging.versions(self.checksums)

    def rows(self, batch: str, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """Read a batch's rows that keep the contract.

        A row of a flywheel batch whose key the source has brought, or a later flywheel batch has anew, is no longer one
        of its rows. Rows are derived again only where the raw files, or the code and tables that they are made by, have
        changed (see penumbra/data/partitions/partition_code.py).

        Args:
            batch: The name of an admitted batch.
            columns: The columns to read, of a flywheel batch also those of `FLYWHEEL_COLUMNS`; by default those of
                any batch.

        Returns:
            A frame with the contract's columns, `penumbra.inputs` (a struct of the features) and `penumbra.batch`
            (String).

        Raises:
            BatchRefused: The batch isn't what was admitted, too many rows break a contract that has changed, or a
                feature that has changed fails for one.
        """
        if is_flywheel_batch(batch):
            rows = self._read_flywheel_rows(batch)
            return rows.drop(FLYWHEEL_COLUMNS) if columns is None else rows.select(columns)
        scanned = self._scan_partition(self._ensure_partition(batch))
        return (scanned if columns is None else scanned.select(columns)).collect()

    def iterate_rows(self, batch: str, columns: Sequence[str], at_once: int) -> Iterator[pl.DataFrame]:
        """Read the rows of a batch of the source that keep the contract, some at a time.

        Args:
            batch: The batch's name.
            columns: The columns to read.
            at_once: How many rows a frame has at most.

        Yields:
            The rows, in their order, with these columns; one frame at least.

        Raises:
            BatchRefused: As in `rows`.
        """
        yield from read_row_slices(self._scan_partition(self._ensure_partition(batch)).select(columns), at_once)

    def weighted_rows(self, batch: str, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """Read a batch's rows with their weights.

        Args:
            batch: The name of an admitted batch.
            columns: The columns to read beside the weight, as in `rows`.

        Returns:
            What `rows` returns, with `penumbra.weight` (Float64): how many rows a row of a flywheel batch counts for in
            a fit (see `penumbra.data.flywheel.temper_counts`); 1 for rows of the source.

        Raises:
            BatchRefused: As in `rows`.
        """
        if not is_flywheel_batch(batch):
            return self.rows(batch, columns).with_columns(pl.lit(1.0).alias(WEIGHT_COLUMN))
        rows = self._read_flywheel_rows(batch)
        kept = rows.drop(FLYWHEEL_COLUMNS).columns if columns is None else columns
        return rows.select(*kept, temper_counts())

    def read_keys(self, batches: Iterable[str]) -> pl.DataFrame:
        """Read the keys of rows that keep the contract, of superseded ones as well.

        Args:
            batches: Names of admitted batches.

        Returns:
            A frame with the columns of the contract's key and `penumbra.batch` (String).

        Raises:
            BatchRefused: As in `rows`.
        """
        columns = [*self.problem.schema.Row.primary_key(), BATCH_COLUMN]
        dtypes = {name: column.dtype for name, column in self.problem.schema.Row.columns().items()}
        empty = pl.DataFrame(schema={name: dtypes.get(name, pl.String) for name in columns})
        found = (pl.read_parquet(self._ensure_partition(batch), columns=columns, glob=False) for batch in batches)
        return pl.concat([empty, *found])

    def sums(self, batch: str) -> dict[str, str]:
        """Return the md5 of each raw file of an admitted `batch`, by the file's path in the batch's folder."""
        folder = self.raw / batch
        found = build_listing(folder, sorted(list_files(folder, self.checksums)), self.checksums)
        self.checksums.save()
        return found

    def read_raw_files(self, batch: str) -> RawFiles:
        """Check the raw files of an admitted batch.

        Args:
            batch: The batch's name.

        Returns:
            The content of each file, by its path in the batch's folder.

        Raises:
            BatchRefused: They aren't what was admitted.
        """
        files = RawFiles(self._raw_files(batch))
        if admitted.is_admitted(self.settings, batch, files.sums):
            return files
        raise BatchRefused(
            f"{batch} isn't what was admitted: {self.raw / batch} has other content than {self.settings.folder}.dvc "
            "names; `penumbra doctor` brings it back"
        )

    def quarantine(self, batch: str) -> pl.DataFrame:
        """Read a batch's rejected rows.

        Args:
            batch: The batch's name.

        Returns:
            A frame with `penumbra.batch`, `penumbra.row` (UInt32, the row's number in the raw files), `penumbra.broken`
            (List(String), the rules) and the columns of the original text; empty where no row was rejected.

        Raises:
            BatchRefused: As in `rows`.
        """
        path = self._quarantine_path(batch)
        if (self.raw / batch).is_dir():
            self._ensure_partition(batch)
        return pl.read_parquet(path, glob=False) if path.exists() else pl.DataFrame()

    def has_partition(self, batch: str) -> bool:
        """Return whether rows of exactly these raw files of an admitted `batch` were derived by the present code."""
        return self._partition(batch, self.sums(batch)).exists()

    def name_partition(self, batch: str) -> str:
        """Return the name of an admitted `batch`'s rows: another one where raw files or the code are others."""
        return self._partition(batch, self.sums(batch)).stem

    def _read_flywheel_rows(self, batch: str) -> pl.DataFrame:
        """Read the rows of a flywheel batch that neither the source nor a later flywheel batch has."""
        rows = self._scan_partition(self._ensure_partition(batch)).collect()
        lasting = self._read_lasting_keys().filter(pl.col(BATCH_COLUMN) == batch)
        return rows.join(lasting, on=self.problem.schema.Row.primary_key(), how="semi", maintain_order="left")

    def _read_lasting_keys(self) -> pl.DataFrame:
        """The keys that flywheel batches have and the source hasn't, with the last batch of each; read once."""
        batches, key = self.batches(), self.problem.schema.Row.primary_key()
        if self._lasting[0] != batches:
            made = self.read_keys(self.flywheel_batches()).unique(key, keep="last", maintain_order=True)
            self._lasting = batches, made.join(self.read_keys(self.source_batches()), on=key, how="anti")
        return self._lasting[1]

    def _ensure_partition(self, batch: str) -> Path:
        """Derive what an admitted batch has no current and whole partition of; return the partition's path."""
        partition = self._partition(batch, self.sums(batch))
        if not partition.exists() or not all(map(is_derived_file_whole, (partition, self._quarantine_path(batch)))):
            partition.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=f".{batch}-", dir=partition.parent) as scratch:
                self._derive(batch, self.read_raw_files(batch), Path(scratch))
        return partition

    def _scan_partition(self, path: Path) -> pl.LazyFrame:
        """The rows of a partition with their features, of which those are computed that are read."""
        features = pl.struct(list_feature_expressions(self.problem.features.FEATURES))
        return pl.scan_parquet(path, glob=False).with_columns(features.alias(INPUTS_COLUMN))

    def _raw_files(self, batch: str) -> dict[str, Path]:
        folder = self.raw / batch
        paths = sorted(map(Path, list_files(folder)))
        return {path.relative_to(folder).as_posix(): path for path in paths}

    def _derive(self, batch: str, files: RawFiles, scratch: Path) -> BatchCheckResult:
        with ThreadPoolExecutor(1) as beside:
            partition = beside.submit(lambda: self._partition(batch, files.sums))  # while polars needs no interpreter
            derived = derive_batch(self.problem, batch, files, self.settings.bad_row_share, scratch)
        if derived.result.rejected:
            _write_parquet(derived.rejected, self._quarantine_path(batch))
        else:
            remove_sealed_file(self._quarantine_path(batch))
        _write_parquet(derived.rows, partition.result())  # last: a partition isn't derived again
        return derived.result

    def _quarantine_path(self, batch: str) -> Path:
        return self.settings.derived / QUARANTINE_FOLDER / f"{batch}.parquet"

    def _partition(self, batch: str, sums: dict[str, str]) -> Path:
        facts = json.dumps([sorted(sums.items()), self._code])
        return (
            self.settings.derived / ROWS_FOLDER / f"{batch}-{hashlib.sha256(facts.encode()).hexdigest()[:16]}.parquet"
        )

    @functools.cached_property
    def _code(self) -> str:
        return fingerprint_partition_code(self.problem.files)


def _write_parquet(rows: pl.LazyFrame, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with write_sealed_aside(path) as aside:
        rows.sink_parquet(aside, compression="lz4", statistics=False, row_group_size=ROWS_PER_GROUP)
