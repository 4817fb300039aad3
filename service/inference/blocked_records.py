"""Blocked records: those that ended workers, such as by a call of the model that never returned.

<state>/blocked-records.jsonl  one event a line: a crash of a worker, a record that somebody blocked or released, or
                               that was suspect and had its answer

A record that was alone in the call that a worker hung in, or that the worker's own fault ended, is blocked for the
version that scored it. Other records of a crash are suspects: each is scored alone until it has an answer, and is
blocked where the worker ends once more. That holds for a worker that was killed, too, as the reason isn't known then.
"""

import contextlib
import datetime as dt
import hashlib
import os
import signal
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from penumbra.logs.append_log import encode_json
from service.http import metrics
from service.inference.scoring_marks import WORKERS_FOLDER, ScoringCall, take_unfinished_calls

EVENTS_FILE = "blocked-records.jsonl"
HUNG, UNKNOWN = "hung", "ended"
FAULT_SIGNALS = (signal.SIGILL, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGSEGV)
FAULTS = frozenset([HUNG, *(number.name for number in FAULT_SIGNALS)])

RecordKey = tuple[str, str]  # version and digest
EventName = Literal["crash", "block", "release", "answer"]


class SuspectRecord(msgspec.Struct):
    """A record in the call of a model version; `record` is its JSON."""

    version: str
    digest: str
    record: msgspec.Raw


class RecordEvent(msgspec.Struct, omit_defaults=True):
    """One line of the file. `cause` says how the worker ended, or who blocked, released or answered the record."""

    time: dt.datetime
    event: EventName
    cause: str
    records: Sequence[SuspectRecord] = ()


class BlockedRecord(msgspec.Struct):
    """A record that is blocked, or only suspect, since when and why."""

    version: str
    digest: str
    since: dt.datetime
    cause: str
    record: msgspec.Raw
    is_suspect: bool = False


class RecordBlocked(Exception):
    """A record is blocked for a version of the model."""


class BlockedRecords:
    """The records that are blocked or suspect, as one worker knows them; `is_active` is false while there are none."""

    def __init__(self, state: Path) -> None:
        """Read the events in the state folder."""
        self.is_active = False
        self._path = state / EVENTS_FILE
        self._stamp: tuple[int, int] | None = None
        self._blocked: Mapping[RecordKey, BlockedRecord] = {}
        self._suspects: dict[RecordKey, BlockedRecord] = {}
        self.refresh()

    def refresh(self) -> None:
        """Read the events again where there are new ones, at the cost of one call of stat() where there are none."""
        stamp = _read_stamp(self._path)
        if stamp != self._stamp:
            events = read_events(self._path.parent)
            self._blocked, self._suspects = fold_events(events)
            self._stamp, self.is_active = stamp, bool(self._blocked or self._suspects)
            metrics.record_blocked(len(self._blocked), sum(event.event == "crash" for event in events))

    def is_doubtful(self, version: str, line: bytes) -> bool:
        """Check whether a record must be scored alone.

        Args:
            version: The version that is to score it.
            line: The record as JSON.

        Returns:
            True where it is blocked for this version, or suspect.
        """
        key = version, compute_digest(line)
        return key in self._blocked or key in self._suspects

    def require_allowed(self, version: str, lines: Iterable[bytes]) -> None:
        """Refuse to score blocked records.

        Args:
            version: The version that is to score them.
            lines: Each record as JSON.

        Raises:
            RecordBlocked: One of them is blocked for this version.
        """
        if self._blocked:
            for digest in map(compute_digest, lines):
                if found := self._blocked.get((version, digest)):
                    raise RecordBlocked(f"record {digest} is blocked for version {version}: {found.cause}")

    def clear_suspects(self, version: str, lines: Iterable[bytes]) -> None:
        """Trust the suspects among the records of a call that has returned, in all workers.

        Args:
            version: The version that scored them.
            lines: Each record as JSON.
        """
        if self._suspects:
            keys = [(version, compute_digest(line)) for line in lines]
            if found := [each for key in keys if (each := self._suspects.pop(key, None))]:
                records = [SuspectRecord(each.version, each.digest, each.record) for each in found]
                with contextlib.suppress(OSError):  # each is scored alone once more
                    append_event(self._path.parent, "answer", "answered", records)


def compute_digest(line: bytes) -> str:
    """Compute the digest that a record is known by.

    Args:
        line: The record as JSON, in the order of the contract.

    Returns:
        16 hexadecimal digits.
    """
    return hashlib.sha256(line).hexdigest()[:16]


def record_crashes(state: Path, causes: Mapping[int, str] | None = None) -> list[str]:
    """Record what workers that have ended were scoring, so that it isn't scored in that way again.

    Args:
        state: The service's state folder.
        causes: How they ended by process id, `HUNG` or the name of a signal; where it isn't known they may be missing.

    Returns:
        A sentence about each worker that ended within a call. It names records by their digests.

    Raises:
        OSError: The state folder can't be written.
    """
    with take_unfinished_calls(state / WORKERS_FOLDER) as found:
        ends = [record_crash(state, pid, (causes or {}).get(pid, UNKNOWN), calls) for pid, calls in found.items()]
    return list(filter(None, ends))


def record_crash(state: Path, pid: int, cause: str, calls: Iterable[ScoringCall]) -> str:
    """Record what one process that has ended was scoring.

    Args:
        state: The service's state folder.
        pid: Its process id.
        cause: How it ended, as in `record_crashes`.
        calls: Its unfinished calls.

    Returns:
        A sentence about it; "" where it ended between two calls, and nothing is recorded.

    Raises:
        OSError: The state folder can't be written.
    """
    if not (records := _list_suspects(calls)):
        return ""
    before, _ = fold_events(read_events(state))
    append_event(state, "crash", cause, records)
    after, _ = fold_events(read_events(state))
    return _describe_crash(pid, cause, records, [key for key in after if key not in before])


def append_event(state: Path, event: EventName, cause: str, records: Sequence[SuspectRecord]) -> None:
    """Append an event; durably, unless it says of suspects that they were answered.

    Args:
        state: The service's state folder.
        event: What happened.
        cause: How the worker ended, or who blocked, released or answered the record.
        records: The records that it is about.

    Raises:
        OSError: The file can't be written.
    """
    line = encode_json(RecordEvent(dt.datetime.now(dt.UTC), event, cause, records)) + b"\n"
    with (state / EVENTS_FILE).open("ab") as file:
        if file.tell() and _read_last_byte(state / EVENTS_FILE) != b"\n":  # a kill cut the last line off
            line = b"\n" + line
        file.write(line)
        file.flush()
        if event != "answer":
            os.fsync(file.fileno())


def read_events(state: Path) -> list[RecordEvent]:
    """Read all events.

    Args:
        state: The service's state folder.

    Returns:
        The events, the oldest first; lines that can't be read are left out.
    """
    try:
        lines = (state / EVENTS_FILE).read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    return [event for line in lines if line and (event := _decode_event(line))]


def fold_events(
    events: Iterable[RecordEvent],
) -> tuple[dict[RecordKey, BlockedRecord], dict[RecordKey, BlockedRecord]]:
    """Work out which records are blocked and which are suspect.

    Args:
        events: All events, the oldest first.

    Returns:
        The blocked records by version and digest, and the suspects.
    """
    blocked: dict[RecordKey, BlockedRecord] = {}
    suspects: dict[RecordKey, BlockedRecord] = {}
    for event in events:
        is_proof = event.event == "block" or (event.cause in FAULTS and len({r.digest for r in event.records}) == 1)
        for suspect in event.records:
            key = suspect.version, suspect.digest
            if event.event in ("release", "answer"):
                suspects.pop(key, None)
                if event.event == "release":
                    blocked.pop(key, None)
            elif is_proof or key in suspects:
                blocked.setdefault(key, BlockedRecord(*key, event.time, event.cause, suspect.record))
            else:
                suspects[key] = BlockedRecord(*key, event.time, event.cause, suspect.record, is_suspect=True)
    return blocked, {key: each for key, each in suspects.items() if key not in blocked}


def _list_suspects(calls: Iterable[ScoringCall]) -> list[SuspectRecord]:
    """List the whole records of the calls, each once for a version; one that was cut off is no JSON."""
    found = {(call.version, line): None for call in calls for line in call.lines if _is_json(line)}
    return [SuspectRecord(version, compute_digest(line), msgspec.Raw(line)) for version, line in found]


def _describe_crash(pid: int, cause: str, records: Sequence[SuspectRecord], blocked: Sequence[RecordKey]) -> str:
    versions, digests = sorted({each.version for each in records}), sorted({each.digest for each in records})
    named = ", ".join(digests[:3]) + (", …" if len(digests) > 3 else "")
    call = f"worker {pid} ({cause}) was scoring {len(digests)} record(s) by version {', '.join(versions)}: {named}"
    return f"{call}; {'blocked' if blocked else 'suspect'}, see `penumbra blocked`"


def _decode_event(line: bytes) -> RecordEvent | None:
    try:
        return msgspec.json.decode(line, type=RecordEvent)
    except msgspec.MsgspecError:
        return None


def _is_json(line: bytes) -> bool:
    try:
        msgspec.json.decode(line)
    except msgspec.DecodeError:
        return False
    return True


def _read_last_byte(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1)


def _read_stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size
