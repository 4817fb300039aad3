"""The end of what waits without an answer: its time is over, or what it was judged by holds no more."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence

from penumbra.approvals.requests import REQUEST_KEY, VOID, ApprovalRequest, RequestKind, list_requests
from penumbra.core.system.actor import get_actor
from penumbra.registry.aliases import hold_alias_lock
from penumbra.registry.history.ledger import Ledger
from penumbra.registry.history.ledger_entries import LedgerEntry, LedgerEvent
from penumbra.registry.history.ledger_sync import OVERTAKEN_KEY
from penumbra.registry.pointers import CANARY_ALIAS, CANDIDATE_ALIAS, LIVE_ALIAS, PREVIOUS_ALIAS

TAKEN_BACK_ROLES = {  # by kind and verdict of an entry: the version that it takes out of service, or out of the shadow
    ("canary", "ended"): CANARY_ALIAS,
    ("rollback", "rollback"): PREVIOUS_ALIAS,
    ("rollback", "investigate"): PREVIOUS_ALIAS,
    ("verdict", "reject"): CANDIDATE_ALIAS,
}


def void_outdated_promotions(
    ledger: Ledger, aliases: Mapping[str, str], judged: Mapping[str, tuple[str, str]], approve: str
) -> list[str]:
    """Void the promotions that wait though they are overtaken, once; called by each promotion pass.

    Args:
        ledger: The ledger.
        aliases: The versions by alias, as they are now.
        judged: By candidate that this pass has judged: the verdict and its reason.
        approve: The setting `promotion.approve`.

    Returns:
        A sentence for each.

    Raises:
        BrokenLedger: The ledger isn't whole.
    """

    entries = ledger.entries()

    def explain(request: ApprovalRequest) -> str:
        verdict, reason = judged.get(request.versions[0], ("promote", ""))
        if why := explain_overtaking(request, entries, aliases):
            return why
        if verdict == "reject" or (verdict != "promote" and not request.is_forced):
            return f"a later pass says {verdict}: {reason}"
        return "" if approve == "people" else f'promotion.approve is "{approve}" by now'

    return void_requests(ledger, "promotion", explain)


def explain_overtaking(request: ApprovalRequest, entries: Sequence[LedgerEntry], aliases: Mapping[str, str]) -> str:
    """Explain why a promotion that waits may not be done any more: what it was judged by has changed.

    Args:
        request: The promotion.
        entries: The ledger's entries, oldest first.
        aliases: The versions by alias, as they are now.

    Returns:
        The reason: another version is live, or the candidate where that was judged; or the version was taken back
        since, which an order stands above no more than a verdict. "" if it may be done.
    """
    version, live = request.versions
    if aliases.get(LIVE_ALIAS) != live:
        return f"version {aliases.get(LIVE_ALIAS, 'none')} is live by now, where version {live} was"
    if not request.is_forced and aliases.get(CANDIDATE_ALIAS) != version:
        return f"the candidate is version {aliases.get(CANDIDATE_ALIAS, 'none')} by now, where version {version} was"
    later = [entry for entry in entries[request.number :] if OVERTAKEN_KEY not in entry.evidence]
    ends = [e for e in later if e.versions.get(TAKEN_BACK_ROLES.get((e.kind, e.verdict), "")) == version]
    return f"entry {ends[-1].number} ({ends[-1].kind} {ends[-1].verdict}) took version {version} back" if ends else ""


def void_outdated_retrainings(ledger: Ledger) -> list[str]:
    """Void the retrainings that wait though a later verdict asks for one, or one was done, once; called by each
    monitor pass.

    Args:
        ledger: The ledger.

    Returns:
        A sentence for each.

    Raises:
        BrokenLedger: The ledger isn't whole.
    """
    entries = ledger.entries()
    later = [e for e in entries if e.kind == "retrain" or (e.kind == "verdict" and e.verdict == "retrain")]

    def explain(request: ApprovalRequest) -> str:
        found = [entry for entry in later if entry.number > request.number]
        return _describe_later(found[-1]) if found else ""

    return void_requests(ledger, "retraining", explain)


def _describe_later(entry: LedgerEntry) -> str:
    return f"entry {entry.number} asks for one" if entry.kind == "verdict" else f"entry {entry.number} is one"


def void_requests(ledger: Ledger, kind: RequestKind, explain: Callable[[ApprovalRequest], str]) -> list[str]:
    """Void what waits without need, once.

    Args:
        ledger: The ledger.
        kind: The kind of request.
        explain: Explains why a request that waits is void; "" if it isn't.

    Returns:
        A sentence for each that is void by now, as its time is over or for another reason.

    Raises:
        BrokenLedger: The ledger isn't whole.
    """
    now = dt.datetime.now(dt.UTC)

    def void_first(entries: Sequence[LedgerEntry]) -> str:
        waiting = [each for each in list_requests(entries) if each.kind == kind and each.status == "waiting"]
        for request in waiting:
            over = f"{len(request.list_approvers())} of {request.needed} approved it by {request.expiry}"
            if why := over if request.has_expired(now) else explain(request):
                ledger.append(build_void_event(request, why), seen=entries)
                return f"entry {request.number} is void: {why}"
        return ""

    with hold_alias_lock(ledger) as check_lock:
        return list(iter(lambda: ledger.decide_on_entries(void_first, check_lock), ""))


def build_void_event(request: ApprovalRequest, reason: str) -> LedgerEvent:
    """Build the event that ends a request without an answer.

    Args:
        request: The request.
        reason: Why, in a clause.

    Returns:
        The event, by whoever runs this process.
    """
    return LedgerEvent(
        kind="approval",
        verdict=VOID,
        actor=get_actor(),
        reason=reason,
        versions=request.entry.versions,
        data_version=request.entry.data_version,
        evidence={REQUEST_KEY: request.number},
    )
