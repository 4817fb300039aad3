"""Profiles of all answers by model and day of the event: SQLite, derived from the prediction log alone.

Each line is counted once, when it is new: a segment's counts and the position read so far are written in one
transaction, so it makes no difference what becomes of the segment afterwards. A model's bins are learnt from its
bundle's reference when the model is first seen, and kept with the reference's own profiles, so that no verdict needs
the bundle.
"""

import contextlib
import datetime as dt
import hashlib
import itertools
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import msgspec
import polars as pl

from penumbra.core.columns import DAY_COLUMN, MODEL_COLUMN, PREDICTION_COLUMN
from penumbra.core.histograms import Binning, Profile, compute_daily_profiles
from penumbra.core.problem import ProblemSchema
from penumbra.core.system.garbage import pause_garbage_collection
from penumbra.core.task import Task
from penumbra.logs import append_log
from penumbra.logs.archiving import archive_parts
from penumbra.logs.daily import profile_rows
from penumbra.logs.daily.frames import LogFrameReader
from penumbra.logs.log_pieces import LogPiece, cut_lines, group_pieces
from penumbra.storage.locks import is_file_locked
from penumbra.storage.sqlite import read_user_version, recreate_tables, write_transaction

PROFILES_FILE = "profiles.db"
PROFILES_DDL = """
CREATE TABLE segments (name TEXT PRIMARY KEY, position INTEGER NOT NULL, closed INTEGER);
CREATE TABLE binnings (model TEXT PRIMARY KEY, binning TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE profiles (model TEXT, part TEXT, day TEXT, rows INTEGER NOT NULL, counts BLOB NOT NULL,
  PRIMARY KEY (model, part, day)) WITHOUT ROWID;
"""
ADVANCE_PROFILE_POSITION = """
INSERT INTO segments VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET position = excluded.position, closed = excluded.closed
"""
DAY_ROWS_QUERY = "SELECT day, rows FROM profiles WHERE model = ? AND part = ? ORDER BY day"
POSITIONS_QUERY = "SELECT name, position, closed FROM segments"
OF_NAMES = "WHERE name IN (SELECT value FROM json_each(?))"
LIVE_PART, REFERENCE_PART = "live", "reference"
PROFILES_TIMEOUT_SECONDS = 60
CLOSED = -1  # in place of the position in a segment that was counted to its end
GROUPED_ROWS = 50_000
ReferenceLoader = Callable[[str], pl.DataFrame | None]
PartFrame = tuple[list[str], pl.DataFrame]


class ProfileStore:
    """`<folder>/profiles.db`; any number of processes may bring it up to date at the same time."""

    def __init__(self, folder: Path, predictions: Path, schema: ProblemSchema) -> None:
        self.path = folder / PROFILES_FILE
        self._log = predictions
        self._time = schema.TIME
        self._answered = LogFrameReader(schema)
        described = f"{PROFILES_DDL}{self._answered.columns}{self._time}{PREDICTION_COLUMN}{Task.from_schema(schema)!r}"
        self._layout = int(hashlib.sha256(described.encode()).hexdigest()[:7], 16)

    @pause_garbage_collection()
    def update(self, reference: ReferenceLoader) -> int:
        """Count what was appended to the prediction log.

        Args:
            reference: Returns the rows of a model's reference with the columns to profile, or None where there are
                none; of such a model only the number of rows is kept. What it raises is passed on.

        Returns:
            How many answers were counted.

        Raises:
            DamagedArchive: Where the log's archive is damaged.
            sqlite3.OperationalError: Where the file is busy for longer than a minute, or can't be written.
            ReplacedTables: Where a process of another contract has made the tables anew meanwhile.
        """
        taken = 0
        with self._open() as db:
            frames = archive_parts.read_part_frames(self._log, _read_positions(db).__contains__)
            for of_part in _group_frames(frames):
                taken += self._count_frames(db, of_part, reference)
            counted: list[int | None] = [None]
            while None in counted:
                counted = [self._count(db, pieces, reference) for pieces in group_pieces(self._list_pieces(db))]
                taken += sum(filter(None, counted))
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
            return profile_rows.read_profiles(db, model, LIVE_PART, begin, end - dt.timedelta(days=1))

    def reference(self, model: str) -> dict[dt.date, Profile]:
        """Return the profiles of the reference of `model`, by day."""
        with self._open() as db:
            return profile_rows.read_profiles(db, model, REFERENCE_PART, dt.date.min, dt.date.max)

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.closing(sqlite3.connect(self.path, PROFILES_TIMEOUT_SECONDS, isolation_level=None)) as db:
            db.execute("PRAGMA journal_mode = WAL")
            if read_user_version(db) != self._layout:
                recreate_tables(db, PROFILES_DDL, self._layout)
            yield db

    def _list_pieces(self, db: sqlite3.Connection) -> Iterator[LogPiece]:
        """What wasn't counted yet of segments, and of those that are in Parquet only."""
        begun = _read_positions(db)
        for segment, content in archive_parts.read_deleted_segments(self._log, lambda name: begun.get(name) == CLOSED):
            for position, piece in cut_lines(content, begun.get(segment, 0)):
                yield LogPiece(segment, position, piece)
            yield LogPiece(segment, len(content), b"", is_end=True)
        for path in append_log.list_segments(self._log):
            if (position := begun.get(path.stem, 0)) != CLOSED:
                with contextlib.suppress(FileNotFoundError):  # deleted since it was listed
                    yield from _read_pieces(path, position)

    def _count(self, db: sqlite3.Connection, pieces: Sequence[LogPiece], reference: ReferenceLoader) -> int | None:
        """Count pieces in one transaction; return how many answers, None where somebody else was quicker with one."""
        rows = self._answered.frame(b"".join(piece.content for piece in pieces))
        profiles = self._profiles(db, rows, reference)
        with write_transaction(db, self._layout):
            first = {piece.segment: piece.position for piece in reversed(pieces)}
            begun = _read_positions(db, first)
            if any(begun.get(name, 0) != at for name, at in first.items()):
                return None
            profile_rows.add_profiles(db, LIVE_PART, profiles)
            for piece in pieces:
                end = piece.position + len(piece.content)
                db.execute(ADVANCE_PROFILE_POSITION, (piece.segment, end, piece.is_end))
        return rows.height

    def _count_frames(self, db: sqlite3.Connection, frames: Sequence[PartFrame], reference: ReferenceLoader) -> int:
        """Whole segments, which were read to columns when they were archived."""
        rows, names = pl.concat([frame for _, frame in frames]), [name for part, _ in frames for name in part]
        if not self._answered.has_profile_columns(rows):
            return 0
        dated = rows.filter(pl.col(DAY_COLUMN).is_not_null()) if rows[DAY_COLUMN].null_count() else rows
        profiles = self._profiles(db, dated, reference)
        with write_transaction(db, self._layout):
            if _read_positions(db, names):
                return 0
            profile_rows.add_profiles(db, LIVE_PART, profiles)
            db.executemany("INSERT INTO segments VALUES (?, 0, 1)", [(name,) for name in names])
        return dated.height

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
        with write_transaction(db, self._layout):
            new = db.execute("INSERT OR IGNORE INTO binnings VALUES (?, ?)", (model, msgspec.json.encode(binning)))
            if new.rowcount:
                profile_rows.add_profiles(db, REFERENCE_PART, {model: days})


def _read_binning(db: sqlite3.Connection, model: str) -> Binning | None:
    found = db.execute("SELECT binning FROM binnings WHERE model = ?", (model,)).fetchone()
    return msgspec.json.decode(found[0], type=Binning) if found else None


def _read_positions(db: sqlite3.Connection, names: Iterable[str] | None = None) -> dict[str, int]:
    """How far each segment was counted that was begun: of all, or of those with these names."""
    if names is None:
        found = db.execute(POSITIONS_QUERY)
    else:
        found = db.execute(f"{POSITIONS_QUERY} {OF_NAMES}", (append_log.encode_json([*names]).decode(),))
    return {name: CLOSED if closed else position for name, position, closed in found}


def _read_pieces(path: Path, position: int) -> Iterator[LogPiece]:
    """What is new in a segment; the last piece, which may be empty, says whether it can't grow any more."""
    grows = is_file_locked(path)
    while content := append_log.read_tail(path, position):
        yield LogPiece(path.stem, position, content)
        position += len(content)
    if not grows:
        yield LogPiece(path.stem, position, b"", is_end=True)


def _group_frames(frames: Iterable[PartFrame]) -> Iterator[list[PartFrame]]:
    """The frames of parts in groups of equal columns, of some ten thousand rows or one part's."""
    for _, same in itertools.groupby(frames, lambda named: tuple(named[1].schema.items())):
        group, rows = list[PartFrame](), 0
        for each in same:
            group.append(each)
            rows += each[1].height
            if rows >= GROUPED_ROWS:
                yield group
                group, rows = [], 0
        if group:
            yield group
