"""Claims: which worker answers a request with an idempotency key, and where in the prediction log its answer will be.

<state>/claims/<n>  one line a claim; a file holds those of one period, n periods after 1970

A claim is appended right before the entries of the answer, whose place in the log is known by then. So the log itself
says what became of a claim: its entries are there; or they aren't yet, and the segment's writer still holds its lock;
or they never will be, as that writer has ended. The first claim of the file that isn't of the last kind is the one
that counts, whichever worker reads it. Nobody waits for a lock.
"""

import contextlib
import itertools
import secrets
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from penumbra.logs import append_log
from penumbra.logs.archiving import archive_parts
from penumbra.storage.locks import is_file_locked
from service.inference.idempotency.claim_file import ClaimFile

RELEASED = b"-"  # stands for the digest of the body in the line that takes a claim back
MAX_STEPS = 16  # of reading what others claimed, before a request is answered
SECONDS_PER_MINUTE = 60.0


class KeyedRequest(NamedTuple):
    """A request with an idempotency key: the digest of its key and sender, and that of what it asks."""

    key: str
    body: str


class Claim(NamedTuple):
    """One line of the journal.

    Attributes:
        request: The request.
        place: The id of the first entry in the prediction log.
        start: How many records of the request were answered under earlier claims, whose writers ended within the write.
        nonce: What tells this claim from others to the same place.
    """

    request: KeyedRequest
    place: str
    start: int
    nonce: str


class ClaimedAnswers(NamedTuple):
    """What the log has of a request: its entries in the records' order; more may come where `is_pending`."""

    entries: list[dict[str, Any]]
    is_pending: bool


class ClaimJournal:
    """The claims of all workers of one machine, as one of them knows them. On the event loop only.

    Claims are kept for one to two periods.
    """

    def __init__(self, state: Path, minutes: float = 60) -> None:
        """Keep claims below the `state` folder for at least so many `minutes`."""
        self._folder = state / "claims"
        self._seconds = minutes * SECONDS_PER_MINUTE
        self._periods: dict[int, ClaimFile] = {}

    def catch_up(self) -> bool:
        """Read a step of what was claimed since the last call, and forget what is too old.

        Returns:
            Whether that was all; otherwise there is more to read.

        Raises:
            OSError: The claims can't be read.
        """
        number = self._count_periods()
        if number not in self._periods:
            known, self._periods = self._periods, {}
            for each in (number - 1, number):
                self._periods[each] = known.pop(each) if each in known else ClaimFile(self._folder / str(each))
            for old in known.values():
                old.close()
            self._delete_old(number - 1)
            if not self._periods[number - 1].open():
                del self._periods[number - 1]  # whoever begins it now is overtaken by its end
        return all(period.read_on() for period in self._periods.values())

    def find(self, request: KeyedRequest) -> list[Claim]:
        """Find the claims with a request's key, those that were taken back left out.

        Args:
            request: The request; its body isn't compared.

        Returns:
            The claims in the order of their journal.

        Raises:
            OSError: The claims can't be read, or so many are left to read that it takes a while.
        """
        self._read_all()
        key = request.key.encode()
        claims = [_parse_claim(line) for period in self._periods.values() for line in period.find_lines(key)]
        released = {claim.nonce for claim in claims if claim.request.body == RELEASED.decode()}
        return [claim for claim in claims if claim.nonce not in released]

    def claim(self, request: KeyedRequest, place: str, start: int, known: Sequence[Claim]) -> bool:
        """Claim a request, unless another worker was quicker; the entries have to be written at once.

        Args:
            request: The request.
            place: The id that its first entry will have.
            start: How many of its records are answered already.
            known: The claims that `find` returned before, of which nothing more will come.

        Returns:
            False where there is another claim by now, or the period has ended: look again then.

        Raises:
            OSError: Claims can't be written.
        """
        number, nonce = self._count_periods(), secrets.token_hex(4).encode()
        self._read_all()
        period, key = self._periods[number], request.key.encode()
        period.append(b"%b %b %b %x %b\n" % (key, request.body.encode(), place.encode(), start, nonce))
        new = [claim.nonce for claim in self.find(request) if claim not in known]
        # who begins the next period reads this one after its end, so what is written before that is seen
        if new[:1] == [nonce.decode()] and self._count_periods() == number:
            return True
        period.append(b"%b %b %b 0 %b\n" % (key, RELEASED, RELEASED, nonce))
        return False

    def close(self) -> None:
        """Close the files."""
        for period in self._periods.values():
            period.close()
        self._periods = {}

    def _read_all(self) -> None:
        if not any(self.catch_up() for _ in range(MAX_STEPS)):
            raise OSError("the claims of earlier requests are still being read")

    def _delete_old(self, first: int) -> None:
        """Delete the files of periods before the `first` one that counts."""
        with contextlib.suppress(OSError):
            for path in self._folder.iterdir():
                if path.name.isdigit() and int(path.name) < first:
                    path.unlink(missing_ok=True)

    def _count_periods(self) -> int:
        return int(time.time() // self._seconds)


def read_claimed_answers(
    folder: Path, claims: Sequence[Claim], n_records: int, can_return: bool = False
) -> ClaimedAnswers:
    """Read what is in the prediction log of a request that was claimed.

    Args:
        folder: The log's folder.
        claims: The claims with its key, of one body.
        n_records: The number of its records.
        can_return: Whether a writer may be about to write a segment anew that was deleted while it was open.

    Returns:
        The entries that are there, and whether a writer may be at the rest.

    Raises:
        DamagedArchive: The segment is in a damaged archive only.
    """
    entries: list[dict[str, Any]] = []
    for claim in claims:
        if claim.start == len(entries) < n_records:
            found, is_pending = _read_claimed_entries(folder, claim, n_records - len(entries), can_return)
            entries += found
            if is_pending:
                return ClaimedAnswers(entries, True)
    return ClaimedAnswers(entries, False)


def name_record(request: KeyedRequest, position: int) -> str:
    """Return what an entry of the log says of the request that it answers, and of the record's `position` in it."""
    return f"{request.key}/{position}"


def _read_claimed_entries(
    folder: Path, claim: Claim, n_records: int, can_return: bool
) -> tuple[list[dict[str, Any]], bool]:
    segment, _, position = claim.place.partition("-")
    path = folder / (segment + append_log.SEGMENT_SUFFIX)
    try:
        can_grow = is_file_locked(path)  # before it is read: where it can't grow, what is read is all
        with path.open("rb") as file:
            file.seek(int(position, 16))
            lines = list(itertools.islice(file, n_records))
    except FileNotFoundError:
        deleted = dict(archive_parts.read_deleted_segments(folder, lambda name: name != segment))
        if can_return and segment not in deleted:
            return [], True
        can_grow, lines = False, deleted.get(segment, b"")[int(position, 16) :].splitlines(keepends=True)[:n_records]
    entries: list[dict[str, Any]] = []
    for line in lines:
        if not line.endswith(b"\n"):
            break
        entry = append_log.decode_entry(line) if append_log.is_line_whole(line) else {}
        if entry.get("request") != name_record(claim.request, claim.start + len(entries)):
            return entries, False  # another entry is at its place
        entries.append(entry)
    return entries, can_grow and len(entries) < n_records


def _parse_claim(line: bytes) -> Claim:
    key, body, place, start, nonce = line.decode().split(" ")
    return Claim(KeyedRequest(key, body), place, int(start, 16), nonce)
