"""The tables of the index (penumbra/logs/indexing/index.py), and the statements that fill them."""

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from itertools import chain
from operator import itemgetter
from typing import NamedTuple

from penumbra.logs.indexing import parsing
from penumbra.logs.log_pieces import LogPiece, iterate_lines
from penumbra.logs.queries import bottom_k
from penumbra.logs.queries.bottom_k import DAY_SECONDS
from penumbra.storage.sqlite import insert_rows, write_transaction

TAKEN_BACK = "{}"  # the value of a label with which people take back the one that they gave to the same prediction
# The value that counted for a key when a label arrived.
COUNTED_BEFORE = f"""(SELECT value FROM labels AS earlier WHERE earlier.key = labels.key
    AND (earlier.time, earlier.segment, earlier.position) < (labels.time, labels.segment, labels.position)
    AND (earlier.rank = 1 OR earlier.value <> '{TAKEN_BACK}' AND NOT EXISTS (SELECT 1 FROM labels AS newer
      WHERE newer.key = earlier.key AND newer.rank = 0 AND newer.prediction = earlier.prediction
      AND (newer.time, newer.segment, newer.position) > (earlier.time, earlier.segment, earlier.position)
      AND (newer.time, newer.segment, newer.position) < (labels.time, labels.segment, labels.position)))
    ORDER BY earlier.rank DESC, earlier.time DESC, earlier.segment DESC, earlier.position DESC LIMIT 1)"""

# labels.key is '' as long as all that is known is the id of a prediction that isn't in the log (yet). labels.rank is 0
# of labels of people and 1 of all others, which outrank those. In `standing` are the labels that the people who gave
# them haven't replaced or taken back; the highest and latest of a key is its truth.
INDEX_DDL = f"""
CREATE TABLE segments (name TEXT PRIMARY KEY, position INTEGER NOT NULL, unreadable INTEGER NOT NULL);
CREATE TABLE predictions (id TEXT PRIMARY KEY, key TEXT NOT NULL, time REAL NOT NULL, event REAL NOT NULL,
  model TEXT NOT NULL, output NOT NULL, decision NOT NULL, alone INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX predictions_by_key ON predictions (key);
CREATE INDEX predictions_by_event ON predictions (event);
CREATE TABLE days (day INTEGER, model TEXT, rows INTEGER NOT NULL, PRIMARY KEY (day, model)) WITHOUT ROWID;
CREATE TABLE arrivals (day INTEGER PRIMARY KEY, rows INTEGER NOT NULL);
CREATE TABLE labels (key TEXT, rank INTEGER, time REAL, segment TEXT, position INTEGER, prediction TEXT NOT NULL,
  value TEXT NOT NULL, target TEXT, source TEXT NOT NULL, probability REAL NOT NULL,
  PRIMARY KEY (key, rank, time, segment, position)) WITHOUT ROWID;
CREATE TABLE shadow (prediction TEXT, model TEXT, time REAL NOT NULL, output, decision, status TEXT NOT NULL,
  reason TEXT NOT NULL, PRIMARY KEY (prediction, model)) WITHOUT ROWID;
CREATE TABLE shadow_counts (model TEXT PRIMARY KEY, rows INTEGER NOT NULL) WITHOUT ROWID;
CREATE VIEW standing AS SELECT * FROM labels WHERE rank = 1 OR value <> '{TAKEN_BACK}'
  AND NOT EXISTS (SELECT 1 FROM labels AS newer WHERE newer.key = labels.key AND newer.rank = 0
    AND newer.prediction = labels.prediction
    AND (newer.time, newer.segment, newer.position) > (labels.time, labels.segment, labels.position));
CREATE VIEW truth AS SELECT key, value, target, time, source, probability,
    segment || '-' || printf('%x', position) AS id,
    (SELECT min(time) FROM standing AS any WHERE any.key = counted.key AND any.rank = counted.rank) AS first
  FROM standing AS counted WHERE NOT EXISTS (SELECT 1 FROM standing AS later WHERE later.key = counted.key
    AND (later.rank, later.time, later.segment, later.position)
      > (counted.rank, counted.time, counted.segment, counted.position));
CREATE VIEW outcomes AS SELECT *, segment || '-' || printf('%x', position) AS id, CASE
    WHEN NOT EXISTS (SELECT 1 FROM predictions WHERE predictions.key = arrived.key) THEN 'orphan'
    WHEN value = '{TAKEN_BACK}' THEN 'taken back'
    WHEN before IS NULL THEN 'attached'
    WHEN before = value THEN 'duplicate'
    WHEN rank = 0 AND outranked THEN 'outranked'
    ELSE 'correction' END AS outcome
  FROM (SELECT *, {COUNTED_BEFORE} AS before, EXISTS (SELECT 1 FROM labels AS earlier WHERE earlier.key = labels.key
      AND earlier.rank = 1 AND (earlier.time, earlier.segment, earlier.position)
        < (labels.time, labels.segment, labels.position)) AS outranked
    FROM labels) AS arrived;
{bottom_k.SAMPLE_TABLES_DDL.strip()}
"""
INSERT_BY_TABLE = {
    "predictions": "INSERT OR IGNORE INTO predictions {rows}",
    "labels": """INSERT OR IGNORE INTO labels
      SELECT coalesce(p.key, column1), column2, column3, column4, column5, column6, column7, column8, column9, column10
      FROM ({rows}) LEFT JOIN predictions AS p ON column1 = '' AND p.id = column6""",
    "shadow": "INSERT OR REPLACE INTO shadow {rows}",
}
EXISTING_IDS_QUERY = "SELECT id FROM predictions WHERE id BETWEEN ? AND ?"
ADD_TO_DAY = "INSERT INTO days VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET rows = rows + excluded.rows"
ADD_TO_ARRIVALS = "INSERT INTO arrivals VALUES (?, ?) ON CONFLICT DO UPDATE SET rows = rows + excluded.rows"
ADD_TO_SHADOW = "INSERT INTO shadow_counts VALUES (?, ?) ON CONFLICT DO UPDATE SET rows = rows + excluded.rows"
RESOLVE_LABEL_KEYS = """
UPDATE OR REPLACE labels SET key = (SELECT key FROM predictions WHERE id = labels.prediction)
WHERE key = '' AND EXISTS (SELECT 1 FROM predictions WHERE id = labels.prediction)
"""
ADVANCE_INDEX_POSITION = """
INSERT INTO segments VALUES (?, ?, ?)
ON CONFLICT DO UPDATE SET position = excluded.position, unreadable = unreadable + excluded.unreadable
"""
LATEST_LABELS_QUERY = """
SELECT key, value FROM labels WHERE source = ? AND key IN (SELECT value FROM json_each(?))
ORDER BY time, segment, position
"""
INDEX_TIMEOUT_SECONDS = 60
# What comes in order fills large pages, at a tenth less processor time. Keys without a time come in none: nearly each
# line dirties a page of its own, which is small then.
PAGE_BYTES, SMALL_PAGE_BYTES = 1 << 14, 1 << 12
CHECKPOINT_BYTES = 160 << 20


class ParsedPiece(NamedTuple):
    """A piece of a log with its rows, and its number of lines."""

    piece: LogPiece
    rows: list[parsing.IndexRow]
    lines: int


def parse_piece(piece: LogPiece, parse: Callable[[Sequence[bytes]], list[parsing.IndexRow]]) -> ParsedPiece:
    """Return the rows of a `piece` of a log as `parse`, a parser of penumbra/logs/indexing/parsing.py, reads them."""
    rows, count = list[parsing.IndexRow](), 0
    for lines in iterate_lines(piece.content):
        rows += parse(lines)
        count += len(lines)
    return ParsedPiece(piece, rows, count)


def list_index_pragmas(is_key_ordered: bool) -> list[str]:
    """List the pragmas of a connection to the index.

    Args:
        is_key_ordered: Whether keys come in about their order.

    Returns:
        The pragmas; the size of pages is that of a new file only.
    """
    size = PAGE_BYTES if is_key_ordered else SMALL_PAGE_BYTES
    kept = ["journal_mode = WAL", "synchronous = NORMAL", "cache_size = -100000"]
    return [f"page_size = {size}", *kept, f"wal_autocheckpoint = {CHECKPOINT_BYTES // size}"]


def insert_pieces(db: sqlite3.Connection, table: str, parsed: Sequence[ParsedPiece], layout: int) -> list[ParsedPiece]:
    """Insert the rows of pieces of a log, and how far it was read, in one transaction.

    Args:
        db: A connection to the index.
        table: "predictions", "labels" or "shadow".
        parsed: The pieces.
        layout: The version of the tables that the rows are of.

    Returns:
        The pieces, but for those that don't follow on what is there, as somebody else was quicker with them.

    Raises:
        ReplacedTables: The tables are of another version; nothing is inserted.
    """
    with write_transaction(db, layout):
        new = [each for each in parsed if _follows(db, table, each.piece)]
        rows = [row for each in new for row in each.rows if row]
        if table == "labels":
            rows.sort(key=itemgetter(0))  # in the order of the tree: each of its pages is looked for once
        if table == "predictions":
            rows = _take_new_predictions(db, [each.rows for each in new])
        if table == "shadow":
            db.executemany(ADD_TO_SHADOW, Counter(row[1] for row in rows).items())
        insert_rows(db, INSERT_BY_TABLE[table], rows)
        if table == "predictions":
            db.execute(RESOLVE_LABEL_KEYS)
        db.executemany(ADVANCE_INDEX_POSITION, [_build_position_row(table, each) for each in new])
    return new


def read_index_positions(db: sqlite3.Connection, table: str) -> dict[str, int]:
    """Read how far the segments of a log were taken in.

    Args:
        db: A connection to the index.
        table: The log, as in `insert_pieces`.

    Returns:
        By the name of each segment that was begun the position in bytes.
    """
    found = db.execute("SELECT name, position FROM segments WHERE name > ? AND name < ?", (f"{table}/", f"{table}0"))
    return {name.rpartition("/")[2]: position for name, position in found if position}


def _follows(db: sqlite3.Connection, table: str, piece: LogPiece) -> bool:
    found = db.execute("SELECT position FROM segments WHERE name = ?", (f"{table}/{piece.segment}",)).fetchone()
    return (found[0] if found else 0) == piece.position


def _build_position_row(table: str, parsed: ParsedPiece) -> tuple[str, int, int]:
    piece, rows, lines = parsed
    return f"{table}/{piece.segment}", piece.position + len(piece.content), lines - len(rows)


def _take_new_predictions(
    db: sqlite3.Connection, found: Sequence[Sequence[parsing.IndexRow]]
) -> list[parsing.IndexRow]:
    """Count those that aren't there yet, by day of event and model and by day of arrival, and let them take part in the
    draw; return what the table keeps of them."""
    new: dict[str, parsing.IndexRow] = {}
    for row in chain.from_iterable(found):
        new.setdefault(row[0], row)  # of an id that was logged twice the first counts, as across passes
    for names in ([row[0] for row in rows] for rows in found if rows):  # those of a piece are neighbours
        for (known,) in db.execute(EXISTING_IDS_QUERY, (min(names), max(names))):
            new.pop(known, None)
    days: dict[tuple[str, int], dict[str, bytes]] = defaultdict(dict)
    for row in new.values():
        days[row[4], int(row[3] // DAY_SECONDS)][row[0]] = row[-1]
    db.executemany(ADD_TO_DAY, [(day, model, len(lines)) for (model, day), lines in days.items()])
    db.executemany(ADD_TO_ARRIVALS, Counter([int(row[2] // DAY_SECONDS) for row in new.values()]).items())
    bottom_k.add_to_sample(db, days)
    return [row[:-1] for row in new.values()]
