"""What the webhook is told of approvals: that something waits, and how it ended; each once.

The number of the last entry that was told is written before its message is posted. A process that is killed in between
has told one thing less, never one twice; what was entered by a process that was killed before is told by the next one.
"""

from collections.abc import Iterator, Mapping, Sequence

from penumbra.approvals.requests import REQUEST_KEY, VOID, ApprovalRequest, find_request, list_requests
from penumbra.core.settings import Settings
from penumbra.core.system.webhook import post_alarms
from penumbra.registry.history.ledger import ANNOUNCED_NOTE, Ledger
from penumbra.registry.history.ledger_entries import LedgerEntry
from penumbra.registry.history.shared_ledger import open_ledger


def announce_approvals(settings: Settings) -> list[str]:
    """Post what the webhook wasn't told yet; called by whoever entered something, and by each pass.

    Args:
        settings: The section [ledger] and `monitor.webhook` are read.

    Returns:
        A sentence for each verdict that began to wait, and for each that was decided or became void.

    Raises:
        BrokenLedger: The ledger isn't whole.
    """
    ledger = open_ledger(settings)
    if _read_mark(ledger) == len(ledger.entries()):
        return []
    with ledger.hold_lock(ANNOUNCED_NOTE) as check_lock:
        entries, told = ledger.entries(), _read_mark(ledger)
        if told < len(entries):
            check_lock()
            ledger.write_note(ANNOUNCED_NOTE, str(len(entries)).encode())
    requests = [ApprovalRequest(each.entry, each.terms) for each in list_requests(entries)]
    asked = {each.number: each for each in requests if each.kind != "investigation"}
    news = [sentence for entry in entries[told:] for sentence in _describe_news(entry, asked, entries)]
    post_alarms(settings.monitor.webhook, news)
    return news


def _read_mark(ledger: Ledger) -> int:
    """The number of the last entry that was told."""
    return int(ledger.read_note(ANNOUNCED_NOTE) or 0)


def _describe_news(
    entry: LedgerEntry, asked: Mapping[int, ApprovalRequest], entries: Sequence[LedgerEntry]
) -> Iterator[str]:
    """What an entry makes worth telling; of an investigation only its end, as an alarm tells of its begin."""
    if request := asked.get(entry.number):
        yield (
            f"{request.describe_waiting()}: {request} "
            f"(penumbra approve {request.number}, or the dashboard's page /approvals)"
        )
    if entry.kind == "approval":
        request = find_request(entries[: entry.number], entry.evidence[REQUEST_KEY])
        if request.status != "waiting":
            yield _describe_end(request, entry)


def _describe_end(request: ApprovalRequest, last: LedgerEntry) -> str:
    what = f"entry {request.number} ({request.kind})"
    if last.verdict == VOID:
        return f"{what} is void: {last.reason}"
    names = " and ".join(request.list_approvers(request.choice))
    return f"{what}: {request.choice} by {names}: {last.reason}"
