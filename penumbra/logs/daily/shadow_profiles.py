"""Profiles of what a model said in the shadow, by day of the event: counted once from the index, and kept by model.

<monitor>/scored/<model>.msgpack; derived, so it may be deleted at any time.
"""

import datetime as dt
import hashlib
import json
import sqlite3
from dataclasses import dataclass
from functools import reduce
from operator import add
from pathlib import Path

import msgspec
import numpy as np
import polars as pl

from penumbra.core.columns import DAY_COLUMN, PREDICTION_COLUMN
from penumbra.core.histograms import Binning, Profile, compute_daily_profiles
from penumbra.logs.append_log import encode_json
from penumbra.logs.indexing.index import LogIndex
from penumbra.logs.queries.bottom_k import DAY_SECONDS
from penumbra.logs.queries.samples import to_day_timestamp
from penumbra.logs.schema import STATUS_OK
from penumbra.storage.sealed import read_derived_file, replace_sealed_file

SHADOW_PROFILES_FOLDER = "scored"
ROWS_AT_ONCE = 50_000
MIN_SCORED_SHARE = 0.99  # of a day's rows: a part of a day is no day
SHADOW_COUNT_QUERY = "SELECT rows FROM shadow_counts WHERE model = ?"
DAY_SCORES_QUERY = """
SELECT p.model = ?1, p.alone, s.status = ?2, s.output
FROM predictions AS p LEFT JOIN shadow AS s ON s.prediction = p.id AND s.model = ?1 WHERE p.event >= ?3 AND p.event < ?4
"""


class KeptProfiles(msgspec.Struct):
    """The profiles of one model: `days` are rows and counts by day, valid as long as `cache_key` is the same."""

    cache_key: str
    days: dict[dt.date, tuple[int, list[int]]]


@dataclass(frozen=True)
class ShadowProfileStore:
    """The profiles of all models.

    Attributes:
        folder: The settings' `monitor.folder`.
        index: The index of the logs.
    """

    folder: Path
    index: LogIndex

    def read(self, model: str, binning: Binning, begin: dt.date, end: dt.date) -> dict[dt.date, Profile]:
        """Read the profiles of a model's predictions in the shadow, which are counted where more is known than before.

        A day counts if at least 99 % of its rows were scored, those that the model answered itself included, and no
        rule or fallback had a say in the others: in production a rule's answers are part of what is compared.

        Args:
            model: The model's version.
            binning: The bins of its profiles.
            begin: The first day (UTC).
            end: The day after the last.

        Returns:
            The profiles by day, the earliest first, with the bins of the predictions alone; without the rows that the
            model answered itself.

        Raises:
            OSError: Where they can't be kept.
        """
        with self.index.open_for_reading() as db:
            (rows,) = db.execute(SHADOW_COUNT_QUERY, (model,)).fetchone() or (0,)
            if not rows or begin >= end:
                return {}
            of_scores = binning.select([PREDICTION_COLUMN])
            key = hashlib.sha256(encode_json([rows, of_scores, begin, end])).hexdigest()
            kept = self._find(model)
            if kept is None or kept.cache_key != key:
                kept = KeptProfiles(key, _count_days(db, model, of_scores, begin, end))
                self._save(model, kept)
        return {day: Profile(n, np.array(counts, np.int64)) for day, (n, counts) in kept.days.items()}

    def _find(self, model: str) -> KeptProfiles | None:
        try:
            return msgspec.msgpack.decode(read_derived_file(self._path(model)) or b"", type=KeptProfiles)
        except msgspec.MsgspecError:
            return None

    def _save(self, model: str, kept: KeptProfiles) -> None:
        self._path(model).parent.mkdir(parents=True, exist_ok=True)
        replace_sealed_file(self._path(model), msgspec.msgpack.encode(kept))

    def _path(self, model: str) -> Path:
        return self.folder / SHADOW_PROFILES_FOLDER / f"{model}.msgpack"


def _count_days(
    db: sqlite3.Connection, model: str, binning: Binning, begin: dt.date, end: dt.date
) -> dict[dt.date, tuple[int, list[int]]]:
    days = [begin + dt.timedelta(days=number) for number in range((end - begin).days)]
    found = {day: _count_day(db, model, binning, day) for day in days}
    return {day: (each.rows, each.counts.tolist()) for day, each in found.items() if each}


def _count_day(db: sqlite3.Connection, model: str, binning: Binning, day: dt.date) -> Profile | None:
    """The profile of the model's outputs of a day's rows that others answered; None where the day doesn't count."""
    start, rows, done = to_day_timestamp(day), 0, 0
    parts = list[Profile]()
    found = db.execute(DAY_SCORES_QUERY, (model, STATUS_OK, start, start + DAY_SECONDS))
    while some := found.fetchmany(ROWS_AT_ONCE):
        others = [row for row in some if not row[0]]
        if any(not alone for _, alone, *_ in others):  # a rule or a fallback had a say
            return None
        scored = [output for _, _, ok, output in others if ok]
        rows, done = rows + len(some), done + len(some) - len(others) + len(scored)
        parts += [_count_scores(scored, binning, day)] if scored else []
    return reduce(add, parts) if parts and done >= MIN_SCORED_SHARE * rows else None


def _count_scores(outputs: list[str | float], binning: Binning, day: dt.date) -> Profile:
    values = [json.loads(output) if isinstance(output, str) else output for output in outputs]
    frame = pl.DataFrame({PREDICTION_COLUMN: values}, strict=False).with_columns(pl.lit(day).alias(DAY_COLUMN))
    return compute_daily_profiles(frame, binning, DAY_COLUMN)[day]
