"""A sample of the rows that each model answered of each day, in the index: those whose ids draw the smallest hashes.

It is drawn as the log is read, in the transaction that notes how far that went. So what a report costs follows the
sample's size and not the log's, and which rows it has doesn't follow from the order in which the log is read. Bottom-k
samples add up: the smallest of several days' are those of all their rows (Cohen and Kaplan, 2007).
"""

import datetime as dt
import hashlib
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Sequence

MOST, KEPT = 20_000, 5_000  # rows of a window, and of a day
SEED = b"2013"
LAYOUT = """
CREATE TABLE drawn (model TEXT, day INTEGER, draw BLOB, id TEXT, record BLOB NOT NULL,
  PRIMARY KEY (model, day, draw, id)) WITHOUT ROWID;
CREATE TABLE limits (model TEXT, day INTEGER, kept INTEGER NOT NULL, highest BLOB NOT NULL,
  PRIMARY KEY (model, day)) WITHOUT ROWID;
"""
LIMIT = "SELECT kept, highest FROM limits WHERE model = ? AND day = ?"
LAST = "SELECT draw FROM drawn WHERE model = ? AND day = ? ORDER BY draw LIMIT 1 OFFSET ?"
WINDOW = """
SELECT id, record FROM drawn WHERE model = ? AND day >= ? AND day < ? AND draw <= ? ORDER BY draw, id LIMIT ?
"""
ANY = b"\xff" * 8
DAY = 86_400.0
Record = Callable[[str], bytes | None]


def keep(db: sqlite3.Connection, answers: Sequence[tuple[str, str, float]], record: Record, most: int = KEPT) -> None:
    """Draw among more answers: (id, model, event in seconds since 1970); of the same one twice once. `record` tells
    what was asked under an id, as JSON, None where that isn't known. Kept are the `most` lowest draws of each model and
    day, and at times half as many more."""
    days: dict[tuple[str, int], list[str]] = defaultdict(list)
    for name, model, event in answers:
        days[model, int(event // DAY)].append(name)
    for day, names in days.items():
        _keep(db, day, names, record, most)


def window(
    db: sqlite3.Connection, model: str, begin: dt.date, end: dt.date, most: int = MOST, of_day: int = KEPT
) -> list[tuple[str, bytes]]:
    """Ids, with what was asked, of at most so many rows that the model answered of days (UTC) from `begin` to before
    `end`: the lowest draws of all, down to where no day has more than `of_day`, so that each row's chance is the same.
    """
    first, last = ((day - dt.date(1970, 1, 1)).days for day in (begin, end))
    ends = [db.execute(LAST, (model, day, of_day - 1)).fetchone() for day in range(first, last)]
    limit = min((draw for (draw,) in filter(None, ends)), default=ANY)
    return db.execute(WINDOW, (model, first, last, limit, most)).fetchall()


def _keep(db: sqlite3.Connection, day: tuple[str, int], names: list[str], record: Record, most: int) -> None:
    kept, highest = db.execute(LIMIT, day).fetchone() or (0, ANY)
    low = sorted((draw, name) for name in names if (draw := _draw(name)) <= highest)
    if len(low) > most:
        highest = low[most - 1][0]
    rows = [(*day, draw, name, asked) for draw, name in low[:most] if (asked := record(name)) is not None]
    kept += db.executemany("INSERT OR IGNORE INTO drawn VALUES (?, ?, ?, ?, ?)", rows).rowcount if rows else 0
    if kept > most + most // 2:
        ((highest,),) = db.execute(LAST, (*day, most - 1))
        kept -= db.execute("DELETE FROM drawn WHERE model = ? AND day = ? AND draw > ?", (*day, highest)).rowcount
    db.execute("INSERT OR REPLACE INTO limits VALUES (?, ?, ?, ?)", (*day, kept, highest))


def _draw(name: str) -> bytes:
    return hashlib.blake2b(name.encode(), digest_size=8, key=SEED).digest()
