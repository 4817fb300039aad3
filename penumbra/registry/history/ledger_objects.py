"""The objects of a shared ledger, behind a URL.

Their names are the numbers of their first entries; `head.json` beside them has the end as it was sealed, and the name
of the project, so that two that were given the same state by mistake don't steer each other. A process that is killed
between an object and the head leaves an entry that the head doesn't count; it is one, and the next use seals it.

A machine without a copy would read every entry, so one that has had to leaves all of them in one object, `upto/<last>`,
for the next ones. It is as good as the chain in it: one that is damaged is passed over.
"""

import logging

import msgspec

from penumbra.core.text.masking import mask_address
from penumbra.logs.append_log import encode_json
from penumbra.registry.history.ledger import LEDGER_HEAD_FILE
from penumbra.registry.history.ledger_entries import BrokenLedger, decode_chained_line, decode_head
from penumbra.registry.history.ledger_head import EMPTY_HEAD, LedgerHead, advance_head, split_lines

logger = logging.getLogger("penumbra.registry.history.shared_ledger")

ENTRIES_BEFORE_SNAPSHOT = 50  # that a machine reads one by one before it leaves them in one object


class SharedHead(LedgerHead, frozen=True):
    """The head of a shared ledger, with the name of the project that it belongs to; "" for any."""

    project: str = ""


class LedgerObjects:
    """The objects of a ledger; no request is made before the first method is called."""

    def __init__(self, url: str, patience: float | None, project: str) -> None:
        """Open the ledger of the project at a URL; `patience` as for `ObjectSequence`.

        Raises:
            StoreError: The package for such URLs isn't installed, or nothing is known about them.
        """
        from penumbra.storage.shared.object_sequence import ObjectSequence

        self.address, self._project = mask_address(url), project
        self._entries, self._snapshots = (ObjectSequence(each, patience) for each in (url, f"{url}/upto"))
        self.store = self._entries.store

    def read_head(self) -> LedgerHead | None:
        """Read the ledger's end as it was sealed.

        Returns:
            The end; None where there is no ledger.

        Raises:
            BrokenLedger: The head is damaged, or missing beside entries, or that of another project.
            StoreError: The store refuses, or is away.
        """
        if head := self._find_head():
            return head
        if not self._entries.list_numbers():
            return None
        if head := self._find_head():  # somebody else has begun the ledger meanwhile, with the head first
            return head
        raise BrokenLedger(
            f"{self.address}/{LEDGER_HEAD_FILE} is missing beside the ledger's entries: "
            "`penumbra history --share` on the machine whose ledger it was writes it, if that was cut short"
        )

    def begin_ledger(self, head: LedgerHead = EMPTY_HEAD) -> LedgerHead:
        """Write the head of a new ledger.

        Args:
            head: Its end.

        Returns:
            The end; that of the ledger that somebody else has begun meanwhile, where that is so.

        Raises:
            BrokenLedger: That one is another project's.
            StoreError: The store refuses, or is away.
        """
        is_new = self.store.create(LEDGER_HEAD_FILE, self._encode_head(head))
        return head if is_new else self._find_head() or head

    def seal_ledger(self, end: LedgerHead) -> None:
        """Write the ledger's `end`; where the store refuses that is logged, as the entries count without it, too."""
        try:
            self.store.write(LEDGER_HEAD_FILE, self._encode_head(end))
        except OSError as error:
            logger.warning("entry %d is in the ledger, and the next use seals it: %s", end.entries, error)

    def create_next(self, head: LedgerHead, lines: bytes) -> bool:
        """Create the object with the `lines` after `head`; returns False where somebody else has created it."""
        return self._entries.create(head.entries + 1, lines)

    def follow_next(self, head: LedgerHead) -> LedgerHead:
        """Read the object after `head`, check its lines, and return the ledger's end after them."""
        return self._follow(head, self._entries.read(head.entries + 1))

    def read_between(self, begin: LedgerHead, end: LedgerHead) -> bytes:
        """Read the lines of the objects between two heads, as far as there are any.

        Args:
            begin: The earlier head.
            end: The later one.

        Returns:
            The lines.

        Raises:
            StoreError: The store refuses, or is away.
        """
        found = self._entries.read_present(range(begin.entries + 1, end.entries + 1))
        return b"".join(content for _, content in sorted(found.items()))

    def fetch_lines(self, head: LedgerHead, sealed: LedgerHead, is_anew: bool = False) -> tuple[bytes, LedgerHead]:
        """Fetch the lines after a head, those that aren't sealed included, and check their chain.

        Args:
            head: The end of what is known.
            sealed: The ledger's end as it was sealed.
            is_anew: Whether every entry is to be read, and not what another machine has left of all in one object.

        Returns:
            The lines, and the head after them.

        Raises:
            BrokenLedger: The chain is broken.
            StoreError: The store refuses, or is away.
        """
        if head.entries or is_anew or sealed.entries <= ENTRIES_BEFORE_SNAPSHOT:
            return self._fetch_each(head, sealed)
        kept, known = self._read_snapshot()
        later, end = self._fetch_each(known, sealed)
        if end.entries - known.entries > ENTRIES_BEFORE_SNAPSHOT:
            self._snapshots.create(end.entries, kept + later)
            self._snapshots.delete_before(end.entries)
        return kept + later, end

    def require_entries(self, end: LedgerHead, sealed: int) -> None:
        """Check that the store has all entries.

        Args:
            end: The end of those that it has.
            sealed: How many there are.

        Raises:
            BrokenLedger: It lacks one; says which.
        """
        if end.entries < sealed:
            raise BrokenLedger(
                f"{self.address} lacks entry {end.entries + 1}: {LEDGER_HEAD_FILE} was sealed with {sealed}"
            )

    def _find_head(self) -> LedgerHead | None:
        try:
            content = self.store.read(LEDGER_HEAD_FILE)
        except FileNotFoundError:
            return None
        head = decode_head(content, f"{self.address}/{LEDGER_HEAD_FILE}")
        owner = msgspec.json.decode(content, type=SharedHead).project
        if owner and self._project and owner != self._project:
            raise BrokenLedger(
                f"{self.address} is the ledger of the project {owner!r}, and this one is {self._project!r} "
                "(registry.model): each has to have a [cluster] state of its own"
            )
        return head

    def _encode_head(self, head: LedgerHead) -> bytes:
        return encode_json(SharedHead(head.entries, head.bytes, head.sha256, self._project))

    def _read_snapshot(self) -> tuple[bytes, LedgerHead]:
        """What another machine has left of all entries in one object, and the head after that."""
        kept = b"".join(self._snapshots.read_present(self._snapshots.list_numbers()[-1:]).values())
        try:
            return kept, self._follow(EMPTY_HEAD, kept)
        except BrokenLedger:
            return b"", EMPTY_HEAD

    def _fetch_each(self, head: LedgerHead, sealed: LedgerHead) -> tuple[bytes, LedgerHead]:
        lines = b""
        found = self._entries.read_present(range(head.entries + 1, max(sealed.entries, head.entries) + 2))
        while content := found.get(number := head.entries + 1):
            lines, head = lines + content, self._follow(head, content)
            if number > sealed.entries:
                found = self._entries.read_present([head.entries + 1])
        return lines, head

    def _follow(self, head: LedgerHead, content: bytes) -> LedgerHead:
        """The head after the lines of an object."""
        for line in split_lines(content):
            decode_chained_line(line, head, self.address)
            head = advance_head(head, line)
        return head
