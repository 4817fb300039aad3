"""The ledger: every verdict, approval, promotion, rollback and retraining, with its evidence.

Append-only, one line of JSON for each entry. Each line carries the SHA-256 of the line before, so that an edit or a
removal shows; a head file beside it holds the number of entries, their bytes and the last line's hash, so that a
removal at the end shows too. That guards against accidents and quiet corrections, not against somebody who rewrites
everything, the head included.

A process that is killed while it appends leaves a line that the head doesn't count. A whole line is an entry; a torn
one is cut off by the next append.

Where machines share their state, `shared_ledger` keeps the same lines as objects.
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from penumbra.logs.append_log import encode_json
from penumbra.registry.history.ledger_entries import (
    BrokenLedger,
    LedgerEntry,
    LedgerEvent,
    LedgerMoved,
    chain_event,
    decode_chained_line,
    decode_head,
    require_seen,
)
from penumbra.registry.history.ledger_head import EMPTY_HEAD, LedgerHead, advance_head, split_lines
from penumbra.storage.atomic import replace_file
from penumbra.storage.locks import hold_file_lock

LEDGER_FILE, LEDGER_HEAD_FILE, LEDGER_LOCK_FILE = "ledger.jsonl", "head.json", "lock"
ANNOUNCED_NOTE = "announced"  # beside the ledger: the number of the last entry of which the webhook was told
Result = TypeVar("Result")


@dataclass(frozen=True)
class Ledger:
    """The ledger in a folder, which is created by the first append."""

    folder: Path

    def append(
        self,
        event: LedgerEvent,
        then: Callable[[LedgerEntry], LedgerEvent] | None = None,
        seen: Sequence[LedgerEntry] | None = None,
    ) -> LedgerEntry:
        """Append an entry; it is on disk when this returns, also if other processes append at the same time.

        Args:
            event: What happened.
            then: Makes a second event from the first one's entry. Both are written at once, so that a process that is
                killed leaves both or none.
            seen: All entries, as `entries` returned them, if the event follows from them; None if it stands whatever
                was entered before.

        Returns:
            The first event with its number, time and link to the entry before.

        Raises:
            LedgerMoved: There are more entries than those that were seen.
            BrokenLedger: The ledger or its head is missing or damaged.
            OSError: The disk refuses.
        """
        with self._open_to_append() as (file, head):
            require_seen(head, seen)
            entry, lines, head = chain_event(event, then, head)
            self._write_lines(file, lines, head)
        return entry

    def append_once(self, event: LedgerEvent, is_same: Callable[[LedgerEntry], bool]) -> LedgerEntry | None:
        """Append an entry, unless there is one like it, also if other processes append the same at the same time.

        Args:
            event: What happened.
            is_same: Tells whether an entry is about the same.

        Returns:
            The entry; None where there was one.

        Raises:
            BrokenLedger: The ledger or its head is missing or damaged.
            OSError: The disk refuses.
        """
        return self.decide_on_entries(
            lambda entries: None if any(map(is_same, entries)) else self.append(event, seen=entries)
        )

    def decide_on_entries(
        self, decide: Callable[[list[LedgerEntry]], Result], check_lock: Callable[[], None] = lambda: None
    ) -> Result:
        """Let a function append what follows from the entries, and do so again where others have appended meanwhile.

        Args:
            decide: Is called with all entries, and appends with these as `seen`.
            check_lock: Raises an error where the lock under which it decides was lost, as `hold_lock` yields it; called
                before it decides again.

        Returns:
            What the function returns.

        Raises:
            BrokenLedger: The ledger is damaged. Whatever the function or the check raises is raised too.
        """
        while True:
            try:
                return decide(self.entries())
            except LedgerMoved:
                check_lock()

    def entries(self) -> list[LedgerEntry]:
        """Read every entry.

        Returns:
            The entries, oldest first; none if there is no ledger yet.

        Raises:
            BrokenLedger: The chain is broken; the message names the line.
            OSError: The ledger can't be read.
        """
        return self.read_after(EMPTY_HEAD)[0]

    def read_after(self, begin: LedgerHead) -> tuple[list[LedgerEntry], LedgerHead]:
        """Read the entries that are new.

        Args:
            begin: The ledger's end as the call before returned it; `EMPTY_HEAD` for every entry.

        Returns:
            The entries after that, oldest first, and the ledger's end.

        Raises:
            BrokenLedger: The chain is broken from there on; the message names the line.
            OSError: The ledger can't be read.
        """
        return self._read_chain(begin, self._head())

    def verify_entries(self) -> int:
        """Check every entry wherever the ledger is kept; returns their number. Raises BrokenLedger at a fault."""
        return len(self.entries())

    @contextlib.contextmanager
    def hold_lock(self, name: str) -> Iterator[Callable[[], None]]:
        """Hold one of the ledger's locks, as a context manager; wait as long as others hold it.

        Args:
            name: The lock's name, such as "aliases".

        Yields:
            A check to be called before something is written: it raises an error where the lock was lost meanwhile.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with hold_file_lock(self.folder / f"{name}.lock"):
            yield lambda: None

    def read_note(self, name: str) -> bytes:
        """Read the note `name` that is kept beside the ledger; returns its content, b"" where there is none."""
        path = self.folder / name
        return path.read_bytes() if path.exists() else b""

    def write_note(self, name: str, content: bytes) -> None:
        """Write the note `name` with this `content` beside the ledger, as a whole; the caller holds a lock."""
        replace_file(self.folder / name, content)

    def _read_chain(self, begin: LedgerHead, sealed: LedgerHead) -> tuple[list[LedgerEntry], LedgerHead]:
        """Read the entries after `begin`, and the end; check that the ledger was sealed as it was."""
        path = self.folder / LEDGER_FILE
        entries, heads = list[LedgerEntry](), [begin]
        for line in split_lines(self._read_bytes(begin)):
            if not line.endswith(b"\n") and heads[-1].entries >= sealed.entries:
                break
            entries.append(decode_chained_line(line, heads[-1], path))
            heads.append(advance_head(heads[-1], line))
        if (last := heads[-1].entries) < sealed.entries:
            raise BrokenLedger(f"{path} ends after line {last}: {LEDGER_HEAD_FILE} was sealed with {sealed.entries}")
        if sealed.entries >= begin.entries and heads[sealed.entries - begin.entries] != sealed:
            raise BrokenLedger(
                f"{path}, line {sealed.entries}: not what {LEDGER_HEAD_FILE} was sealed with: one of the two was edited"
            )
        return entries, heads[-1]

    def _read_bytes(self, begin: LedgerHead) -> bytes:
        path = self.folder / LEDGER_FILE
        if not path.exists():
            return b""
        with path.open("rb") as file:
            if (size := file.seek(0, os.SEEK_END)) < begin.bytes:
                raise BrokenLedger(f"{path} has {size} bytes: it had {begin.bytes} when it was read before")
            file.seek(begin.bytes)
            return file.read()

    def _write_lines(self, file: Any, lines: bytes, head: LedgerHead) -> None:
        _write_and_sync(file.fileno(), lines)
        self._seal(head)

    def _recover_head(self, file: Any) -> LedgerHead:
        """Return the head after the whole lines that a killed process left; cut off a torn one."""
        head = self._head()
        if (size := file.seek(0, os.SEEK_END)) < head.bytes:
            raise BrokenLedger(
                f"{self.folder / LEDGER_FILE} has {size} bytes: {LEDGER_HEAD_FILE} was sealed with {head.bytes}"
            )
        file.seek(head.bytes)
        for line in split_lines(file.read()):
            if line.endswith(b"\n"):
                decode_chained_line(line, head, self.folder / LEDGER_FILE)
                head = advance_head(head, line)
        file.truncate(head.bytes)
        return head

    def _head(self) -> LedgerHead:
        path = self.folder / LEDGER_HEAD_FILE
        has_ledger = (self.folder / LEDGER_FILE).exists()  # looked for first, as the first append writes the head first
        if not path.exists():
            if has_ledger:
                raise BrokenLedger(f"{path} is missing beside {LEDGER_FILE}")
            return EMPTY_HEAD
        return decode_head(path.read_bytes(), path)

    def _seal(self, head: LedgerHead) -> None:
        new = self.folder / f"{LEDGER_HEAD_FILE}.new"
        with new.open("wb") as file:
            _write_and_sync(file.fileno(), encode_json(head))
        new.replace(self.folder / LEDGER_HEAD_FILE)

    @contextlib.contextmanager
    def _open_to_append(self) -> Iterator[tuple[Any, LedgerHead]]:
        """Hold the lock for the block, with the file and the head after its last whole line."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with hold_file_lock(self.folder / LEDGER_LOCK_FILE):
            if not (self.folder / LEDGER_FILE).exists():
                self._seal(self._head())
            with (self.folder / LEDGER_FILE).open("a+b") as file:
                yield file, self._recover_head(file)


def _write_and_sync(file: int, content: bytes) -> None:
    if (written := os.write(file, content)) != len(content):
        raise OSError(f"only {written} of {len(content)} bytes could be written")
    os.fsync(file)
