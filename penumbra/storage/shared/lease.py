"""Leases: locks of long work that machines share, which end a while after their holder does.

A lease is a sequence of records of which the latest counts: who holds it, or that it is free. Whoever takes, renews or
returns it creates the next record, which succeeds for one. A lease may be taken from a holder of which nothing new was
seen for `LEASE_SECONDS`, by the clock of the machine that waits: no machine's clock needs to agree with another's. A
holder that is halted for longer is told so by `check`, and calls it before each write that counts.
"""

import contextlib
import datetime as dt
import math
import os
import platform
import secrets
import threading
import time
from collections.abc import Iterator

import msgspec
from msgspec.structs import replace

from penumbra.storage.shared.object_sequence import ObjectSequence
from penumbra.storage.work_lock import WorkInProgress

LEASE_SECONDS = 60.0
RENEWALS = 3  # in the time after which a lease expires
POLL_SECONDS = 1.0


class LeaseLost(WorkInProgress):
    """The lease expired and somebody else has taken it; says who."""


class LeaseRecord(msgspec.Struct, frozen=True):
    """A record of a lease. Fields of later versions are passed over, and such as are missing have their defaults.

    Attributes:
        token: Tells holders apart.
        work: What the holder does, in a word.
        holder: Its process and machine.
        since: When it took the lease, in UTC, ISO 8601.
        expires: 0 once the lease is returned; otherwise when it ends by the holder's clock, in seconds since 1970.
    """

    token: str = ""
    work: str = "somebody"
    holder: str = "whose record can't be read"
    since: str = "an unknown time"
    expires: float = math.inf

    def encode(self) -> bytes:
        """Return the record as JSON."""
        return msgspec.json.encode(self)

    def describe(self, work: str = "") -> str:
        """Return a clause that says who holds the lease, for somebody who wants to do `work`."""
        return f"{'another ' * (work == self.work)}{self.work} is at work (since {self.since}, {self.holder})"


class Lease:
    """A lease that this process holds."""

    def __init__(
        self, sequence: ObjectSequence, number: int, record: LeaseRecord, seconds: float, has_waited: bool
    ) -> None:
        """`number` is that of `record` in the sequence; the lease lasts for `seconds` after each renewal."""
        self._sequence, self._number, self._record, self._seconds = sequence, number, record, seconds
        self._lock, self._lost_to = threading.Lock(), ""
        self.has_waited = has_waited

    def check(self) -> None:
        """Renew the lease, before a write that nobody but its holder may make: the store says whether it still is one.

        Raises:
            LeaseLost: The lease expired and somebody else has taken it.
            StoreError: The store refuses, or is away.
        """
        self._add(replace(self._record, expires=time.time() + self._seconds))

    def release(self) -> None:
        """Return the lease.

        Raises:
            LeaseLost: Somebody else has taken it.
            StoreError: The store refuses, or is away.
        """
        self._add(replace(self._record, expires=0.0))

    def _add(self, record: LeaseRecord) -> None:
        """Create the next record, and make sure that it is the latest: old ones, which were deleted, can be created."""
        with self._lock:
            while not self._lost_to:
                if _create_latest(self._sequence, self._number + 1, record):
                    self._number += 1
                    return self._sequence.delete_before(self._number)
                self._number, latest = _read_latest(self._sequence)
                if latest is None or latest.token != record.token:  # its own where an answer was lost
                    self._lost_to = latest.describe(record.work) if latest else "its records are gone"
        raise LeaseLost(f"the lease of this {record.work} expired, and now {self._lost_to}")


@contextlib.contextmanager
def hold_lease(
    url: str,
    name: str,
    work: str,
    wait: bool = True,
    seconds: float | None = None,
    patience: float | None = None,
) -> Iterator[Lease]:
    """Hold a lease for the block, renewed by a thread; while another holder is in the way, wait and print who it is.

    Args:
        url: Where leases are kept, as `SharedState.locate("leases")` has it.
        name: The lease's name.
        work: What this process does, in a word, such as "ingest".
        wait: Whether to wait for another holder to return it. One that was killed is waited for in any case: its lease
            isn't renewed, and expires.
        seconds: Time without a new record after which a lease is taken over; None for `LEASE_SECONDS`.
        patience: Seconds for which a store that is away is tried again; None for the usual time.

    Yields:
        The lease; `has_waited` tells whether it had to wait.

    Raises:
        WorkInProgress: Another holder is in the way and has renewed its lease, and `wait` is false.
        LeaseLost: At the end of the block: the lease expired meanwhile, and somebody else has taken it. An error of the
            block itself is raised in its place, with a note.
        StoreError: The store refuses, or is away.
    """
    seconds = seconds or LEASE_SECONDS
    lease = _take_lease(ObjectSequence(f"{url}/{name}", patience), work, wait, seconds)
    is_over = threading.Event()
    renewal = threading.Thread(target=_keep_renewing, args=(lease, is_over, seconds / RENEWALS), daemon=True)
    renewal.start()
    try:
        yield lease
    except BaseException as error:
        try:
            _end_lease(lease, is_over, renewal)
        except (LeaseLost, OSError) as also:
            error.add_note(str(also))
        raise
    _end_lease(lease, is_over, renewal)


def _end_lease(lease: Lease, is_over: threading.Event, renewal: threading.Thread) -> None:
    is_over.set()
    renewal.join()
    lease.release()


def _take_lease(sequence: ObjectSequence, work: str, wait: bool, seconds: float) -> Lease:
    holders: dict[str, int] = {}  # the number of each holder's record when it was seen first
    last, seen = 0, 0.0  # the latest record, and when it was seen first
    while True:
        number, record = _read_latest(sequence)
        if number != last:
            last, seen = number, time.monotonic()
        if record is None or not record.expires or time.monotonic() - seen > seconds:
            mine = _make_record(work, seconds)
            if _create_latest(sequence, number + 1, mine):
                return Lease(sequence, number + 1, mine, seconds, has_waited=bool(holders))
            continue
        if record.token not in holders:
            print(f"{record.describe(work)}: this one waits {'for it' if wait else 'to see whether it is'}", flush=True)
        if not wait and holders.setdefault(record.token, number) != number:
            raise WorkInProgress(record.describe(work))
        holders.setdefault(record.token, number)
        time.sleep(min(POLL_SECONDS, seconds / RENEWALS / 2))


def _make_record(work: str, seconds: float) -> LeaseRecord:
    holder = f"process {os.getpid()} on {platform.node()}"
    since = f"{dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M:%S} UTC"
    return LeaseRecord(secrets.token_hex(8), work, holder, since, time.time() + seconds)


def _create_latest(sequence: ObjectSequence, number: int, record: LeaseRecord) -> bool:
    return sequence.create(number, record.encode()) and sequence.list_numbers()[-1:] == [number]


def _keep_renewing(lease: Lease, is_over: threading.Event, pause: float) -> None:
    """Renew a lease until it is over or lost; a store that is away for long is tried again."""
    while not is_over.wait(pause):
        try:
            lease.check()
        except LeaseLost:
            return
        except OSError:
            continue


def _read_latest(sequence: ObjectSequence) -> tuple[int, LeaseRecord | None]:
    """The latest record with its number; 0 and None where there is none yet. Who wrote no record is somebody."""
    while numbers := sequence.list_numbers():
        try:
            return numbers[-1], msgspec.json.decode(sequence.read(numbers[-1]), type=LeaseRecord)
        except msgspec.MsgspecError:
            return numbers[-1], LeaseRecord()
        except FileNotFoundError:
            continue  # deleted meanwhile, as there is a later one
    return 0, None
