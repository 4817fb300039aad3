"""Profiles in their table: added to, and read."""

import datetime as dt
import sqlite3

import msgspec
import numpy as np

from penumbra.core.histograms import Profile

PROFILE_WINDOW_QUERY = (
    "SELECT day, rows, counts FROM profiles WHERE model = ? AND part = ? AND day >= ? AND day < ? ORDER BY day"
)


def add_profiles(db: sqlite3.Connection, part: str, profiles: dict[str, dict[dt.date, Profile]]) -> None:
    """Profiles by model and day to what is there of them; `part` says of what."""
    for model, days in profiles.items():
        known = read_profiles(db, model, part, min(days), max(days) + dt.timedelta(days=1)) if days else {}
        whole = {day: known[day] + profile if day in known else profile for day, profile in days.items()}
        rows = [(model, part, str(day), each.rows, _pack(each.counts)) for day, each in whole.items()]
        db.executemany("INSERT OR REPLACE INTO profiles VALUES (?, ?, ?, ?, ?)", rows)


def read_profiles(
    db: sqlite3.Connection, model: str, part: str, begin: dt.date, end: dt.date
) -> dict[dt.date, Profile]:
    """By day from `begin` to before `end`, the earliest first."""
    found = db.execute(PROFILE_WINDOW_QUERY, (model, part, str(begin), str(end)))
    return {dt.date.fromisoformat(day): Profile(rows, _unpack(counts)) for day, rows, counts in found}


def _pack(counts: np.ndarray) -> bytes:
    return msgspec.msgpack.encode(counts.tolist())


def _unpack(content: bytes) -> np.ndarray:
    return np.array(msgspec.msgpack.decode(content), np.int64)
