"""The index that joins labels, and what the shadow said, to predictions: SQLite, made from the three logs alone, so it
may be deleted at any time.

Each pass reads only what was appended since the last one. The tables hold facts, each entry of the logs once; which
label counts, and what came of every other, are views of them: the order in which the logs are read makes no difference.
"""

import contextlib
import datetime as dt
import hashlib
import sqlite3
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import polars as pl

from settings import Settings
from stores import archive, drawn, lines, log
from stores.database import lay_out, layout, transaction
from stores.drawn import DAY
from stores.labels import Terms
from stores.lookup import NAME

# labels.key is '' as long as all that is known is the id of a prediction that isn't in the log (yet).
LAYOUT = f"""
CREATE TABLE segments (name TEXT PRIMARY KEY, position INTEGER NOT NULL, unreadable INTEGER NOT NULL);
CREATE TABLE predictions (id TEXT PRIMARY KEY, key TEXT NOT NULL, time REAL NOT NULL, event REAL NOT NULL,
  model TEXT NOT NULL, output NOT NULL, decision NOT NULL, alone INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX predictions_by_key ON predictions (key);
CREATE INDEX predictions_by_event ON predictions (event);
CREATE TABLE days (day INTEGER, model TEXT, rows INTEGER NOT NULL, PRIMARY KEY (day, model)) WITHOUT ROWID;
CREATE TABLE arrivals (day INTEGER PRIMARY KEY, rows INTEGER NOT NULL);
CREATE TABLE labels (key TEXT, time REAL, segment TEXT, position INTEGER, prediction TEXT NOT NULL,
  value TEXT NOT NULL, target TEXT, source TEXT NOT NULL, PRIMARY KEY (key, time, segment, position)) WITHOUT ROWID;
CREATE TABLE shadow (prediction TEXT, model TEXT, time REAL NOT NULL, output, decision, status TEXT NOT NULL,
  reason TEXT NOT NULL, PRIMARY KEY (prediction, model)) WITHOUT ROWID;
CREATE VIEW truth AS SELECT key, value, target, time, source,
    (SELECT min(time) FROM labels AS any WHERE any.key = labels.key) AS first
  FROM labels WHERE NOT EXISTS (SELECT 1 FROM labels AS later WHERE later.key = labels.key
    AND (later.time, later.segment, later.position) > (labels.time, labels.segment, labels.position));
CREATE VIEW outcomes AS SELECT *, segment || '-' || printf('%x', position) AS id, CASE
    WHEN NOT EXISTS (SELECT 1 FROM predictions WHERE predictions.key = ordered.key) THEN 'orphan'
    WHEN before IS NULL THEN 'attached'
    WHEN before = value THEN 'duplicate'
    ELSE 'correction' END AS outcome
  FROM (SELECT *, lag(value) OVER (PARTITION BY key ORDER BY time, segment, position) AS before FROM labels) AS ordered;
{drawn.LAYOUT.strip()}
"""
INSERT = {
    "predictions": "INSERT OR IGNORE INTO predictions VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    "labels": "INSERT OR IGNORE INTO labels VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    "shadow": "INSERT OR REPLACE INTO shadow VALUES (?, ?, ?, ?, ?, ?, ?)",
}
THERE = "SELECT id FROM predictions WHERE id BETWEEN ? AND ?"
ADD_TO_DAY = "INSERT INTO days VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET rows = rows + excluded.rows"
ADD_TO_ARRIVALS = "INSERT INTO arrivals VALUES (?, ?) ON CONFLICT DO UPDATE SET rows = rows + excluded.rows"
FIND_KEYS = """
UPDATE OR REPLACE labels SET key = (SELECT key FROM predictions WHERE id = labels.prediction)
WHERE key = '' AND EXISTS (SELECT 1 FROM predictions WHERE id = labels.prediction)
"""
ADVANCE = """
INSERT INTO segments VALUES (?, ?, ?)
ON CONFLICT DO UPDATE SET position = excluded.position, unreadable = unreadable + excluded.unreadable
"""
LAST_WORDS = "SELECT key, value FROM labels WHERE source = ? ORDER BY time, segment, position"
PATIENCE_SECONDS = 60
# Pages and steps between checkpoints larger than SQLite's own: takes a million lines in two thirds of the time.
PRAGMAS = (
    "page_size = 16384",
    "journal_mode = WAL",
    "synchronous = NORMAL",
    "cache_size = -200000",
    "wal_autocheckpoint = 10000",
)


class Index:
    """The index in the labels' folder. Any number of processes may bring it up to date at the same time."""

    def __init__(self, predictions: Path, labels: Path, terms: Terms) -> None:
        self.path = labels / NAME
        self.terms = terms
        self.predictions = predictions
        self._logs = {"predictions": predictions, "labels": labels, "shadow": predictions.with_name("shadow")}
        self._rows = {"predictions": lines.predictions(terms), "labels": lines.labels(terms), "shadow": lines.shadow}
        self._sizes: dict[Path, int] = {}
        self._layout = int(
            hashlib.sha256(
                f"{LAYOUT}{terms.key}{terms.time}{terms.outcome}{terms.target}{terms.task}".encode()
            ).hexdigest()[:7],
            16,
        )

    @classmethod
    def of(cls, settings: Settings, schema: ModuleType | Any) -> "Index":
        """`schema` is the problem's module of that name."""
        return cls(settings.service.predictions, settings.labels.folder, Terms.of(schema))

    def catch_up(self) -> int:
        """Take in what was appended to the logs; return how many lines. A damaged index is made anew."""
        sizes = {path: size for folder in self._logs.values() for path, size in log.sizes(folder).items()}
        if sizes == self._sizes and self.path.exists():
            return 0
        try:
            taken = self._read_on()
        except sqlite3.DatabaseError as error:
            if type(error) is not sqlite3.DatabaseError:  # it isn't damaged, but busy, read-only, …
                raise
            for suffix in ("", "-wal", "-shm"):
                Path(f"{self.path}{suffix}").unlink(missing_ok=True)
            taken = self._read_on()
        self._sizes = sizes
        return taken

    def attach(self, rows: pl.DataFrame) -> int:
        """Log the labels in rows of batches (the columns of key and outcome, and "batch"), except those that are the
        batch's last word on the key already; return how many were new."""
        self.catch_up()
        with contextlib.closing(log.Writer(self._logs["labels"])) as writer:
            parts = rows.group_by("batch", maintain_order=True)
            new = sum(self._append(writer, f"batch {batch}", part) for (batch,), part in parts)
        self.catch_up()
        return new

    @contextlib.contextmanager
    def open(self) -> Iterator[sqlite3.Connection]:
        """A connection to the index, which is made where there is none."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.closing(sqlite3.connect(self.path, PATIENCE_SECONDS, isolation_level=None)) as db:
            for pragma in PRAGMAS:
                db.execute(f"PRAGMA {pragma}")
            if layout(db) != self._layout:
                lay_out(db, LAYOUT, self._layout)
            yield db

    def _append(self, writer: log.Writer, source: str, rows: pl.DataFrame) -> int:
        with self.open() as db:
            said = dict(db.execute(LAST_WORDS, (source,)))
        labels = self.terms.labels(rows, source, dt.datetime.now(dt.UTC))
        new = [label for label in labels if said.get(_json(label.key)) != _json(label.label)]
        if new:
            writer.append([log.encode(label) for label in new])
        return len(new)

    def _read_on(self) -> int:
        taken = 0
        with self.open() as db:
            for table, folder in self._logs.items():
                for segment, content in archive.deleted_segments(folder, partial(_is_known, db, table)):
                    taken += self._insert(db, table, segment, 0, content)
                for path in log.segments(folder):
                    while new := self._take(db, table, path):
                        taken += new
        return taken

    def _take(self, db: sqlite3.Connection, table: str, path: Path) -> int:
        """One piece of a segment; return its lines, 0 where there are none (yet)."""
        position = _position(db, f"{table}/{path.stem}")
        try:
            content = log.tail(path, position)
        except FileNotFoundError:  # deleted since it was listed
            return 0
        return self._insert(db, table, path.stem, position, content) if content else 0

    def _insert(self, db: sqlite3.Connection, table: str, segment: str, position: int, content: bytes) -> int:
        """Whole lines from a position on, in one transaction; return how many."""
        name, whole = f"{table}/{segment}", content.split(b"\n")[:-1]
        facts = self._rows[table](whole)
        with transaction(db):
            if _position(db, name) == position:  # nobody else was quicker
                if table == "predictions":
                    _count(db, facts)
                    _draw(db, facts, content, position)
                db.executemany(INSERT[table], filter(None, facts))
                db.execute(FIND_KEYS)
                db.execute(ADVANCE, (name, position + len(content), len(whole) - len(facts)))
        return len(whole)


def _count(db: sqlite3.Connection, facts: list[lines.Fact]) -> None:
    """Add those that aren't there yet to the rows of their days: by event and model, and by arrival."""
    if not facts:
        return
    named = {fact[0]: fact for fact in facts}
    there = {name for (name,) in db.execute(THERE, (min(named), max(named)))}
    new = [fact for name, fact in named.items() if name not in there]
    days = Counter((int(fact[3] // DAY), fact[4]) for fact in new)
    db.executemany(ADD_TO_DAY, [(*day, rows) for day, rows in days.items()])
    db.executemany(ADD_TO_ARRIVALS, Counter(int(fact[2] // DAY) for fact in new).items())


def _draw(db: sqlite3.Connection, facts: list[lines.Fact], content: bytes, position: int) -> None:
    """Let new predictions take part in the draw."""
    answers = [(fact[0], fact[4], fact[3]) for fact in facts]
    drawn.keep(db, answers, lambda name: lines.asked(content, name, position))


def _is_known(db: sqlite3.Connection, table: str, segment: str) -> bool:
    return _position(db, f"{table}/{segment}") > 0


def _position(db: sqlite3.Connection, segment: str) -> int:
    found = db.execute("SELECT position FROM segments WHERE name = ?", (segment,)).fetchone()
    return found[0] if found else 0


def _json(value: Any) -> str:
    return log.encode(value).decode()
