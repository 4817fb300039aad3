"""The records that are blocked or suspect because workers ended: shown, blocked and released by hand."""

from typing import Any

import msgspec

from penumbra.core.problem import ProblemSchema
from penumbra.core.settings import ServiceSettings
from penumbra.core.system.actor import get_actor
from penumbra.logs.append_log import encode_json
from penumbra.registry.pointers import read_pointer
from service.http.refusals import Fault, RequestRefused
from service.http.requests.record_reader import Contract
from service.inference.blocked_records import (
    BlockedRecord,
    SuspectRecord,
    append_event,
    compute_digest,
    fold_events,
    read_events,
)


class BlockingRefused(ValueError):
    """A record can't be blocked or released; the message says why."""


def list_blocked_records(service: ServiceSettings) -> list[BlockedRecord]:
    """List the records that are blocked now, and the suspects.

    Args:
        service: Section [service] of the settings; `state` is read.

    Returns:
        The records, the one that was blocked first comes first, and the suspects behind.
    """
    blocked, suspects = fold_events(read_events(service.state))
    return [*blocked.values(), *suspects.values()]


def block_record(service: ServiceSettings, schema: ProblemSchema, text: str) -> None:
    """Block a record for the live version, so that the previous model or the baseline answers it.

    Args:
        service: Section [service] of the settings.
        schema: The problem's schema.
        text: The record as JSON, as a client sends it.

    Raises:
        BlockingRefused: There is no live version, or the text is no record that keeps the contract.
    """
    try:
        record = Contract(schema.Row, schema.CHECKS, schema.EXAMPLE, max_records=1).parse_one(text.encode())
    except RequestRefused as refused:
        faults = "; ".join(map(_describe_fault, refused.details)) or str(refused)
        raise BlockingRefused(f"nothing was blocked, as this is no record that keeps the contract: {faults}") from None
    version = read_pointer(service.state)
    if version is None:
        raise BlockingRefused(f"{service.state} names no live version, for which a record could be blocked")
    line = encode_json(record)
    suspect = SuspectRecord(version, compute_digest(line), msgspec.Raw(line))
    append_event(service.state, "block", f"blocked by {get_actor()}", [suspect])


def release_record(service: ServiceSettings, digest: str) -> None:
    """Let a record be scored again by all versions.

    Args:
        service: Section [service] of the settings.
        digest: The record's digest, or its beginning.

    Raises:
        BlockingRefused: No record that is blocked or suspect has this digest.
    """
    found = [each for each in list_blocked_records(service) if digest and each.digest.startswith(digest)]
    if not found:
        raise BlockingRefused(f"no blocked record has the digest {digest!r}: `penumbra blocked` lists them")
    released = [SuspectRecord(each.version, each.digest, each.record) for each in found]
    append_event(service.state, "release", f"released by {get_actor()}", released)


def format_blocked_records(blocked: list[BlockedRecord]) -> str:
    """Format the blocked records.

    Args:
        blocked: As returned by `list_blocked_records`.

    Returns:
        A line for each with digest, version, time, cause, and "suspect" where it isn't blocked; the record on the next.
    """
    if not blocked:
        return "No record is blocked."
    return "\n".join(
        f"{each.digest}  version {each.version}  since {each.since:%Y-%m-%d %H:%M:%S}  {each.cause}"
        f"{'  suspect' if each.is_suspect else ''}\n  {bytes(each.record).decode()}"
        for each in blocked
    )


def describe_blocked_records(blocked: list[BlockedRecord]) -> list[dict[str, Any]]:
    """Return the blocked records, as returned by `list_blocked_records`, as JSON's types."""
    return [
        {**msgspec.structs.asdict(each), "since": each.since.isoformat(), "record": msgspec.json.decode(each.record)}
        for each in blocked
    ]


def _describe_fault(fault: Fault) -> str:
    where = " ".join(filter(None, (fault.get("field"), fault.get("value"))))
    return f"{where}: expected {fault['expected']}"
