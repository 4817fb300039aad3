"""A bottom-k sample of the rows that each model answered of each day, in the index: the ids with the smallest hashes.

It is drawn as the log is read, in the transaction that advances the index's position, so a report's cost follows the
sample's size and not the log's, and the sample doesn't depend on the order in which the log is read. Bottom-k samples
add up: the smallest hashes of several days' samples are those of all their rows.

Source:
    Cohen and Kaplan, "Summarizing data using bottom-k sketches", PODC 2007.
"""

import datetime as dt
import hashlib
import sqlite3
from collections.abc import Mapping

from penumbra.storage.sqlite import insert_rows

MAX_WINDOW_ROWS, MAX_DAY_ROWS = 20_000, 5_000  # rows of a window, and of a day
SAMPLE_SEED = b"2013"
SAMPLE_TABLES_DDL = """
CREATE TABLE drawn (model TEXT, day INTEGER, draw BLOB, id TEXT, record BLOB NOT NULL,
  PRIMARY KEY (model, day, draw, id)) WITHOUT ROWID;
CREATE TABLE limits (model TEXT, day INTEGER, kept INTEGER NOT NULL, highest BLOB NOT NULL,
  PRIMARY KEY (model, day)) WITHOUT ROWID;
"""
DAY_LIMIT_QUERY = "SELECT kept, highest FROM limits WHERE model = ? AND day = ?"
NTH_DRAW_QUERY = "SELECT draw FROM drawn WHERE model = ? AND day = ? ORDER BY draw LIMIT 1 OFFSET ?"
WINDOW_SAMPLE_QUERY = """
SELECT id, record FROM drawn WHERE model = ? AND day >= ? AND day < ? AND draw <= ? ORDER BY draw, id LIMIT ?
"""
MAX_DRAW = b"\xff" * 8
DAY_SECONDS = 86_400.0
JsonBytes = bytes | bytearray
_keyed_hash = hashlib.blake2b(digest_size=8, key=SAMPLE_SEED)


def add_to_sample(
    db: sqlite3.Connection, days: Mapping[tuple[str, int], Mapping[str, JsonBytes]], most: int = MAX_DAY_ROWS
) -> None:
    """Draw among more answers; the same answer twice counts once.

    Kept are the `most` lowest hashes of each model and day, and at times half as many more.

    Args:
        db: A connection within a write transaction.
        days: The answers' records as JSON, by id, of each model and day of the event, in days since 1970.
        most: How many rows a day's sample has at least, where there are as many.
    """
    for day, records in days.items():
        _add_day_rows(db, day, records, most)


def select_window_sample(
    db: sqlite3.Connection,
    model: str,
    begin: dt.date,
    end: dt.date,
    most: int = MAX_WINDOW_ROWS,
    of_day: int = MAX_DAY_ROWS,
) -> list[tuple[str, bytes]]:
    """Select the sample of several days, in which each row has the same chance.

    It is the lowest hashes of all days, down to where no day has more than `of_day`.

    Args:
        db: A connection.
        model: The model's version.
        begin: The first day (UTC).
        end: The day after the last.
        most: How many rows to return at most.
        of_day: How many rows of one day at most.

    Returns:
        Ids with their records as JSON, the lowest hash first.
    """
    first, last = ((day - dt.date(1970, 1, 1)).days for day in (begin, end))
    ends = [db.execute(NTH_DRAW_QUERY, (model, day, of_day - 1)).fetchone() for day in range(first, last)]
    limit = min((draw for (draw,) in filter(None, ends)), default=MAX_DRAW)
    return db.execute(WINDOW_SAMPLE_QUERY, (model, first, last, limit, most)).fetchall()


def _add_day_rows(db: sqlite3.Connection, day: tuple[str, int], records: Mapping[str, JsonBytes], most: int) -> None:
    kept, highest = db.execute(DAY_LIMIT_QUERY, day).fetchone() or (0, MAX_DRAW)
    low = sorted((draw, name) for name in records if (draw := _hash_id(name)) <= highest)
    if len(low) > most:
        highest = low[most - 1][0]
    rows = [(*day, bytearray(draw), name, records[name]) for draw, name in low[:most]]  # for bytes it seeks an adapter
    kept += insert_rows(db, "INSERT OR IGNORE INTO drawn {rows}", rows)
    if kept > most + most // 2:
        ((highest,),) = db.execute(NTH_DRAW_QUERY, (*day, most - 1))
        kept -= db.execute("DELETE FROM drawn WHERE model = ? AND day = ? AND draw > ?", (*day, highest)).rowcount
    db.execute("INSERT OR REPLACE INTO limits VALUES (?, ?, ?, ?)", (*day, kept, highest))


def _hash_id(name: str) -> bytes:
    keyed = _keyed_hash.copy()
    keyed.update(name.encode())
    return keyed.digest()
