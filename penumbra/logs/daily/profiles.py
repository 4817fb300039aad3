"""Profiles of all answers by model and day of the event: SQLite, derived from the prediction log alone.

Each line is counted once, when it is new: a segment's counts and the position read so far are written in one
transaction, so it makes no difference what becomes of the segment afterwards. A model's bins are learnt from its
bundle's reference when the model is first seen, and kept with the reference's own profiles, so that no verdict needs
the bundle.
"""

import contextlib
import datetime as dt
import hashlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import polars as pl

from penumbra.core.columns import DAY_COLUMN, MODEL_COLUMN, PREDICTION_COLUMN, READABLE_COLUMN
from penumbra.core.histograms import Binning, Profile, compute_daily_profiles
from penumbra.core.problem import ProblemSchema
from penumbra.core.task import Task
from penumbra.logs import append_log
from penumbra.logs.archiving import archive_parts
from penumbra.logs.daily import profile_rows
from penumbra.logs.daily.frames import LogFrameReader
from penumbra.storage.locks import is_file_locked
from penumbra.storage.sqlite import read_user_version, recreate_tables, write_transaction

PROFILES_FILE = "profiles.db"
PROFILES_DDL = """
CREATE TABLE segments (name TEXT PRIMARY KEY, position INTEGER NOT NULL, unreadable INTEGER NOT NULL, closed INTEGER);
CREATE TABLE binnings (model TEXT PRIMARY KEY, binning TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE profiles (model TEXT, part TEXT, day TEXT, rows INTEGER NOT NULL, counts BLOB NOT NULL,
  PRIMARY KEY (model, part, day)) WITHOUT ROWID;
"""
ADVANCE_PROFILE_POSITION = """
INSERT INTO segments VALUES (?, ?, ?, 0)
ON CONFLICT DO UPDATE SET position = excluded.position, unreadable = unreadable + excluded.unreadable
"""
DAY_ROWS_QUERY = "SELECT day, rows FROM profiles WHERE model = ? AND part = ? ORDER BY day"
LIVE_PART, REFERENCE_PART = "live", "reference"
PROFILES_TIMEOUT_SECONDS = 60
ReferenceLoader = Callable[[str], pl.DataFrame | None]


class ProfileStore:
    """`<folder>/profiles.db`; any number of processes may bring it up to date at the same time."""

    def __init__(self, folder: Path, predictions: Path, schema: ProblemSchema) -> None:
        self.path = folder / PROFILES_FILE
        self._log = predictions
        self._time = schema.TIME
        self._answered = LogFrameReader(schema)
        described = f"{PROFILES_DDL}{self._answered.columns}{self._time}{PREDICTION_COLUMN}{Task.from_schema(schema)!r}"
        self._layout = int(hashlib.sha256(described.encode()).hexdigest()[:7], 16)

    def update(self, reference: ReferenceLoader) -> int:
        """Count what was appended to the prediction log.

        Args:
            reference: Returns the rows of a model's reference with the columns to profile, or None where there are
                none; of such a model only the number of rows is kept. What it raises is passed on.

        Returns:
            How many lines were counted.

        Raises:
            DamagedArchive: Where the log's archive is damaged.
            sqlite3.OperationalError: Where the file is busy for longer than a minute, or can't be written.
        """
        taken = 0
        with self._open() as db:
            for segment, rows in archive_parts.read_segment_frames(self._log, lambda name: _is_begun(db, name)):
                taken += self._count_frame(db, segment, rows, reference)
            for segment, content in archive_parts.read_deleted_segments(self._log, lambda name: _is_closed(db, name)):
                taken += self._read_whole(db, segment, content, reference)
            for path in append_log.list_segments(self._log):
                if not _is_closed(db, path.stem):
                    taken += self._read_on(db, path, reference)
        return taken

    def models(self) -> list[str]:
        """Return the versions that have answered, in alphabetical order."""
        with self._open() as db:
            found = db.execute("SELECT DISTINCT model FROM profiles WHERE part = ? ORDER BY model", (LIVE_PART,))
            return [model for (model,) in found]

    def binning(self, model: str) -> Binning:
        """Return the bins of the profiles of `model`; none where it has no reference or hasn't answered anything."""
        with self._open() as db:
            return _read_binning(db, model) or Binning({}, {})

    def days(self, model: str) -> dict[dt.date, int]:
        """Return the number of rows that `model` has answered by day (UTC), the earliest first."""
        with self._open() as db:
            found = db.execute(DAY_ROWS_QUERY, (model, LIVE_PART)).fetchall()
        return {dt.date.fromisoformat(day): rows for day, rows in found}

    def window(self, begin: dt.date, end: dt.date, model: str) -> dict[dt.date, Profile]:
        """Read the profiles of some days that a model has answered.

        Args:
            begin: The first day (UTC).
            end: The day after the last.
            model: The model's version.

        Returns:
            The profiles by day, the earliest first; days without answers are left out.
        """
        with self._open() as db:
            return profile_rows.read_profiles(db, model, LIVE_PART, begin, end)

    def reference(self, model: str) -> dict[dt.date, Profile]:
        """Return the profiles of the reference of `model`, by day."""
        with self._open() as db:
            return profile_rows.read_profiles(db, model, REFERENCE_PART, dt.date.min, dt.date.max)

    def count_unreadable(self) -> int:
        """Return the number of the log's lines that can't be read: damaged, or written under another contract."""
        with self._open() as db:
            return int(db.execute("SELECT coalesce(sum(unreadable), 0) FROM segments").fetchone()[0])

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.closing(sqlite3.connect(self.path, PROFILES_TIMEOUT_SECONDS, isolation_level=None)) as db:
            db.execute("PRAGMA journal_mode = WAL")
            if read_user_version(db) != self._layout:
                recreate_tables(db, PROFILES_DDL, self._layout)
            yield db

    def _read_on(self, db: sqlite3.Connection, path: Path, reference: ReferenceLoader) -> int:
        """What is new in a segment, which is done with where it can't grow any more."""
        taken = 0
        try:
            grows = is_file_locked(path)
            while content := append_log.read_tail(path, position := _read_position(db, path.stem)):
                taken += self._count(db, path.stem, position, content, reference)
        except FileNotFoundError:  # deleted since it was listed
            return taken
        if not grows:
            _mark_closed(db, path.stem)
        return taken

    def _read_whole(self, db: sqlite3.Connection, segment: str, content: bytes, reference: ReferenceLoader) -> int:
        """What wasn't counted yet of a segment that is in Parquet only."""
        taken = 0
        while (position := _read_position(db, segment)) < len(content):
            end = content.find(b"\n", position + append_log.CHUNK_BYTES) + 1 or len(content)
            taken += self._count(db, segment, position, content[position:end], reference)
        _mark_closed(db, segment)
        return taken

    def _count(
        self, db: sqlite3.Connection, segment: str, position: int, content: bytes, reference: ReferenceLoader
    ) -> int:
        """Whole lines from a position on, in one transaction; return how many."""
        rows, unreadable = self._answered.frame(content)
        profiles = self._profiles(db, rows, reference)
        with write_transaction(db):
            if _read_position(db, segment) != position or _is_closed(db, segment):  # somebody else was quicker
                return 0
            profile_rows.add_profiles(db, LIVE_PART, profiles)
            db.execute(ADVANCE_PROFILE_POSITION, (segment, position + len(content), unreadable))
        return content.count(b"\n")

    def _count_frame(self, db: sqlite3.Connection, segment: str, rows: pl.DataFrame, reference: ReferenceLoader) -> int:
        """A whole segment, which was read to columns when it was archived."""
        if not self._answered.has_profile_columns(rows):
            return 0
        dated = rows.filter(pl.col(DAY_COLUMN).is_not_null()) if rows[DAY_COLUMN].null_count() else rows
        profiles = self._profiles(db, dated, reference)
        with write_transaction(db):
            if _is_begun(db, segment):
                return 0
            profile_rows.add_profiles(db, LIVE_PART, profiles)
            unreadable = rows.height - int(rows[READABLE_COLUMN].sum())
            db.execute("INSERT INTO segments VALUES (?, 0, ?, 1)", (segment, unreadable))
        return rows.height

    def _profiles(
        self, db: sqlite3.Connection, rows: pl.DataFrame, reference: ReferenceLoader
    ) -> dict[str, dict[dt.date, Profile]]:
        """By model and day; a model that is new is met first."""
        models = rows[MODEL_COLUMN].unique().to_list()
        found = {model: rows if len(models) == 1 else rows.filter(pl.col(MODEL_COLUMN) == model) for model in models}
        for model in found:
            self._learn_binning(db, model, reference)
        return {
            model: compute_daily_profiles(part, _read_binning(db, model) or Binning({}, {}), DAY_COLUMN)
            for model, part in found.items()
        }

    def _learn_binning(self, db: sqlite3.Connection, model: str, reference: ReferenceLoader) -> None:
        """Learn a model's bins, unless they are known."""
        if _read_binning(db, model) is not None:
            return
        rows = reference(model)
        columns = [] if rows is None else [name for name in self._answered.columns if name in rows.columns]
        binning = Binning({}, {}) if rows is None else Binning.learn(rows, columns)
        days = {} if rows is None else compute_daily_profiles(rows, binning, self._time)
        with write_transaction(db):
            new = db.execute("INSERT OR IGNORE INTO binnings VALUES (?, ?)", (model, msgspec.json.encode(binning)))
            if new.rowcount:
                profile_rows.add_profiles(db, REFERENCE_PART, {model: days})


def _read_binning(db: sqlite3.Connection, model: str) -> Binning | None:
    found = db.execute("SELECT binning FROM binnings WHERE model = ?", (model,)).fetchone()
    return msgspec.json.decode(found[0], type=Binning) if found else None


def _read_position(db: sqlite3.Connection, segment: str) -> int:
    found = db.execute("SELECT position FROM segments WHERE name = ?", (segment,)).fetchone()
    return int(found[0]) if found else 0


def _is_begun(db: sqlite3.Connection, segment: str) -> bool:
    return bool(db.execute("SELECT 1 FROM segments WHERE name = ?", (segment,)).fetchone())


def _is_closed(db: sqlite3.Connection, segment: str) -> bool:
    return bool(db.execute("SELECT 1 FROM segments WHERE name = ? AND closed", (segment,)).fetchone())


def _mark_closed(db: sqlite3.Connection, segment: str) -> None:
    db.execute("INSERT INTO segments VALUES (?, 0, 0, 1) ON CONFLICT DO UPDATE SET closed = 1", (segment,))
