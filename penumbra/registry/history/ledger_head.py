"""The end of a ledger, as the file or object that seals it has it."""

import hashlib
import re

import msgspec


class LedgerHead(msgspec.Struct, frozen=True):
    """The ledger's end as it was sealed: the number of entries, their bytes, and the SHA-256 of the last line."""

    entries: int
    bytes: int
    sha256: str


EMPTY_HEAD = LedgerHead(0, 0, hashlib.sha256(b"").hexdigest())


def advance_head(head: LedgerHead, line: bytes) -> LedgerHead:
    """Return the ledger's end after another `line`, of which `head` was the end."""
    return LedgerHead(head.entries + 1, head.bytes + len(line), hashlib.sha256(line).hexdigest())


def split_lines(content: bytes) -> list[bytes]:
    """Return the lines of a ledger's `content` with their newlines; the last may have none."""
    return re.findall(rb"[^\n]*\n|[^\n]+", content)
