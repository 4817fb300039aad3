"""A bottom-k sample of the rows that each model answered of each day, in the index: the ids with the smallest hashes.

It is drawn as the log is read, in the transaction that advances the index's position, so a report's cost follows the
sample's size and not the log's, and the sample doesn't depend on the order in which the log is read. Bottom-k samples
add up: the smallest hashes of several days' samples are those of all their rows.

What a pass adds to a day lies together, as one value: a row of the table for each answer, in the order of the hashes,
took an eighth of the index's processor time.

Source:
    Cohen and Kaplan, "Summarizing data using bottom-k sketches", PODC 2007.
"""

import datetime as dt
import hashlib
import sqlite3
from collections.abc import Iterable, Mapping

import msgspec

MAX_WINDOW_ROWS, MAX_DAY_ROWS = 20_000, 5_000  # rows of a window, and of a day
SAMPLE_SEED = b"2013"
SAMPLE_TABLES_DDL = """
CREATE TABLE drawn (model TEXT NOT NULL, day INTEGER NOT NULL, rows BLOB NOT NULL);
CREATE INDEX drawn_by_day ON drawn (model, day);
CREATE TABLE limits (model TEXT, day INTEGER, kept INTEGER NOT NULL, highest BLOB NOT NULL,
  PRIMARY KEY (model, day)) WITHOUT ROWID;
"""
SAMPLE_TABLES = ("drawn", "limits")
DAY_LIMIT_QUERY = "SELECT kept, highest FROM limits WHERE model = ? AND day = ?"
DAY_ROWS_QUERY = "SELECT rows FROM drawn WHERE model = ? AND day = ?"
MAX_DRAW = b"\xff" * 8
DAY_SECONDS = 86_400.0
SampledRow = tuple[bytes, str, bytes]
"""The hash, the id, and the line; the table has the other two, as nearly all days keep all of their rows."""
_keyed_hash = hashlib.blake2b(digest_size=8, key=SAMPLE_SEED)
_decode_rows = msgspec.msgpack.Decoder(list[tuple[str, bytes]]).decode


def add_to_sample(
    db: sqlite3.Connection, days: Mapping[tuple[str, int], Mapping[str, bytes]], most: int = MAX_DAY_ROWS
) -> None:
    """Draw among more answers; the same answer twice counts once.

    Kept are the `most` lowest hashes of each model and day, and at times half as many more.

    Args:
        db: A connection within a write transaction.
        days: The answers' lines of the prediction log, by id, of each model and day of the event, in days since 1970.
        most: How many rows a day's sample has at least, where there are as many.
    """
    for day, lines in days.items():
        _add_day_rows(db, day, lines, most)


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
        Ids with their lines of the prediction log, the lowest hash first.
    """
    first, last = ((day - dt.date(1970, 1, 1)).days for day in (begin, end))
    lowest, limit = list[SampledRow](), MAX_DRAW
    for day in range(first, last):
        rows = _draw_rows(_read_rows(db, (model, day)))
        limit = min(limit, rows[of_day - 1][0]) if len(rows) >= of_day else limit
        lowest = sorted([*lowest, *rows])[:most]
    return [(name, line) for draw, name, line in lowest if draw <= limit]


def have_equal_samples(one: sqlite3.Connection, other: sqlite3.Connection, most: int = MAX_DAY_ROWS) -> bool:
    """Compare the samples of two indexes, in whatever pieces they were drawn.

    Args:
        one: A connection.
        other: A connection to another index.
        most: As in `add_to_sample`.

    Returns:
        Whether they have the same rows of each model and day.

    Raises:
        msgspec.MsgspecError: A byte of one of them has changed, or UnicodeDecodeError where an id isn't text any more.
    """
    found, others = (db.execute("SELECT model, day FROM limits ORDER BY model, day").fetchall() for db in (one, other))
    return found == others and all(
        _draw_rows(_read_rows(one, day))[:most] == _draw_rows(_read_rows(other, day))[:most] for day in found
    )


def _add_day_rows(db: sqlite3.Connection, day: tuple[str, int], lines: Mapping[str, bytes], most: int) -> None:
    kept, highest = db.execute(DAY_LIMIT_QUERY, day).fetchone() or (0, MAX_DRAW)
    low = [row for row in lines.items() if highest == MAX_DRAW or _hash_id(row[0]) <= highest]
    if not low:
        return
    if kept + len(low) > most + most // 2:
        lowest = _draw_rows([*_read_rows(db, day), *low])[:most]
        kept, highest, low = 0, lowest[-1][0], [(name, line) for _, name, line in lowest]
        db.execute("DELETE FROM drawn WHERE model = ? AND day = ?", day)
    db.execute("INSERT INTO drawn VALUES (?, ?, ?)", (*day, msgspec.msgpack.encode(low)))
    db.execute("INSERT OR REPLACE INTO limits VALUES (?, ?, ?, ?)", (*day, kept + len(low), highest))


def _read_rows(db: sqlite3.Connection, day: tuple[str, int]) -> list[tuple[str, bytes]]:
    """All that is kept of a model and a day."""
    return [row for (rows,) in db.execute(DAY_ROWS_QUERY, day) for row in _decode_rows(rows)]


def _draw_rows(rows: Iterable[tuple[str, bytes]]) -> list[SampledRow]:
    """In the order of their hashes, each answer once."""
    return sorted((_hash_id(name), name, line) for name, line in dict(rows).items())


def _hash_id(name: str) -> bytes:
    keyed = _keyed_hash.copy()
    keyed.update(name.encode())
    return keyed.digest()
