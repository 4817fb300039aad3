"""Measure what a monitor window costs over the logs of 20 replicas, beside one log of the same rows.

Both are read by a machine that has nothing yet: it indexes them, counts their profiles and reads the window's. Of five
hours, those before midnight are in the archive by then, the last one is in segments: of five minutes of each replica,
with some 140 answers, which are fetched from a folder, and of an hour of the one log, which is read where it is.
"""

import datetime as dt
import secrets
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from unittest import mock

import polars as pl

from benchmarks.helpers import flight_stream
from penumbra.core.columns import BATCH_COLUMN
from penumbra.core.loading.project_loading import load_project
from penumbra.core.settings import Settings, load_settings
from penumbra.logs import append_log
from penumbra.logs.archiving import archive, shipping
from penumbra.logs.daily.frames import LogFrameReader
from penumbra.logs.daily.profiles import ProfileStore
from penumbra.logs.indexing.index import LogIndex
from penumbra.logs.replicas.log_shipping import delete_archived_copies, ship_logs
from penumbra.logs.replicas.shared_logs import SharedLogs
from penumbra.logs.schema import PredictionEntry

REPLICAS, HOURS, ROUNDS = 20, 5, 5
SHIPPED_MINUTES, OWN_MINUTES = 5, 60
FIRST, MIDNIGHT = dt.datetime(2013, 6, 30, 20, tzinfo=dt.UTC), dt.date(2013, 7, 1)
MONTHS, MODEL = [f"2013-{month:02}" for month in range(1, 7)], "1"


def measure() -> dict[str, float]:
    """Measure both in turn.

    Returns:
        `union_over_one`: the median, over some rounds, of the processor time of the replicas' logs by that of one log.
    """
    _, problem = load_project()
    rows = flight_stream.read_checked_rows(flight_stream.LAST_MONTH).filter(pl.col(BATCH_COLUMN).is_in(MONTHS))
    entries = _make_entries(rows.select(list(problem.schema.Row.columns())))
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        _write_log(_make_settings(folder / "one", ""), entries, OWN_MINUTES)
        for number in range(REPLICAS):
            replica = _make_settings(folder / f"replica-{number}", f"{folder}/state")
            _write_log(replica, entries[number::REPLICAS], SHIPPED_MINUTES)
        ratios = [_measure_round(folder, number, len(entries)) for number in range(ROUNDS)]
    return {"union_over_one": round(statistics.median(ratios), 2)}


def _measure_round(folder: Path, number: int, count: int) -> float:
    fresh = {"monitor": folder / f"monitor-{number}", "labels": folder / f"labels-{number}"}
    seconds, rows = _read_window(_make_settings(folder / "one", "", **fresh))
    seconds_of_union, rows_of_union = _read_window(_make_settings(folder / f"reader-{number}", f"{folder}/state"))
    if not rows == rows_of_union == count:
        raise RuntimeError(f"{rows:,} and {rows_of_union:,} rows were counted of {count:,}")
    print(f"{count:,} rows: {seconds:.2f} s in one log, {seconds_of_union:.2f} s in those of {REPLICAS}", flush=True)
    return seconds_of_union / seconds


def _make_entries(rows: pl.DataFrame) -> list[bytes]:
    step = dt.timedelta(hours=HOURS) / rows.height
    return [
        append_log.encode_json(
            PredictionEntry(FIRST + number * step, "0123456789ab", record, [0.5] * 12, 0.25, False, MODEL, 80)
        )
        for number, record in enumerate(rows.iter_rows(named=True))
    ]


def _make_settings(folder: Path, state: str, **folders: Path) -> Settings:
    places = {"SERVICE__PREDICTIONS": folder / "predictions", "REVIEW__FOLDER": folder / "reviews"}
    places |= {"LABELS__FOLDER": folders.get("labels", folder / "labels")}
    places |= {"MONITOR__FOLDER": folders.get("monitor", folder / "monitor")}
    own = {f"PENUMBRA_{name}": str(place) for name, place in places.items()}
    return load_settings(environ={**own, "PENUMBRA_CLUSTER__STATE": state})


def _write_log(settings: Settings, entries: Sequence[bytes], minutes: int) -> None:
    """Log entries in segments of so many minutes, ship them, and archive all days but the last."""
    folder, logs = settings.service.predictions, SharedLogs.from_settings(settings)
    size = -(-len(entries) // (HOURS * 60 // minutes))
    with mock.patch.object(append_log, "_make_segment_name", _name_segments(minutes).__next__):
        for first in range(0, len(entries), size):
            writer = append_log.LogWriter(folder)
            writer.append(entries[first : first + size])
            writer.close()
    if logs:
        ship_logs(logs)
    rows = LogFrameReader(load_project()[1].schema).read_archived
    archive.compact_segments(folder, archive.seal_closed_segments(folder), MIDNIGHT, rows)
    if logs:
        shipping.ship_parts(folder, f"{logs.archive}/{folder.name}")
        delete_archived_copies(logs, "predictions")


def _name_segments(minutes: int) -> Iterator[str]:
    """Names of segments that begin at intervals; those of several logs differ."""
    begin = FIRST
    while True:
        yield f"{int(begin.timestamp() * 1000):011x}{secrets.token_hex(3)}"
        begin += dt.timedelta(minutes=minutes)


def _read_window(settings: Settings) -> tuple[float, int]:
    """Read all as a monitor pass does; return the processor time in seconds, and the window's rows."""
    problem, began = load_project()[1], time.process_time()
    LogIndex.of_all_replicas(settings, problem.schema)
    profiles = ProfileStore(settings.monitor.folder, settings.service.predictions, problem.schema)
    profiles.update(lambda model: None)
    found = profiles.window(dt.date(2013, 1, 1), dt.date(2014, 1, 1), MODEL)
    return time.process_time() - began, sum(profile.rows for profile in found.values())
