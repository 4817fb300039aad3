"""The index that joins labels and shadow answers to predictions: SQLite, derived from the three logs alone.

It may be deleted at any time. Each pass reads only what was appended since the last one. The tables hold facts, each
entry of the logs once; which label counts, and the outcome of every other, are views of them, so the order in which the
logs are read makes no difference.
"""

import contextlib
import datetime as dt
import hashlib
import logging
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import polars as pl

from penumbra.core.columns import BATCH_COLUMN
from penumbra.core.problem import ProblemSchema
from penumbra.core.settings import Settings
from penumbra.core.system.garbage import pause_garbage_collection
from penumbra.logs import append_log
from penumbra.logs.archiving import archive_parts
from penumbra.logs.indexing import parsing
from penumbra.logs.indexing.index_tables import (
    INDEX_DDL,
    INDEX_TIMEOUT_SECONDS,
    LATEST_LABELS_QUERY,
    ParsedPiece,
    insert_pieces,
    list_index_pragmas,
    parse_piece,
    read_index_positions,
)
from penumbra.logs.keys import KeyEncoder, is_time_dtype
from penumbra.logs.labels import BATCH_PREFIX, LabelSpec
from penumbra.logs.log_pieces import LogPiece, group_pieces
from penumbra.logs.queries.lookup import INDEX_FILE
from penumbra.logs.replicas.log_union import fetch_logs
from penumbra.logs.schema import LabelEntry
from penumbra.storage.sealed import DamagedFile
from penumbra.storage.sqlite import (
    ReplacedTables,
    read_user_version,
    recreate_tables,
    remove_database,
    require_version,
)

logger = logging.getLogger("penumbra.logs")
REPLACED_MESSAGE = (
    "{path} was made anew by a process that began later, with another key, outcome or target in problem/schema.py, or "
    "of another version: restart this one, which leaves it to that"
)


class LogIndex:
    """The index in the labels' folder. Any number of processes may bring it up to date at the same time."""

    def __init__(self, predictions: Path, labels: Path, label_spec: LabelSpec) -> None:
        self.path = labels / INDEX_FILE
        self.label_spec = label_spec
        self.predictions = predictions
        self._logs = {"predictions": predictions, "labels": labels, "shadow": predictions.with_name("shadow")}
        self._rows = {
            "predictions": parsing.make_prediction_parser(label_spec),
            "labels": parsing.make_label_parser(label_spec),
            "shadow": parsing.parse_shadow_lines,
        }
        self._encode_key = KeyEncoder(label_spec.key).encode_values
        self._pragmas = list_index_pragmas(not label_spec.key or any(map(is_time_dtype, label_spec.key.values())))
        self._sizes: dict[Path, int] = {}
        self._is_keeping, self._kept_inode = False, 0
        self._has_begun = False  # whether the tables have been its own
        self._kept: sqlite3.Connection | None = None
        self._layout = int(hashlib.sha256(f"{INDEX_DDL}{label_spec.describe()}".encode()).hexdigest()[:7], 16)

    @classmethod
    def from_settings(cls, settings: Settings, schema: ProblemSchema) -> "LogIndex":
        """Create the index of the settings' logs.

        Args:
            settings: The settings, of which `service.predictions` and `labels.folder` are used.
            schema: The problem's schema.

        Returns:
            The index, which isn't opened yet.
        """
        return cls(settings.service.predictions, settings.labels.folder, LabelSpec.from_schema(schema))

    @classmethod
    def of_all_replicas(cls, settings: Settings, schema: ProblemSchema) -> "LogIndex":
        """Bring the logs of all replicas here, where machines share them, and the index of them up to date.

        Args:
            settings: The settings of the logs and of what machines share.
            schema: The problem's schema.

        Returns:
            The index, which has taken in all that was logged, or shipped, until now.

        Raises:
            sqlite3.OperationalError: Where the index is busy for longer than a minute, or can't be written.
            DamagedArchive: Where the archive of a log is damaged.
            StoreError: What machines share refuses, or is away.
        """
        fetched = fetch_logs(settings)
        for sentence in fetched.damaged if fetched else ():
            logger.error("%s", sentence)
        index = cls.from_settings(settings, schema)
        index.catch_up()
        return index

    def catch_up(self, after_piece: Callable[[], object] = lambda: None) -> int:
        """Take in what was appended to the logs until now; a damaged index is created anew.

        Args:
            after_piece: Called after each piece of some megabytes.

        Returns:
            How many lines were taken in.

        Raises:
            sqlite3.OperationalError: Where the index is busy for longer than a minute, or can't be written.
            ReplacedTables: Where it is kept open, and a process of another contract has made it anew.
            DamagedArchive: Where the archive of a log is damaged.
        """
        sizes = {
            path: size for folder in self._logs.values() for path, size in append_log.read_segment_sizes(folder).items()
        }
        if sizes == self._sizes and self.path.exists():
            return 0
        try:
            taken = self._read_on(sizes, after_piece)
        except ReplacedTables:
            self._close_kept()
            taken = self._read_on(sizes, after_piece)
        except sqlite3.DatabaseError as error:
            if type(error) is not sqlite3.DatabaseError:  # it isn't damaged, but busy, read-only, …
                raise
            self._close_kept()
            logger.warning("%s is damaged (%s): it is made again from the logs", self.path, error)
            remove_database(self.path)
            taken = self._read_on(sizes, after_piece)
        self._sizes = sizes
        return taken

    def attach_labels(self, batches: Iterable[pl.DataFrame], check: Callable[[], None] = lambda: None) -> int:
        """Log the labels in rows of batches, except those that equal the batch's latest label of the same key.

        Args:
            batches: Frames with the columns of the contract's key and outcome, and `penumbra.batch` (String); a batch
                may be in several of them, a row in one.
            check: Called before labels of a batch are logged; what it raises is passed on.

        Returns:
            How many labels were new.

        Raises:
            OSError: Where the label log can't be written.
            ReplacedTables: Where a process of another contract has made the index anew meanwhile.
        """
        self.catch_up()
        with contextlib.closing(append_log.LogWriter(self._logs["labels"])) as writer, self.open() as db:
            self.catch_up()  # again, where the tables had to be made anew for this connection
            parts = (part for rows in batches for part in rows.group_by(BATCH_COLUMN, maintain_order=True))
            new = 0
            for (batch,), part in parts:
                if labels := self._list_new_labels(db, f"{BATCH_PREFIX}{batch}", part):
                    check()
                    writer.append([append_log.encode_json(label) for label in labels])
                    new += len(labels)
        self.catch_up()
        return new

    def count_batch_labels(self) -> int:
        """Return how many labels of batches the index has, corrected ones as well."""
        query = "SELECT count(*) FROM labels WHERE substr(source, 1, ?) = ?"
        with self.open() as db:
            return int(db.execute(query, (len(BATCH_PREFIX), BATCH_PREFIX)).fetchone()[0])

    @contextlib.contextmanager
    def open(self) -> Iterator[sqlite3.Connection]:
        """Open a connection to the index, which is created where there is none.

        Yields:
            A connection in autocommit mode; within `keep_open` always the same one.
        """
        if self._kept_inode != _read_inode(self.path):  # another process has made the index anew
            self._close_kept()
        db = self._kept or self._connect()
        try:
            yield db
        finally:
            if self._is_keeping:
                self._kept, self._kept_inode = db, _read_inode(self.path)
            else:
                db.close()

    @contextlib.contextmanager
    def open_for_reading(self) -> Iterator[sqlite3.Connection]:
        """Open a connection as `open` does, to ask what the logs say.

        Yields:
            The connection.

        Raises:
            DamagedFile: A byte of the index has changed.
        """
        try:
            with self.open() as db:
                yield db
        except sqlite3.DatabaseError as error:
            if type(error) is not sqlite3.DatabaseError and "decode" not in str(error):  # it is busy, read-only, …
                raise
            raise DamagedFile(f"{self.path} is damaged ({error}): `penumbra doctor` makes it again") from None

    @contextlib.contextmanager
    def keep_open(self) -> Iterator["LogIndex"]:
        """Keep one connection for all passes: a new one has an empty cache, and closing the last costs a checkpoint.

        Files of other formats are removed first: who keeps the index open serves, as one version at a time does. Tables
        that a process of another contract or version makes anew meanwhile are left to it, as that began later: each
        pass raises ReplacedTables. Otherwise both would make them anew in turns, and none would come to an end.

        Yields:
            This index.
        """
        self._remove_other_formats()
        self._is_keeping = True
        try:
            yield self
        finally:
            self._is_keeping = False
            self._close_kept()

    def _connect(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as on_error:
            db = on_error.enter_context(
                contextlib.closing(sqlite3.connect(self.path, INDEX_TIMEOUT_SECONDS, isolation_level=None))
            )
            for pragma in self._pragmas:
                db.execute(f"PRAGMA {pragma}")
            if (found := read_user_version(db)) != self._layout:
                if found and self._is_keeping and self._has_begun:
                    raise ReplacedTables(REPLACED_MESSAGE.format(path=self.path))
                recreate_tables(db, INDEX_DDL, self._layout)
                self._sizes = {}
                self._remove_other_formats()
            self._has_begun = True
            on_error.pop_all()
            return db

    def _remove_other_formats(self) -> None:
        for path in self.path.parent.glob("index*.db"):
            if path.name != self.path.name:
                remove_database(path)

    def _close_kept(self) -> None:
        if self._kept:
            self._kept.close()
        self._kept, self._kept_inode = None, 0

    def _list_new_labels(self, db: sqlite3.Connection, source: str, rows: pl.DataFrame) -> list[LabelEntry]:
        labels = self.label_spec.labels(rows, source, dt.datetime.now(dt.UTC))
        keys = [self._encode_key(label.key) for label in labels]
        said = dict(db.execute(LATEST_LABELS_QUERY, (source, _encode_text(keys))))
        require_version(db, self._layout)  # in tables that another contract made anew, all labels would be new
        return [label for key, label in zip(keys, labels, strict=True) if said.get(key) != _encode_text(label.label)]

    @pause_garbage_collection()
    def _read_on(self, sizes: Mapping[Path, int], after_piece: Callable[[], object]) -> int:
        """Take in the segments up to these sizes: what arrives meanwhile is for the next pass, so this one ends."""
        taken = 0
        with self.open() as db:
            for table, folder in self._logs.items():
                paths = {path: size for path, size in sizes.items() if path.parent == folder}
                is_overtaken = True
                while is_overtaken:
                    new, is_overtaken = self._read_log(db, table, paths, after_piece)
                    taken += new
        return taken

    def _read_log(
        self, db: sqlite3.Connection, table: str, sizes: Mapping[Path, int], after_piece: Callable[[], object]
    ) -> tuple[int, bool]:
        """Return how many lines were taken in, and whether somebody else has taken in some of them meanwhile."""
        taken, is_overtaken = 0, False
        for pieces in group_pieces(self._list_pieces(db, table, sizes)):
            new = self._insert(db, table, pieces)
            taken += sum(each.lines for each in new)
            is_overtaken |= len(new) < len(pieces)
            after_piece()
        return taken, is_overtaken

    def _list_pieces(self, db: sqlite3.Connection, table: str, sizes: Mapping[Path, int]) -> Iterator[LogPiece]:
        """What the index lacks of segments that have these sizes, and of those that are in the archive only."""
        positions = read_index_positions(db, table)
        for segment, content in archive_parts.read_deleted_segments(self._logs[table], positions.__contains__):
            yield LogPiece(segment, 0, content)
        for path, size in sizes.items():
            position = positions.get(path.stem, 0)
            with suppress(FileNotFoundError):  # deleted since it was listed
                while position < size and (content := append_log.read_tail(path, position)):
                    yield LogPiece(path.stem, position, content)
                    position += len(content)

    def _insert(self, db: sqlite3.Connection, table: str, pieces: Sequence[LogPiece]) -> list[ParsedPiece]:
        """Take in pieces; return them, but for those that somebody else was quicker with."""
        parsed = [parse_piece(piece, self._rows[table]) for piece in pieces]
        return insert_pieces(db, table, parsed, self._layout)


def _read_inode(path: Path) -> int:
    return path.stat().st_ino if path.exists() else 0


def _encode_text(value: Any) -> str:
    return append_log.encode_json(value).decode()
