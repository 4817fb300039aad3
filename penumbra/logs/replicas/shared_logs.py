"""The logs that replicas share: their folders here, their address, and who this replica is."""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

from penumbra.core.settings import Settings
from penumbra.logs.archiving.shipping import read_service_id
from penumbra.logs.replicas.heartbeats import LOST_AFTER_SHIPPINGS, HeartbeatStore
from penumbra.logs.replicas.segment_store import SegmentStore
from penumbra.logs.schema import get_broken_counts_folder, get_refusals_folder
from penumbra.storage.shared.state import SharedState


@dataclass(frozen=True)
class SharedLogs:
    """Where the logs are.

    Attributes:
        folders: The folder of each log, by its name.
        state: The state that machines share, of which each log has a part of its name.
        archive: The address of their archive.
        ship_interval: The time between two shippings.
        patience: Seconds for which a store that is away is tried again; None for the usual time.
    """

    folders: dict[str, Path]
    state: SharedState
    archive: str
    ship_interval: dt.timedelta
    patience: float | None = None

    @classmethod
    def from_settings(cls, settings: Settings, patience: float | None = None) -> "SharedLogs | None":
        """Return the logs of `settings` that machines share; None where there is one machine.

        `patience` is that of the logs' stores.
        """
        if (state := SharedState.from_settings(settings)) is None:
            return None
        interval = dt.timedelta(minutes=settings.cluster.ship_minutes)
        return cls(list_log_folders(settings), state, find_archive(settings), interval, patience)

    @property
    def replica(self) -> str:
        """This replica's id, that of the folder of its prediction log, which the first call makes."""
        return read_service_id(self.folders["predictions"])

    @property
    def heartbeats(self) -> HeartbeatStore:
        """The heartbeats of all replicas."""
        return HeartbeatStore(self.state.locate("logs", "replicas"), self.patience)

    @property
    def lost_after(self) -> dt.timedelta:
        """For how long a replica is silent before it is taken for lost."""
        return self.ship_interval * LOST_AFTER_SHIPPINGS

    def open_store(self, log: str) -> SegmentStore:
        """Return the shipped segments of the log that is called `log`."""
        return SegmentStore(self.state.locate("logs", log), self.patience)


def list_log_folders(settings: Settings) -> dict[str, Path]:
    """Return the folder of each log of the `settings` by its name: "predictions", "labels", "shadow" and so on."""
    predictions = settings.service.predictions
    return {
        "reviews": settings.review.folder,
        "labels": settings.labels.folder,
        "predictions": predictions,
        "shadow": settings.service.shadow_log,
        "refused": get_refusals_folder(predictions),
        "broken": get_broken_counts_folder(predictions),
    }


def find_archive(settings: Settings) -> str:
    """Find where days are shipped to.

    Args:
        settings: `log.archive`, and `cluster.state` where that is "".

    Returns:
        The address; "" for nowhere.
    """
    state = SharedState.from_settings(settings)
    return settings.log.archive or (state.locate("logs", "archive") if state else "")
