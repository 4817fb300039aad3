"""The tables of a source with the days of their rows, read once and again where a file has changed."""

import shutil
import tempfile
import threading
import weakref
from collections.abc import Sequence
from pathlib import Path

from penumbra.sources.tables.locations import TableFile, find_table_files
from penumbra.sources.tables.plain_files import fetch_anew, open_plain_file
from penumbra.sources.tables.table_runs import IndexedTable, TableReading, index_table


class TableIndex:
    """The files of a source, each with the days of its rows. Threads may share it."""

    def __init__(self, paths: Sequence[str | Path], encoding: str, reading: TableReading) -> None:
        """Read nothing yet.

        Args:
            paths: Files, folders, patterns and URLs.
            encoding: The encoding of CSV files.
            reading: How the tables are read.
        """
        self.paths, self.encoding, self.reading = paths, encoding, reading
        self._lock = threading.Lock()
        self._indexed: dict[tuple[str, str, int], IndexedTable] = {}
        self._fetched: dict[str, TableFile] = {}
        self._copies: Path | None = None

    def read_tables(self, is_fresh: bool = False) -> list[IndexedTable]:
        """Find the files, and index those that are new or have changed.

        Args:
            is_fresh: Whether to fetch the files again whose store doesn't tell when they change; else they stay as
                they were fetched last.

        Returns:
            The tables that have rows, in the order of the paths.

        Raises:
            FileNotFoundError: There are no files.
            ConnectionError: The files can't be reached.
            ValueError: A file can't be read.
        """
        with self._lock:
            before, rows = self._indexed, 0
            self._indexed = {}
            if is_fresh:
                self._fetched = {}
            for file in map(self._mark_changes, find_table_files(self.paths)):
                key = (file.name, file.fingerprint, rows if self.reading.rows_per_day else 0)
                self._indexed[key] = before.get(key) or self._index_file(file, rows)
                rows += self._indexed[key].rows
            return [table for table in self._indexed.values() if table.rows]

    def _mark_changes(self, file: TableFile) -> TableFile:
        """The file with a fingerprint that is another once it has changed."""
        if file.tells_changes:
            return file
        if file.path not in self._fetched:
            self._fetched[file.path] = fetch_anew(file, self.encoding, self._get_folder())
        return self._fetched[file.path]

    def _index_file(self, file: TableFile, rows_before: int) -> IndexedTable:
        path = open_plain_file(file, self.encoding, self._get_folder())
        return index_table(file, path, self.reading, rows_before)

    def _get_folder(self) -> Path:
        """The folder of copies, which lasts as long as the index."""
        if self._copies is None:
            self._copies = Path(tempfile.mkdtemp(prefix="penumbra-source-"))
            weakref.finalize(self, shutil.rmtree, self._copies, ignore_errors=True)
        return self._copies
