"""The end of what waits without an answer: its time is over, or what it was judged by holds no more."""

import datetime as dt
from collections.abc import Callable, Mapping

from penumbra.approvals.requests import REQUEST_KEY, VOID, ApprovalRequest, list_requests
from penumbra.core.actor import get_actor
from penumbra.registry.aliases import hold_alias_lock
from penumbra.registry.ledger import Ledger, LedgerEntry, LedgerEvent
from penumbra.registry.pointers import CANDIDATE_ALIAS, LIVE_ALIAS


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

    def explain(request: ApprovalRequest) -> str:
        version, live = request.versions
        verdict, reason = judged.get(version, ("promote", ""))
        if aliases.get(LIVE_ALIAS) != live:
            return f"version {aliases.get(LIVE_ALIAS, 'none')} is live by now, where version {live} was"
        if not request.is_forced and aliases.get(CANDIDATE_ALIAS) != version:
            return f"version {version} is no candidate any more"
        if verdict == "reject" or (verdict != "promote" and not request.is_forced):
            return f"a later pass says {verdict}: {reason}"
        return "" if approve == "people" else f'promotion.approve is "{approve}" by now'

    return _void_requests(ledger, "promotion", explain)


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

    return _void_requests(ledger, "retraining", explain)


def _describe_later(entry: LedgerEntry) -> str:
    return f"entry {entry.number} asks for one" if entry.kind == "verdict" else f"entry {entry.number} is one"


def _void_requests(ledger: Ledger, kind: str, explain: Callable[[ApprovalRequest], str]) -> list[str]:
    now, said = dt.datetime.now(dt.UTC), []
    with hold_alias_lock(ledger.folder):
        waiting = [each for each in list_requests(ledger.entries()) if each.kind == kind and each.status == "waiting"]
        for request in waiting:
            over = f"{len(request.list_approvers())} of {request.needed} approved it by {request.expiry}"
            if why := over if request.has_expired(now) else explain(request):
                ledger.append(_build_void_event(request, why))
                said.append(f"entry {request.number} is void: {why}")
    return said


def _build_void_event(request: ApprovalRequest, reason: str) -> LedgerEvent:
    return LedgerEvent(
        kind="approval",
        verdict=VOID,
        actor=get_actor(),
        reason=reason,
        versions=request.entry.versions,
        data_version=request.entry.data_version,
        evidence={REQUEST_KEY: request.number},
    )
