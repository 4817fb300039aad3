"""The ledger: every verdict, promotion, rollback and retraining, with what it rested on.

Append-only, one line of JSON an entry. Each line carries the SHA-256 of the one before, so that an edit or a removal
shows; a head file beside it holds the number of entries, their bytes and the last line's hash, so that a removal at the
end shows too. That guards against accidents and quiet corrections, not against somebody who rewrites everything, head
included.

A process killed while it appends leaves a line that the head doesn't know: whole, it is an entry; torn, it is cut off
by the next append.
"""

import contextlib
import datetime as dt
import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from penumbra.logs.append_log import encode_json
from penumbra.storage.locks import hold_file_lock

LEDGER_FILE, LEDGER_HEAD_FILE, LEDGER_LOCK_FILE = "ledger.jsonl", "head.json", "lock"
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()


class BrokenLedger(ValueError):
    """The ledger isn't what was written; says which line or file, and what was expected."""


class LedgerEvent(msgspec.Struct, frozen=True, kw_only=True):
    """What happened. `versions` names model versions by their part in it, say candidate and live; `settings` and
    `evidence` hold plain JSON."""

    kind: Literal["verdict", "canary", "promotion", "rollback", "retrain"]
    actor: str
    reason: str
    verdict: str = ""
    versions: dict[str, str] = {}
    data_version: str = ""
    settings: dict[str, Any] = {}
    evidence: dict[str, Any] = {}


class LedgerEntry(LedgerEvent, frozen=True, kw_only=True):
    """An event's place: entries count from 1, `previous` is the SHA-256 of the line before, newline included."""

    number: int
    time: dt.datetime
    previous: str


class LedgerHead(msgspec.Struct, frozen=True):
    entries: int = 0
    bytes: int = 0
    sha256: str = EMPTY_SHA256


_decode_entry = msgspec.json.Decoder(LedgerEntry).decode


@dataclass(frozen=True)
class Ledger:
    folder: Path

    def append(self, event: LedgerEvent) -> LedgerEntry:
        """Write one entry and return it; on disk when this returns, whoever else appends at the same time.

        Raises BrokenLedger where something is missing, OSError where the disk refuses.
        """
        with self._hold_lock(), (self.folder / LEDGER_FILE).open("a+b") as file:
            head = self._recover_head(file)
            place: dict[str, Any] = {
                "number": head.entries + 1,
                "time": dt.datetime.now(dt.UTC),
                "previous": head.sha256,
            }
            line = encode_json({**msgspec.structs.asdict(event), **place}) + b"\n"
            _write_and_sync(file.fileno(), line)
            self._seal(_advance_head(head, line))
        return _decode_entry(line)

    def entries(self) -> list[LedgerEntry]:
        """Every entry, oldest first. Raises BrokenLedger that names the line where the chain breaks."""
        head = self._head()
        path = self.folder / LEDGER_FILE
        found: list[LedgerEntry] = []
        reached = [LedgerHead()]
        for line in _split_lines(path.read_bytes() if path.exists() else b""):
            if not line.endswith(b"\n") and len(found) >= head.entries:
                break
            found.append(_decode_chained(line, reached[-1], path))
            reached.append(_advance_head(reached[-1], line))
        if len(found) < head.entries:
            raise BrokenLedger(
                f"{path} ends after line {len(found)}: {LEDGER_HEAD_FILE} was sealed with {head.entries}"
            )
        if reached[head.entries] != head:
            raise BrokenLedger(
                f"{path}, line {head.entries}: not what {LEDGER_HEAD_FILE} was sealed with: one of the two was edited"
            )
        return found

    def _recover_head(self, file: Any) -> LedgerHead:
        """The head after whole lines that a killed process left, without a torn one."""
        head = self._head()
        if (size := file.seek(0, os.SEEK_END)) < head.bytes:
            raise BrokenLedger(
                f"{self.folder / LEDGER_FILE} has {size} bytes: {LEDGER_HEAD_FILE} was sealed with {head.bytes}"
            )
        file.seek(head.bytes)
        for line in _split_lines(file.read()):
            if line.endswith(b"\n"):
                _decode_chained(line, head, self.folder / LEDGER_FILE)
                head = _advance_head(head, line)
        file.truncate(head.bytes)
        return head

    def _head(self) -> LedgerHead:
        path = self.folder / LEDGER_HEAD_FILE
        begun = (self.folder / LEDGER_FILE).exists()
        if not path.exists():
            if begun:
                raise BrokenLedger(f"{path} is missing beside {LEDGER_FILE}")
            return LedgerHead()
        try:
            return msgspec.json.decode(path.read_bytes(), type=LedgerHead)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise BrokenLedger(f"{path}: {error}") from None

    def _seal(self, head: LedgerHead) -> None:
        new = self.folder / f"{LEDGER_HEAD_FILE}.new"
        with new.open("wb") as file:
            _write_and_sync(file.fileno(), encode_json(head))
        new.replace(self.folder / LEDGER_HEAD_FILE)

    @contextlib.contextmanager
    def _hold_lock(self) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        with hold_file_lock(self.folder / LEDGER_LOCK_FILE):
            if not (self.folder / LEDGER_FILE).exists():
                self._seal(self._head())
            yield


def find_last_move(entries: Sequence[LedgerEntry]) -> LedgerEntry | None:
    """The latest promotion or rollback."""
    return next((entry for entry in reversed(entries) if entry.kind in ("promotion", "rollback")), None)


def format_versions(event: LedgerEvent) -> str:
    """Format the versions that an event is about.

    Args:
        event: An event or an entry.

    Returns:
        Each role with its version, such as "live 2, previous 1".
    """
    return ", ".join(f"{role} {version}" for role, version in event.versions.items())


def _split_lines(content: bytes) -> list[bytes]:
    """With their ends; the last may have none."""
    return re.findall(rb"[^\n]*\n|[^\n]+", content)


def _advance_head(head: LedgerHead, line: bytes) -> LedgerHead:
    return LedgerHead(head.entries + 1, head.bytes + len(line), hashlib.sha256(line).hexdigest())


def _decode_chained(line: bytes, reached: LedgerHead, path: Path) -> LedgerEntry:
    """The entry in a line that should follow what is reached. Raises BrokenLedger where it doesn't."""
    where = f"{path}, line {reached.entries + 1}"
    try:
        entry = _decode_entry(line)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BrokenLedger(f"{where}: {error}") from None
    if entry.number != reached.entries + 1:
        raise BrokenLedger(f"{where}: this is entry {entry.number}: lines are missing, repeated or edited")
    if entry.previous != reached.sha256:
        raise BrokenLedger(f"{where}: not chained to the line before: one of the two was edited")
    return entry


def _write_and_sync(file: int, content: bytes) -> None:
    if (written := os.write(file, content)) != len(content):
        raise OSError(f"only {written} of {len(content)} bytes could be written")
    os.fsync(file)
