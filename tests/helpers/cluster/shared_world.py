"""A machine with an empty folder beside replicas whose logs lie on the store, made of a world on one machine."""

import datetime as dt
import os
from itertools import cycle
from pathlib import Path

from penumbra.core.settings import Settings
from penumbra.logs.replicas.heartbeats import ReplicaHeartbeat
from penumbra.logs.replicas.log_shipping import ship_logs
from penumbra.logs.replicas.shared_logs import list_log_folders
from penumbra.registry.history.ledger import Ledger
from penumbra.registry.history.shared_ledger import share_ledger
from tests.helpers.logs.replica_logs import get_logs, make_replica


def deal_logs(settings: Settings, folder: Path, replicas: int = 2) -> list[Settings]:
    """Move the segments of a machine's logs to replicas in turn, ship them, and share the ledger.

    Args:
        settings: The machine's, with `cluster.state`; its folders of logs are empty afterwards.
        folder: The folder of the replicas' volumes.
        replicas: How many there are.

    Returns:
        The settings of the replicas, which have no heartbeat.
    """
    made = [make_replica(folder / f"replica-{number}", settings.cluster.state) for number in range(replicas)]
    for log, own in list_log_folders(settings).items():
        for segment, replica in zip(sorted(own.glob("*.jsonl")), cycle(made)):
            target = get_logs(replica).folders[log]
            target.mkdir(parents=True, exist_ok=True)
            segment.rename(target / segment.name)
    for replica in made:
        ship_logs(get_logs(replica))
    if Ledger(settings.ledger.folder).entries():
        share_ledger(settings)
    return made


def say_shipped(replica: Settings, until: dt.datetime, seen: dt.datetime | None = None, **unshipped: int) -> None:
    """Let a replica say until when it has shipped, and how many entries of each log it hasn't."""
    now = dt.datetime.now(dt.UTC)
    logs, shipped = get_logs(replica), {"predictions": ""}
    said = ReplicaHeartbeat(logs.replica, "pod", now, seen or now, until, shipped, unshipped)
    logs.heartbeats.write(said)
    if seen:  # in a state that is a folder
        os.utime(Path(logs.state.locate("logs", "replicas")) / f"{logs.replica}.json", (seen.timestamp(),) * 2)


def share_state(settings: Settings, state: str) -> Settings:
    """The settings of a machine that shares its state behind a URL."""
    return settings.model_copy(update={"cluster": settings.cluster.model_copy(update={"state": state})})
