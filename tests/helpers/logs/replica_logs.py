"""Replicas with log folders of their own that share a store, and a reader of all of them."""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

from penumbra.core.settings import Settings, load_settings
from penumbra.logs.append_log import read_entries
from penumbra.logs.replicas.log_shipping import ship_logs
from penumbra.logs.replicas.log_union import fetch_logs
from penumbra.logs.replicas.shared_logs import SharedLogs
from service.processes.shipper import LogShipper
from tests.helpers.logs.prediction_logs import append_to_new_segment, make_prediction


def make_replica(folder: Path, state: str, **environ: str) -> Settings:
    """The settings of a replica whose logs are in folders of their own."""
    folders = {
        "SERVICE__PREDICTIONS": "predictions",
        "SERVICE__STATE": "service",
        "LABELS__FOLDER": "labels",
        "REVIEW__FOLDER": "reviews",
        "LEDGER__FOLDER": "ledger",
        "MONITOR__FOLDER": "monitor",
    }
    own = {f"PENUMBRA_{name}": str(folder / place) for name, place in folders.items()}
    return load_settings(environ={**own, "PENUMBRA_CLUSTER__STATE": state, **environ})


def get_logs(replica: Settings) -> SharedLogs:
    logs = SharedLogs.from_settings(replica)
    assert logs
    return logs


def log_answers(replica: Settings, *flights: int) -> list[str]:
    """Log answers to a new segment, which is closed; their ids."""
    return append_to_new_segment(replica.service.predictions, [make_prediction(flight) for flight in flights])


def ship(replica: Settings) -> int:
    return ship_logs(get_logs(replica))


def beat(replica: Settings, now: dt.datetime | None = None) -> None:
    """Let a replica say how far it has shipped."""
    now = now or dt.datetime.now(dt.UTC)
    get_logs(replica).heartbeats.write(LogShipper(replica, get_logs(replica)).make_heartbeat(now))


def read_union(reader: Settings, log: str = "predictions", field: str = "id") -> Sequence[str]:
    """A field of a log's entries that a reader has after a fetch, in order; "" for those without it."""
    fetch_logs(reader)
    return sorted(entry.get(field, "") for entry in read_entries(get_logs(reader).folders[log]))
