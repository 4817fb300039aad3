"""The table of profiles in SQLite: adding to it, and reading it."""

import datetime as dt
import sqlite3

import msgspec
import numpy as np

from penumbra.core.histograms import Profile

PROFILE_WINDOW_QUERY = (
    "SELECT day, rows, counts FROM profiles WHERE model = ? AND part = ? AND day BETWEEN ? AND ? ORDER BY day"
)


def add_profiles(db: sqlite3.Connection, part: str, profiles: dict[str, dict[dt.date, Profile]]) -> None:
    """Add profiles to those in the table.

    Args:
        db: A connection within a write transaction.
        part: What the profiles describe: the live answers, or a reference.
        profiles: The profiles by model and day (UTC).
    """
    for model, days in profiles.items():
        known = read_profiles(db, model, part, min(days), max(days)) if days else {}
        whole = {day: known[day] + profile if day in known else profile for day, profile in days.items()}
        rows = [(model, part, str(day), each.rows, _pack(each.counts)) for day, each in whole.items()]
        db.executemany("INSERT OR REPLACE INTO profiles VALUES (?, ?, ?, ?, ?)", rows)


def read_profiles(
    db: sqlite3.Connection, model: str, part: str, first: dt.date, last: dt.date
) -> dict[dt.date, Profile]:
    """Read the profiles of a model.

    Args:
        db: A connection.
        model: The model's version.
        part: What the profiles describe, as in `add_profiles`.
        first: The first day (UTC).
        last: The last day.

    Returns:
        The profiles by day, the earliest first.
    """
    found = db.execute(PROFILE_WINDOW_QUERY, (model, part, str(first), str(last)))
    return {dt.date.fromisoformat(day): Profile(rows, _unpack(counts)) for day, rows, counts in found}


def _pack(counts: np.ndarray) -> bytes:
    return msgspec.msgpack.encode(counts.tolist())


def _unpack(content: bytes) -> np.ndarray:
    return np.array(msgspec.msgpack.decode(content), np.int64)
