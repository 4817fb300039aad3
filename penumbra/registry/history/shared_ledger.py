"""The ledger that machines share: each entry, or two that are written at once, is an object that one writer creates.

The lines are those of the ledger in a folder, chained in the same way, and this machine's folder is a copy that is
brought up to date by each reading; `ledger_objects` has what lies in the store.

An append takes three requests, one after the other: the head, the object, the head again. Before the object is created,
a machine that has a copy reads what is new, so that it appends to no other ledger than the one it knows. Where others
were faster, it reads what they wrote and tries the next number; an event that follows from the entries that were seen
is decided anew.

However long a process is halted, it creates no object twice and replaces none. It may write a head that others have
taken further: whoever reads the entries after it writes the right one.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from penumbra.core.settings import Settings, SettingsError
from penumbra.core.text.counts import format_count
from penumbra.core.text.masking import mask_address
from penumbra.registry.history.ledger import ANNOUNCED_NOTE, LEDGER_FILE, LEDGER_HEAD_FILE, Ledger
from penumbra.registry.history.ledger_entries import BrokenLedger, LedgerEntry, LedgerEvent, chain_event, require_seen
from penumbra.registry.history.ledger_head import EMPTY_HEAD, LedgerHead, advance_head, split_lines
from penumbra.registry.history.ledger_objects import LedgerObjects
from penumbra.storage.shared.state import SharedState

BRIEF_PATIENCE_SECONDS = 5.0  # of what mustn't wait for a store: rollbacks, the deployer, pages


@dataclass(frozen=True)
class SharedLedger(Ledger):
    """The ledger behind a URL, with a copy in a folder.

    Attributes:
        state: What machines share.
        patience: Seconds for which a store that is away is tried again.
        project: The project's name, `registry.model`; a ledger of another one is refused. "" for any.
    """

    state: SharedState
    patience: float | None = None
    project: str = ""

    def append(
        self,
        event: LedgerEvent,
        then: Callable[[LedgerEntry], LedgerEvent] | None = None,
        seen: Sequence[LedgerEntry] | None = None,
    ) -> LedgerEntry:
        """Append an entry, as `Ledger.append` does; it is in the store when this returns.

        Args:
            event: What happened.
            then: Makes a second event from the first one's entry; both are one object.
            seen: All entries, if the event follows from them; None if it stands whatever was entered before.

        Returns:
            The first event with its number, time and link to the entry before.

        Raises:
            LedgerMoved: There are more entries than those that were seen.
            BrokenLedger: The ledger or its head is missing or damaged, or another than the copy here.
            StoreError: The store refuses, or is away.
        """
        head = self._fetch_head() or self._objects.begin_ledger()
        if (self.folder / LEDGER_FILE).exists() and self._head() != head:
            head = self._update_copy(head)
        require_seen(head, seen)
        entry, lines, after = chain_event(event, then, head)
        while not self._objects.create_next(head, lines):
            head = self._objects.follow_next(head)
            require_seen(head, seen)
            entry, lines, after = chain_event(event, then, head)
        self._objects.seal_ledger(after)
        return entry

    def read_after(self, begin: LedgerHead) -> tuple[list[LedgerEntry], LedgerHead]:
        """Bring this machine's copy up to date, and read the entries that are new, as `Ledger.read_after` does.

        Args:
            begin: The ledger's end as the call before returned it; `EMPTY_HEAD` for every entry.

        Returns:
            The entries after that, oldest first, and the ledger's end; none if there is no ledger yet.

        Raises:
            BrokenLedger: The chain is broken, or the copy is of another ledger.
            OSError: The copy can't be read or written.
            StoreError: The store refuses, or is away.
        """
        sealed = self._fetch_head()
        if sealed is None:
            return [], EMPTY_HEAD
        end = self._update_copy(sealed)
        if end.entries > sealed.entries:
            self._objects.seal_ledger(end)
        return self._read_chain(begin, sealed)

    def verify_entries(self) -> int:
        """Fetch every entry anew, and check it and that this machine's copy has the same.

        Returns:
            The number of entries.

        Raises:
            BrokenLedger: The chain is broken in the store or here, or the two differ; the message names the line.
            OSError: The copy can't be read or written.
            StoreError: The store refuses, or is away.
        """
        count = len(self.entries())
        if not count:
            return 0
        lines, end = self._objects.fetch_lines(EMPTY_HEAD, self._head(), is_anew=True)
        self._objects.require_entries(end, count)
        copied = split_lines(self._read_bytes(EMPTY_HEAD))
        for number, (here, there) in enumerate(zip(copied, split_lines(lines), strict=False), 1):
            if here != there:
                address = self._objects.address
                raise BrokenLedger(f"{address}, line {number}: not what {self.folder} has, which was read before")
        return count

    def share(self) -> int:
        """Take the ledger in the folder to the state, where there is none yet; what was cut short is completed.

        Returns:
            The number of its entries; where it is 0, nothing was taken.

        Raises:
            BrokenLedger: There is one already, or the one in the folder is damaged.
            OSError: The folder can't be read.
            StoreError: The store refuses, or is away.
        """
        if not (entries := super().read_after(EMPTY_HEAD)[0]):
            return 0
        lines = (self.folder / LEDGER_FILE).read_bytes()
        head = functools.reduce(advance_head, split_lines(lines), EMPTY_HEAD)
        if not self._objects.create_next(EMPTY_HEAD, lines) and self._objects.read_between(EMPTY_HEAD, head) != lines:
            raise BrokenLedger(f"{self._objects.address} has a ledger already")
        if told := super().read_note(ANNOUNCED_NOTE):
            self._objects.store.create(ANNOUNCED_NOTE, told)
        self._objects.begin_ledger(head)
        return len(entries)

    @contextlib.contextmanager
    def hold_lock(self, name: str) -> Iterator[Callable[[], None]]:
        """Hold one of the ledger's locks, as a lease; wait as long as others hold it, and print who they are.

        Args:
            name: The lock's name, such as "aliases".

        Yields:
            A check to be called before something is written: it raises LeaseLost where the lease was lost meanwhile.

        Raises:
            LeaseLost: The lease was lost.
            StoreError: The store refuses, or is away.
        """
        from penumbra.storage.shared.lease import hold_lease

        url, work = self.state.locate("leases"), f"change of {name}"
        with hold_lease(url, name, work, patience=self.patience) as lease:
            yield lease.check

    def read_note(self, name: str) -> bytes:
        """Read the note `name` that is kept in the store; returns its content, b"" where there is none."""
        try:
            return bytes(self._objects.store.read(name))
        except FileNotFoundError:
            return b""

    def write_note(self, name: str, content: bytes) -> None:
        """Write the note `name` with this `content` in the store, as a whole; the caller holds a lock."""
        self._objects.store.write(name, content)

    @functools.cached_property
    def _objects(self) -> LedgerObjects:
        return LedgerObjects(self.state.locate("ledger"), self.patience, self.project)

    def _fetch_head(self) -> LedgerHead | None:
        """The ledger's end as it was sealed; None where there is no ledger."""
        if head := self._objects.read_head():
            return head
        if entries := super().read_after(EMPTY_HEAD)[0]:
            raise BrokenLedger(
                f"{self._objects.address} has no ledger, and {self.folder} has one of "
                f"{format_count(len(entries), 'entry', 'entries')}: "
                "`penumbra history --share` takes it there"
            )
        return None

    def _update_copy(self, sealed: LedgerHead) -> LedgerHead:
        """Bring this machine's copy up to date, after a check that it is one; returns the ledger's end."""
        try:
            with self._open_to_append() as (file, copied):
                self._check_copy(file, copied, sealed)
                lines, head = self._objects.fetch_lines(copied, sealed)
                if lines and head.entries >= sealed.entries:
                    self._write_lines(file, lines, head)
        except BrokenLedger as error:
            if not (self.folder / LEDGER_FILE).stat().st_size:
                raise
            raise BrokenLedger(
                f"{error}; {self.folder} is this machine's copy of {self._objects.address}: if that one is whole, move "
                f"{LEDGER_FILE} and {LEDGER_HEAD_FILE} away, and they are fetched anew; keep them if this machine has "
                "entered something on its own, as nothing else has that"
            ) from None
        self._objects.require_entries(head, sealed.entries)
        return head

    def _check_copy(self, file: BinaryIO, copied: LedgerHead, sealed: LedgerHead) -> None:
        """Check that the copy has the ledger's end, and that what this machine has read beyond it is still there."""
        address = self._objects.address
        if copied.entries == sealed.entries and copied != sealed:
            raise BrokenLedger(f"{self.folder}, line {copied.entries}: not what {address} was sealed with")
        if copied.entries > sealed.entries:
            found = self._objects.read_between(sealed, copied)
            file.seek(sealed.bytes)
            if found != file.read():
                raise BrokenLedger(
                    f"{address} is not what was read before: it had {format_count(copied.entries, 'entry', 'entries')}"
                )


def open_ledger(settings: Settings, patience: float | None = None) -> Ledger:
    """Open the ledger, which machines share where the settings say so.

    Args:
        settings: Sections [ledger] and [cluster], and `registry.model` are read.
        patience: Seconds for which a shared ledger's store that is away is tried again; None for the usual time.

    Returns:
        The ledger.
    """
    state = SharedState.from_settings(settings)
    if state is None:
        return Ledger(settings.ledger.folder)
    return SharedLedger(settings.ledger.folder, state, patience, settings.registry.model)


def share_ledger(settings: Settings) -> str:
    """Take this machine's ledger to the state that machines share, where there is none yet.

    Args:
        settings: Sections [ledger] and [cluster], and `registry.model` are read.

    Returns:
        What was done, in a sentence.

    Raises:
        SettingsError: No state is shared.
        BrokenLedger: There is a ledger already, or this machine's is damaged.
        StoreError: The store refuses, or is away.
    """
    state = SharedState.from_settings(settings)
    if state is None:
        raise SettingsError(
            'cluster.state = "" says that this machine is the only one: set it to where state is shared'
        )
    count = SharedLedger(settings.ledger.folder, state, project=settings.registry.model).share()
    address = mask_address(state.locate("ledger"))
    return (
        f"entries 1 to {count} are at {address}"
        if count
        else f"{settings.ledger.folder} has no ledger: nothing to share"
    )
