"""The union of all replicas' logs: what the others have shipped is fetched into the folders here.

Readers find it there as if it had been written here, each entry once: segments have unique names, those that are whole
in a part of the archive are taken from that, and what is here already isn't fetched again. What another replica wrote
is marked, so that it is neither shipped, archived nor scored as an own one; what this one wrote before its volume was
restored comes back.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from penumbra.core.settings import Settings
from penumbra.logs.append_log import ENTRY_ID_PATTERN, SEGMENT_SUFFIX, list_segments
from penumbra.logs.archiving import archive_parts
from penumbra.logs.archiving.shipping import fetch_parts
from penumbra.logs.replicas.heartbeats import ReplicaCoverage
from penumbra.logs.replicas.segment_store import ShippedSegment
from penumbra.logs.replicas.segment_versions import fetch_longest_version
from penumbra.logs.replicas.shared_logs import SharedLogs
from penumbra.logs.segments import has_start_time, parse_start_time

ARCHIVED_LOGS = ("predictions", "shadow", "labels")
LOOK_UP_PATIENCE_SECONDS = 2.0  # somebody waits for the answer
FETCH_THREADS = 8  # a store answers each request after some milliseconds, several at once no later


@dataclass
class FetchedLogs:
    """The outcome of a fetch.

    Attributes:
        coverage: Which replicas there are, and how far each has shipped, read before anything was fetched.
        segments: How many segments and parts were new, or longer than what was here.
        damaged: A sentence for each shipped segment that was left out.
    """

    coverage: ReplicaCoverage
    segments: int = 0
    damaged: list[str] = field(default_factory=list)


def fetch_logs(settings: Settings, names: Sequence[str] = (), patience: float | None = None) -> FetchedLogs | None:
    """Bring what other replicas have shipped and isn't here.

    Args:
        settings: The folders of the logs, and `cluster.state`.
        names: The names of some logs, as in `SharedLogs`; empty for all.
        patience: Seconds for which a store that is away is tried again; None for the usual time.

    Returns:
        What was fetched; None where the settings have one machine only.

    Raises:
        DamagedArchive: A part of the archive isn't what was shipped.
        OSError: A folder can't be written.
        StoreError: The store refuses, or is away.
    """
    if (logs := SharedLogs.from_settings(settings, patience)) is None:
        return None
    fetched = FetchedLogs(_read_coverage(logs, dt.datetime.now(dt.UTC)))
    for log, folder in logs.folders.items():
        if log in names or not names:
            _fetch_log(logs, log, folder, fetched)
    return fetched


def read_coverage(settings: Settings, now: dt.datetime | None = None) -> ReplicaCoverage | None:
    """Read which replicas there are, and how far each has shipped.

    Args:
        settings: `cluster.state` and `cluster.ship_minutes`.
        now: The time (UTC) at which heartbeats are old; the clock's by default.

    Returns:
        The coverage; None where the settings have one machine only.

    Raises:
        StoreError: The store refuses, or is away.
    """
    if (logs := SharedLogs.from_settings(settings)) is None:
        return None
    return _read_coverage(logs, now or dt.datetime.now(dt.UTC))


def _read_coverage(logs: SharedLogs, now: dt.datetime) -> ReplicaCoverage:
    return ReplicaCoverage(logs.heartbeats.read(), logs.lost_after, now)


def find_logged_prediction(settings: Settings, prediction: str) -> dict[str, Any] | None:
    """Look up a prediction by its id in the log of any replica; of another one its segment alone is fetched.

    Args:
        settings: The folders of the logs, and `cluster.state`.
        prediction: The id; any text is allowed.

    Returns:
        The entry of the log, or None where it isn't here and no replica has shipped it.

    Raises:
        DamagedArchive: The archive is damaged.
        OSError: A folder can't be written.
        StoreError: The store refuses, or is away.
    """
    folder, logs = settings.service.predictions, SharedLogs.from_settings(settings, LOOK_UP_PATIENCE_SECONDS)
    if (found := archive_parts.find_entry(folder, prediction)) or logs is None:
        return found
    match = ENTRY_ID_PATTERN.fullmatch(prediction)
    return _fetch_and_find(logs, match[1], prediction) if match and has_start_time(match[1]) else None


def _fetch_and_find(logs: SharedLogs, segment: str, prediction: str) -> dict[str, Any] | None:
    log, fetched = "predictions", FetchedLogs(ReplicaCoverage([], logs.lost_after, dt.datetime.now(dt.UTC)))
    folder, shipped = logs.folders[log], logs.open_store(log).list_shipped(parse_start_time(segment).date())
    with suppress(FileNotFoundError):  # deleted since it was listed, as it is in the archive by now
        _fetch_segments(logs, log, [each for each in shipped if each.segment == segment], fetched)
    if not (folder / (segment + SEGMENT_SUFFIX)).exists():
        fetch_parts(folder, f"{logs.archive}/{folder.name}", logs.patience)
    return archive_parts.find_entry(folder, prediction)


def _fetch_log(logs: SharedLogs, log: str, folder: Path, fetched: FetchedLogs) -> None:
    """List segments before parts, so that what is deleted of them in between is in a part."""
    shipped = logs.open_store(log).list_shipped()
    if log in ARCHIVED_LOGS:
        fetched.segments += fetch_parts(folder, f"{logs.archive}/{folder.name}", logs.patience)
    archived = {name for _, part in archive_parts.list_parts(folder) for name in part.segments}
    try:
        _fetch_segments(logs, log, [each for each in shipped if each.segment not in archived], fetched)
    except FileNotFoundError:  # deleted since it was listed, as it is in the archive by now
        _fetch_log(logs, log, folder, fetched)


def _fetch_segments(logs: SharedLogs, log: str, shipped: Sequence[ShippedSegment], fetched: FetchedLogs) -> None:
    """Fetch the segments that aren't here, and look at those of which there are several versions again."""
    folder, store, own = logs.folders[log], logs.open_store(log), logs.replica
    named = defaultdict[str, dict[str, ShippedSegment]](dict)
    folder.mkdir(parents=True, exist_ok=True)
    here = {path.stem for path in list_segments(folder)}
    for each in shipped:
        named[each.segment].setdefault(each.digest, each)
    wanted = [[*versions.values()] for name, versions in named.items() if name not in here or len(versions) > 1]
    with ThreadPoolExecutor(FETCH_THREADS) as pool:
        for is_new, said in pool.map(lambda versions: fetch_longest_version(store, versions, folder, own), wanted):
            fetched.segments += is_new
            fetched.damaged += said
