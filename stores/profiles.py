"""Profiles of all that was answered, by model and day of the event: SQLite, made from the prediction log alone.

Each line is counted once, when it is new: a segment's counts and how far it was read are written together or not at
all. What becomes of the segment afterwards makes no difference. A model's bins are learnt from its bundle's reference
when it is first met, and kept with the reference's own profiles, so that no verdict needs the bundle.
"""

import contextlib
import datetime as dt
import hashlib
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import polars as pl

from counts import Binning, Profile, by_day, watched
from kinds import Kind
from stores import archive, log, packed, segments
from stores.answered import DAY, MODEL, READABLE, Answered
from stores.database import lay_out, layout, transaction

NAME = "profiles.db"
LAYOUT = """
CREATE TABLE segments (name TEXT PRIMARY KEY, position INTEGER NOT NULL, unreadable INTEGER NOT NULL, closed INTEGER);
CREATE TABLE binnings (model TEXT PRIMARY KEY, binning TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE profiles (model TEXT, part TEXT, day TEXT, rows INTEGER NOT NULL, counts BLOB NOT NULL,
  PRIMARY KEY (model, part, day)) WITHOUT ROWID;
"""
ADVANCE = """
INSERT INTO segments VALUES (?, ?, ?, 0)
ON CONFLICT DO UPDATE SET position = excluded.position, unreadable = unreadable + excluded.unreadable
"""
LIVE, REFERENCE = "live", "reference"
PATIENCE_SECONDS = 60
Reference = Callable[[str], pl.DataFrame | None]


class Profiles:
    """`<folder>/profiles.db`. Any number of processes may bring it up to date at the same time. `schema` is the
    problem's module of that name."""

    def __init__(self, folder: Path, predictions: Path, schema: ModuleType | Any, kinds: Sequence[Kind]) -> None:
        self.path = folder / NAME
        self._log = predictions
        self._time = schema.TIME
        self._answered = Answered(schema, watched(kinds, schema.TIME))
        described = f"{LAYOUT}{self._answered.columns}{self._time}"
        self._layout = int(hashlib.sha256(described.encode()).hexdigest()[:7], 16)

    def update(self, reference: Reference) -> int:
        """Count what was appended to the log; return how many lines. `reference` gives the rows of a model's reference,
        or None where there are none: of such a model only the number of rows is kept. Raises what it raises."""
        taken = 0
        with self._open() as db:
            for segment, rows in archive.typed(self._log, lambda name: _begun(db, name)):
                taken += self._count_typed(db, segment, rows, reference)
            for segment, content in archive.deleted_segments(self._log, lambda name: _closed(db, name)):
                taken += self._read_whole(db, segment, content, reference)
            for path in log.segments(self._log):
                if not _closed(db, path.stem):
                    taken += self._read_on(db, path, reference)
        return taken

    def models(self) -> list[str]:
        """The versions that have answered."""
        with self._open() as db:
            found = db.execute("SELECT DISTINCT model FROM profiles WHERE part = ? ORDER BY model", (LIVE,))
            return [model for (model,) in found]

    def binning(self, model: str) -> Binning:
        """The bins of a model's profiles; none where it has no reference or hasn't answered anything."""
        with self._open() as db:
            return _binning(db, model) or Binning({}, {})

    def days(self, model: str) -> dict[dt.date, int]:
        """How many rows of each day the model has answered, the earliest first."""
        return {day: profile.rows for day, profile in self.window(dt.date.min, dt.date.max, model).items()}

    def window(self, begin: dt.date, end: dt.date, model: str) -> dict[dt.date, Profile]:
        """The profiles of the days from `begin` to before `end` that the model has answered."""
        with self._open() as db:
            return packed.find(db, model, LIVE, begin, end)

    def reference(self, model: str) -> dict[dt.date, Profile]:
        """The profiles of the days of the model's reference."""
        with self._open() as db:
            return packed.find(db, model, REFERENCE, dt.date.min, dt.date.max)

    def unreadable(self) -> int:
        """Lines of the log that this code can't read: damaged, or written under another contract."""
        with self._open() as db:
            return int(db.execute("SELECT coalesce(sum(unreadable), 0) FROM segments").fetchone()[0])

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.closing(sqlite3.connect(self.path, PATIENCE_SECONDS, isolation_level=None)) as db:
            db.execute("PRAGMA journal_mode = WAL")
            if layout(db) != self._layout:
                lay_out(db, LAYOUT, self._layout)
            yield db

    def _read_on(self, db: sqlite3.Connection, path: Path, reference: Reference) -> int:
        """What is new in a segment, which is done with where it can't grow any more."""
        taken = 0
        try:
            grows = segments.is_open(path)
            while content := log.tail(path, position := _position(db, path.stem)):
                taken += self._count(db, path.stem, position, content, reference)
        except FileNotFoundError:  # deleted since it was listed
            return taken
        if not grows:
            _close(db, path.stem)
        return taken

    def _read_whole(self, db: sqlite3.Connection, segment: str, content: bytes, reference: Reference) -> int:
        """What wasn't counted yet of a segment that is in Parquet only."""
        taken = 0
        while (position := _position(db, segment)) < len(content):
            end = content.find(b"\n", position + log.CHUNK) + 1 or len(content)
            taken += self._count(db, segment, position, content[position:end], reference)
        _close(db, segment)
        return taken

    def _count(self, db: sqlite3.Connection, segment: str, position: int, content: bytes, reference: Reference) -> int:
        """Whole lines from a position on, in one transaction; return how many."""
        rows, unreadable = self._answered.frame(content)
        profiles = self._profiles(db, rows, reference)
        with transaction(db):
            if _position(db, segment) != position or _closed(db, segment):  # somebody else was quicker
                return 0
            packed.add(db, LIVE, profiles)
            db.execute(ADVANCE, (segment, position + len(content), unreadable))
        return content.count(b"\n")

    def _count_typed(self, db: sqlite3.Connection, segment: str, rows: pl.DataFrame, reference: Reference) -> int:
        """A whole segment, which was read to columns when it was archived."""
        if not self._answered.counts(rows):
            return 0
        dated = rows.filter(pl.col(DAY).is_not_null()) if rows[DAY].null_count() else rows
        profiles = self._profiles(db, dated, reference)
        with transaction(db):
            if _begun(db, segment):
                return 0
            packed.add(db, LIVE, profiles)
            unreadable = rows.height - int(rows[READABLE].sum())
            db.execute("INSERT INTO segments VALUES (?, 0, ?, 1)", (segment, unreadable))
        return rows.height

    def _profiles(
        self, db: sqlite3.Connection, rows: pl.DataFrame, reference: Reference
    ) -> dict[str, dict[dt.date, Profile]]:
        """By model and day; a model that is new is met first."""
        models = rows[MODEL].unique().to_list()
        found = {model: rows if len(models) == 1 else rows.filter(pl.col(MODEL) == model) for model in models}
        for model in found:
            self._meet(db, model, reference)
        return {model: by_day(part, _binning(db, model) or Binning({}, {}), DAY) for model, part in found.items()}

    def _meet(self, db: sqlite3.Connection, model: str, reference: Reference) -> None:
        """Learn a model's bins, unless they are known."""
        if _binning(db, model) is not None:
            return
        rows = reference(model)
        binning = Binning({}, {}) if rows is None else Binning.learn(rows, list(self._answered.columns))
        days = {} if rows is None else by_day(rows, binning, self._time)
        with transaction(db):
            new = db.execute("INSERT OR IGNORE INTO binnings VALUES (?, ?)", (model, msgspec.json.encode(binning)))
            if new.rowcount:
                packed.add(db, REFERENCE, {model: days})


def _binning(db: sqlite3.Connection, model: str) -> Binning | None:
    found = db.execute("SELECT binning FROM binnings WHERE model = ?", (model,)).fetchone()
    return msgspec.json.decode(found[0], type=Binning) if found else None


def _position(db: sqlite3.Connection, segment: str) -> int:
    found = db.execute("SELECT position FROM segments WHERE name = ?", (segment,)).fetchone()
    return int(found[0]) if found else 0


def _begun(db: sqlite3.Connection, segment: str) -> bool:
    return bool(db.execute("SELECT 1 FROM segments WHERE name = ?", (segment,)).fetchone())


def _closed(db: sqlite3.Connection, segment: str) -> bool:
    return bool(db.execute("SELECT 1 FROM segments WHERE name = ? AND closed", (segment,)).fetchone())


def _close(db: sqlite3.Connection, segment: str) -> None:
    db.execute("INSERT INTO segments VALUES (?, 0, 0, 1) ON CONFLICT DO UPDATE SET closed = 1", (segment,))
