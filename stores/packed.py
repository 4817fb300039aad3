"""Profiles in their table: added to, and read."""

import datetime as dt
import sqlite3

import msgspec
import numpy as np

from counts import Profile

WINDOW = "SELECT day, profile FROM profiles WHERE model = ? AND part = ? AND day >= ? AND day < ? ORDER BY day"


def add(db: sqlite3.Connection, part: str, profiles: dict[str, dict[dt.date, Profile]]) -> None:
    """Profiles by model and day to what is there of them; `part` says of what."""
    for model, days in profiles.items():
        for day, profile in days.items():
            known = find(db, model, part, day, day + dt.timedelta(days=1)).get(day)
            whole = profile if known is None else known + profile
            db.execute("INSERT OR REPLACE INTO profiles VALUES (?, ?, ?, ?)", (model, part, str(day), _pack(whole)))


def find(db: sqlite3.Connection, model: str, part: str, begin: dt.date, end: dt.date) -> dict[dt.date, Profile]:
    """By day from `begin` to before `end`, the earliest first."""
    found = db.execute(WINDOW, (model, part, str(begin), str(end)))
    return {dt.date.fromisoformat(day): _unpack(each) for day, each in found}


def _pack(profile: Profile) -> bytes:
    numbers = (profile.counts, profile.low, profile.high, profile.total)
    return msgspec.msgpack.encode([profile.rows, *(each.tolist() for each in numbers)])


def _unpack(content: bytes) -> Profile:
    rows, counts, *numbers = msgspec.msgpack.decode(content)
    low, high, total = (np.array(each, float) for each in numbers)
    return Profile(rows, np.array(counts, np.int64), low, high, total)
