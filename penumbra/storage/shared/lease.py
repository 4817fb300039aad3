"""Leases: locks of long work that machines share, which end a while after their holder does.

A lease is a sequence of records of which the latest counts: who holds it and until when, or that it is free. Whoever
takes, renews or returns it creates the next record, which succeeds for one. The machines' clocks must agree within
`LEASE_SECONDS` / 3, or a lease may be taken from a holder who is at work; that one is told at its next renewal.
"""

import contextlib
import datetime as dt
import json
import os
import platform
import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace

from penumbra.storage.shared.object_sequence import ObjectSequence
from penumbra.storage.work_lock import WorkInProgress

LEASE_SECONDS = 60.0
RENEWALS = 3  # in the time after which a lease expires
POLL_SECONDS = 1.0


class LeaseLost(WorkInProgress):
    """The lease expired and somebody else has taken it; says who."""


@dataclass(frozen=True)
class LeaseRecord:
    """A record of a lease.

    Attributes:
        token: Tells holders apart.
        work: What the holder does, in a word.
        holder: Its process and machine.
        since: When it took the lease, in UTC, ISO 8601.
        expires: When the lease ends, in seconds since 1970; 0 once it is returned.
    """

    token: str
    work: str
    holder: str
    since: str
    expires: float

    @property
    def is_held(self) -> bool:
        """Whether the lease hasn't ended."""
        return self.expires > time.time()

    def encode(self) -> bytes:
        """Return the record as JSON."""
        return json.dumps(asdict(self)).encode()

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
        self._lost_to = ""
        self.has_waited = has_waited

    def check(self) -> None:
        """Check that the lease was not taken by somebody else, as far as the last renewal knows.

        Raises:
            LeaseLost: It was.
        """
        if self._lost_to:
            raise LeaseLost(f"the lease of this {self._record.work} expired, and now {self._lost_to}")

    def renew(self) -> None:
        """Renew the lease; where somebody else has taken it, `check` says so from now on.

        Raises:
            StoreError: The store refuses, or is away.
        """
        self._add(replace(self._record, expires=time.time() + self._seconds))

    def release(self) -> None:
        """Return the lease.

        Raises:
            LeaseLost: Somebody else has taken it.
            StoreError: The store refuses, or is away.
        """
        self.check()
        self._add(replace(self._record, expires=0.0))
        self.check()

    def _add(self, record: LeaseRecord) -> None:
        """Create the next record, and make sure that it is the latest: old ones, which were deleted, can be created."""
        is_created = self._sequence.create(self._number + 1, record.encode())
        latest = max(self._sequence.list_numbers())
        if is_created and latest == self._number + 1:
            self._number = latest
            self._sequence.delete_before(latest)
        else:
            self._lost_to = _read_record(self._sequence, latest).describe(record.work)


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
        seconds: Time without renewal after which others may take it; None for `LEASE_SECONDS`.
        patience: Seconds for which a store that is away is tried again; None for the usual time.

    Yields:
        The lease; `has_waited` tells whether it had to wait.

    Raises:
        WorkInProgress: Another holder is in the way and has renewed its lease, and `wait` is false.
        LeaseLost: At the end of the block: the lease expired meanwhile, and somebody else has taken it.
        StoreError: The store refuses, or is away.
    """
    seconds = seconds or LEASE_SECONDS
    lease = _take_lease(ObjectSequence(f"{url}/{name}", patience), work, wait, seconds)
    is_over = threading.Event()
    renewal = threading.Thread(target=_keep_renewing, args=(lease, is_over, seconds / RENEWALS), daemon=True)
    renewal.start()
    try:
        yield lease
    finally:
        is_over.set()
        renewal.join()
        lease.release()


def _take_lease(sequence: ObjectSequence, work: str, wait: bool, seconds: float) -> Lease:
    seen: dict[str, int] = {}  # the number of each holder's record when it was seen first
    while True:
        number, record = _read_latest(sequence)
        if record is None or not record.is_held:
            mine = _make_record(work, seconds)
            if sequence.create(number + 1, mine.encode()) and max(sequence.list_numbers()) == number + 1:
                return Lease(sequence, number + 1, mine, seconds, has_waited=bool(seen))
            continue
        if record.token not in seen:
            print(f"{record.describe(work)}: this one waits {'for it' if wait else 'to see whether it is'}", flush=True)
        if not wait and seen.setdefault(record.token, number) != number:
            raise WorkInProgress(record.describe(work))
        seen.setdefault(record.token, number)
        time.sleep(min(POLL_SECONDS, seconds / RENEWALS / 2))


def _make_record(work: str, seconds: float) -> LeaseRecord:
    holder = f"process {os.getpid()} on {platform.node()}"
    since = f"{dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M:%S} UTC"
    return LeaseRecord(secrets.token_hex(8), work, holder, since, time.time() + seconds)


def _keep_renewing(lease: Lease, is_over: threading.Event, pause: float) -> None:
    """Renew a lease until it is over or lost; a store that is away for long is tried again."""
    while not is_over.wait(pause):
        with contextlib.suppress(OSError):
            lease.renew()
        with contextlib.suppress(OSError):
            try:
                lease.check()
            except LeaseLost:
                return


def _read_latest(sequence: ObjectSequence) -> tuple[int, LeaseRecord | None]:
    """The latest record with its number; 0 and None where there is none yet."""
    while numbers := sequence.list_numbers():
        with contextlib.suppress(FileNotFoundError):  # deleted meanwhile, as there is a later one
            return numbers[-1], _read_record(sequence, numbers[-1])
    return 0, None


def _read_record(sequence: ObjectSequence, number: int) -> LeaseRecord:
    return LeaseRecord(**json.loads(sequence.read(number)))
