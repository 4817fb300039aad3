"""The entries of the ledger, each a line of JSON that carries the SHA-256 of the line before."""

import datetime as dt
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from penumbra.core.text.counts import format_count
from penumbra.logs.append_log import encode_json
from penumbra.registry.history.ledger_head import LedgerHead, advance_head

COMPARED_DAYS_KEY = "compared_days"  # in the gate's evidence: days, rows and differences between live and candidate


class BrokenLedger(ValueError):
    """The ledger isn't what was written; the message says which line or file, and what was expected."""


class LedgerMoved(RuntimeError):
    """Others have appended since the entries were read that an event follows from; nothing was appended."""


class LedgerEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event of the ledger.

    Attributes:
        kind: The kind of event.
        actor: Who or what caused it.
        reason: Why, in a clause.
        details: What that rests on, a clause each; none of an event of an earlier release, whose reason has all.
        verdict: The outcome of a judgement, such as "pass" or "reject"; "" if there was none.
        versions: Model versions by their role in the event, such as "candidate" and "live".
        data_version: The data version that it is about, "" for none.
        settings: The settings that the decision used, in types of JSON.
        evidence: What the decision was based on, in types of JSON.
    """

    kind: Literal["verdict", "approval", "canary", "promotion", "rollback", "retrain"]
    actor: str
    reason: str
    details: list[str] = []
    verdict: str = ""
    versions: dict[str, str] = {}
    data_version: str = ""
    settings: dict[str, Any] = {}
    evidence: dict[str, Any] = {}


class LedgerEntry(LedgerEvent, frozen=True, kw_only=True):
    """An event with its position in the ledger.

    Attributes:
        number: The entry's number, from 1.
        time: When it was appended, in UTC.
        previous: The SHA-256 of the line before, newline included.
    """

    number: int
    time: dt.datetime
    previous: str


_decode_entry = msgspec.json.Decoder(LedgerEntry).decode


def find_last_move(
    entries: Sequence[LedgerEntry], kinds: Sequence[str] = ("promotion", "rollback")
) -> LedgerEntry | None:
    """Find the latest promotion or rollback.

    Args:
        entries: The ledger's entries, oldest first.
        kinds: The kinds of entry to look for.

    Returns:
        The entry, None if there is none.
    """
    return next((entry for entry in reversed(entries) if entry.kind in kinds), None)


def format_versions(event: LedgerEvent) -> str:
    """Format the versions that an event is about.

    Args:
        event: An event or an entry.

    Returns:
        Each role with its version, such as "live 2, previous 1".
    """
    return ", ".join(f"{role} {version}" for role, version in event.versions.items())


def require_seen(head: LedgerHead, seen: Sequence[LedgerEntry] | None) -> None:
    """Check that the ledger ends as it did when its entries were read.

    Args:
        head: Its end.
        seen: The entries; None stands for any end.

    Raises:
        LedgerMoved: There are more of them.
    """
    if seen is not None and head.entries != len(seen):
        raise LedgerMoved(
            f"the ledger has {format_count(head.entries, 'entry', 'entries')} by now, and had {len(seen)}"
        )


def chain_event(
    event: LedgerEvent, then: Callable[[LedgerEntry], LedgerEvent] | None, head: LedgerHead
) -> tuple[LedgerEntry, bytes, LedgerHead]:
    """Make the next lines of a ledger.

    Args:
        event: What happened.
        then: Makes a second event from the first one's entry; None for no second one.
        head: The ledger's end.

    Returns:
        The first event's entry, its line and that of the second event, and the ledger's end after these.
    """
    line = _encode_entry(event, head)
    entry, head = _decode_entry(line), advance_head(head, line)
    if then is None:
        return entry, line, head
    second = _encode_entry(then(entry), head)
    return entry, line + second, advance_head(head, second)


def decode_head(content: bytes, source: Path | str) -> LedgerHead:
    """Decode the file or object that seals a ledger.

    Args:
        content: Its content.
        source: Where it is, for the error.

    Returns:
        The ledger's end as it was sealed.

    Raises:
        BrokenLedger: It is no head.
    """
    try:
        return msgspec.json.decode(content, type=LedgerHead)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BrokenLedger(f"{source}: {error}") from None


def decode_chained_line(line: bytes, head: LedgerHead, source: Path | str) -> LedgerEntry:
    """Decode the entry in a line.

    Args:
        line: The line.
        head: The ledger's end before it.
        source: Where the ledger is, for the error.

    Returns:
        The entry.

    Raises:
        BrokenLedger: The line is no entry, or doesn't follow the head.
    """
    location = f"{source}, line {head.entries + 1}"
    try:
        entry = _decode_entry(line)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BrokenLedger(f"{location}: {error}") from None
    if entry.number != head.entries + 1:
        raise BrokenLedger(f"{location}: this is entry {entry.number}: lines are missing, repeated or edited")
    if entry.previous != head.sha256:
        raise BrokenLedger(f"{location}: not chained to the line before: one of the two was edited")
    return entry


def _encode_entry(event: LedgerEvent, head: LedgerHead) -> bytes:
    position = {"number": head.entries + 1, "time": dt.datetime.now(dt.UTC), "previous": head.sha256}
    return encode_json({**msgspec.structs.asdict(event), **position}) + b"\n"
