"""Heartbeats of replicas: an object for each, which says how far it has shipped and how many entries only it has.

<state>/logs/replicas/<replica>.json

A replica is what has a volume with logs of its own: who starts again on the same volume is the same one. One that has
ended in order and has shipped everything leaves none; one that is lost leaves its last.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from penumbra.storage.atomic import replace_file
from penumbra.storage.shared.object_store import ObjectStore

REPLICA_COUNT_FILE = "replicas"
LARGEST_CLOCK_ERROR = dt.timedelta(minutes=2)  # between a replica's clock and the store's
LOST_AFTER_SHIPPINGS = 3  # without a heartbeat for so many times the time between two, a replica is taken for lost


class ReplicaHeartbeat(msgspec.Struct, frozen=True):
    """What a replica last said of itself; times are UTC.

    Attributes:
        replica: Its id, that of its volume.
        machine: The name of its machine or pod.
        started: When its process was started.
        seen: When it said this.
        shipped_until: All predictions and labels that it took before are shipped.
        shipped: By log, the name of the last segment that it has shipped.
        unshipped: By log, how many entries are on its volume only; logs without any are left out.
        failing_since: Since when it can't ship; None where it can.
        token: Tells the process from others that say the same id, as their volume was copied; "" of an earlier version.
        copied_from: The replica whose volume this one's is a copy of, which it has noticed; "" for none.
        written: When it was written, by the store's clock; None where it wasn't read from there.
    """

    replica: str
    machine: str
    started: dt.datetime
    seen: dt.datetime
    shipped_until: dt.datetime
    shipped: Mapping[str, str] = {}
    unshipped: Mapping[str, int] = {}
    failing_since: dt.datetime | None = None
    token: str = ""
    copied_from: str = ""
    written: dt.datetime | None = None


@dataclass(frozen=True)
class ReplicaCoverage:
    """What the readers of all replicas' logs know of how complete they are.

    Attributes:
        heartbeats: The last heartbeat of each replica that hasn't ended in order.
        lost_after: For how long a replica is silent before it is taken for lost.
        now: The time (UTC).
    """

    heartbeats: Sequence[ReplicaHeartbeat]
    lost_after: dt.timedelta
    now: dt.datetime

    def is_lost(self, heartbeat: ReplicaHeartbeat) -> bool:
        """Return whether the replica of a `heartbeat` has been silent for too long, whatever its own clock says."""
        return self.now - (heartbeat.written or heartbeat.seen) > self.lost_after

    def list_lost(self) -> list[ReplicaHeartbeat]:
        """Return the last heartbeats of replicas that didn't end in order."""
        return [each for each in self.heartbeats if self.is_lost(each)]

    def find_complete_until(self) -> dt.datetime:
        """Return until when (UTC) all replicas that are at work have shipped; what is lost isn't waited for."""
        return min((each.shipped_until for each in self.heartbeats if not self.is_lost(each)), default=self.now)

    def list_alarms(self) -> list[str]:
        """Return a sentence for each replica that was lost, that doesn't ship, or whose clock or volume is wrong."""
        at_work = [each for each in self.heartbeats if not self.is_lost(each)]
        late = [each for each in at_work if self.now - each.shipped_until > self.lost_after]
        copies = [_describe_copy(each) for each in at_work if each.copied_from]
        wrong = [each for each in at_work if abs(_measure_clock_error(each)) > LARGEST_CLOCK_ERROR]
        lost = map(_describe_lost, self.list_lost())
        return [*lost, *map(_describe_late, late), *map(_describe_clock, wrong), *copies]

    def list_lost_within(self, begin: dt.datetime, end: dt.datetime) -> list[ReplicaHeartbeat]:
        """Return the last heartbeats of replicas that were lost in a window.

        Args:
            begin: The window's begin (UTC).
            end: Its end.

        Returns:
            Those whose time from the last shipping to the last heartbeat overlaps the window.
        """
        return [each for each in self.list_lost() if each.shipped_until < end and each.seen >= begin]

    def count_missing(self, begin: dt.datetime, end: dt.datetime) -> int:
        """Count the answers of lost replicas that may lie in a window and weren't shipped.

        Args:
            begin: The window's begin (UTC).
            end: Its end.

        Returns:
            How many predictions were on the volumes of the replicas that were lost in the window; what they answered
            after their last heartbeat isn't known.
        """
        return sum(each.unshipped.get("predictions", 0) for each in self.list_lost_within(begin, end))


def _describe_lost(heartbeat: ReplicaHeartbeat) -> str:
    replica, counts = f"replica {heartbeat.replica} ({heartbeat.machine})", _format_counts(heartbeat.unshipped)
    return (
        f"{replica} was last seen at {heartbeat.seen:%Y-%m-%d %H:%M} UTC with {counts} on its volume only: that, and "
        "what it answered later, is missing until it starts again on that volume, or its heartbeat is removed"
    )


def _describe_late(heartbeat: ReplicaHeartbeat) -> str:
    replica, counts = f"replica {heartbeat.replica} ({heartbeat.machine})", _format_counts(heartbeat.unshipped)
    return (
        f"{replica} has shipped its logs until {heartbeat.shipped_until:%Y-%m-%d %H:%M} UTC only: {counts} wait, and "
        "so do windows that end later; its shipper's log says why"
    )


def _describe_copy(heartbeat: ReplicaHeartbeat) -> str:
    return (
        f"the volume of replica {heartbeat.replica} ({heartbeat.machine}), or of replica {heartbeat.copied_from}, is a "
        "copy of the other's: they have ids of their own now, and what both have counts once; give each its own volume"
    )


def _describe_clock(heartbeat: ReplicaHeartbeat) -> str:
    minutes = _measure_clock_error(heartbeat) / dt.timedelta(minutes=1)
    return (
        f"the clock of replica {heartbeat.replica} ({heartbeat.machine}) is {abs(minutes):,.0f} min "
        f"{'behind' if minutes > 0 else 'ahead of'} the store's: its answers have wrong times"
    )


def _measure_clock_error(heartbeat: ReplicaHeartbeat) -> dt.timedelta:
    """How far a replica's clock is behind the store's, with what the request took."""
    return (heartbeat.written or heartbeat.seen) - heartbeat.seen


def _format_counts(unshipped: Mapping[str, int]) -> str:
    return " and ".join(f"{count:,} {log}" for log, count in unshipped.items()) or "nothing"


def save_replica_count(predictions: Path, coverage: ReplicaCoverage) -> None:
    """Note how many replicas that answer are at work, for readers that don't ask the store.

    Args:
        predictions: The folder of the prediction log.
        coverage: What the replicas said last.

    Raises:
        OSError: The file can't be written.
    """
    answering = [each for each in coverage.heartbeats if "predictions" in (*each.shipped, *each.unshipped)]
    replace_file(predictions / REPLICA_COUNT_FILE, str(sum(not coverage.is_lost(each) for each in answering)))


def count_known_replicas(predictions: Path) -> int:
    """Return how many replicas are at work as far as is known beside the log in `predictions`, at least this one."""
    try:
        return max(int((predictions / REPLICA_COUNT_FILE).read_text()), 1)
    except (OSError, ValueError):
        return 1


class HeartbeatStore:
    """The heartbeats of all replicas."""

    def __init__(self, url: str, patience: float | None = None) -> None:
        """Open the heartbeats; no request is made yet.

        Args:
            url: Their address; nothing needs to be there.
            patience: Seconds for which a store that is away is tried again; None for the usual time.

        Raises:
            StoreError: The package for such URLs isn't installed, or nothing is known about them.
        """
        self._objects = ObjectStore(url, patience)

    def write(self, heartbeat: ReplicaHeartbeat) -> None:
        """Replace the heartbeat of a replica by `heartbeat`. Raises StoreError where the store refuses, or is away."""
        self._objects.write(_name_object(heartbeat.replica), msgspec.json.encode(heartbeat))

    def read_one(self, replica: str) -> ReplicaHeartbeat | None:
        """Read the heartbeat of one replica.

        Args:
            replica: Its id.

        Returns:
            The heartbeat; None where it has none.

        Raises:
            StoreError: The store refuses, or is away.
        """
        found = self._objects.read_present([_name_object(replica)])
        return msgspec.json.decode(found[_name_object(replica)], type=ReplicaHeartbeat) if found else None

    def remove(self, replica: str) -> None:
        """Remove the heartbeat of a `replica` that has ended in order. Raises StoreError where the store refuses."""
        self._objects.delete([_name_object(replica)])

    def read(self) -> list[ReplicaHeartbeat]:
        """Read all heartbeats.

        Returns:
            The heartbeats, by the names of the replicas.

        Raises:
            StoreError: The store refuses, or is away.
        """
        times = self._objects.list_times()
        found = self._objects.read_present(sorted(times))
        said = {name: msgspec.json.decode(found[name], type=ReplicaHeartbeat) for name in sorted(found)}
        return [msgspec.structs.replace(each, written=times[name]) for name, each in said.items()]


def _name_object(replica: str) -> str:
    return f"{replica}.json"
