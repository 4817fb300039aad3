"""One comparison of two models, and its record: entries in the ledger, moves of aliases in the registry."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from flows.steps.promote.paired_evidence import PairedEvidence
from penumbra.approvals.requests import ApprovalRequest, find_waiting_promotion, make_approval_terms
from penumbra.approvals.voiding import build_void_event
from penumbra.core.settings import Settings
from penumbra.core.system.actor import get_actor
from penumbra.promotion.decision import PromotionDecision
from penumbra.registry.aliases import (
    AliasesChanged,
    compute_rolled_back_aliases,
    drop_version,
    move_aliases,
    require_aliases,
)
from penumbra.registry.history import ledger_sync
from penumbra.registry.history.ledger import Ledger
from penumbra.registry.history.ledger_entries import LedgerEntry, LedgerEvent
from penumbra.registry.models import ModelRegistry
from penumbra.registry.pointers import CANARY_ALIAS, CANDIDATE_ALIAS, LIVE_ALIAS, PREVIOUS_ALIAS

FLOW_RUN_KEY = "flow run"  # in a verdict's evidence
MOVES_BY_VERDICT = {  # by verdict: the kind of the ledger entry, and the aliases that it names
    "promote": ("promotion", LIVE_ALIAS, PREVIOUS_ALIAS),
    "investigate": ("rollback", LIVE_ALIAS, PREVIOUS_ALIAS),
    "canary": ("canary", CANARY_ALIAS, LIVE_ALIAS),
}


@dataclass(frozen=True)
class PromotionCase:
    """One comparison of two models.

    `version` is the one that is judged, and `role` its alias; `aliases` are the versions by alias as they were;
    `comparison` is what the decision follows from, None for a forced promotion; `flow_run` names the run whose attempts
    at acting on it count once, "" where a pass that was cut short is left to the next one.
    """

    role: Literal["candidate", "live"]
    version: str
    aliases: dict[str, str]
    decision: PromotionDecision
    data_version: str = ""
    comparison: PairedEvidence | None = None
    flow_run: str = ""

    def compute_new_aliases(self) -> dict[str, str]:
        """Compute the aliases that the verdict leads to.

        Returns:
            The versions by alias; the same as before where the verdict moves nothing.
        """
        others = drop_version(self.aliases, self.version)
        if self.decision.verdict == "promote":
            return {**others, LIVE_ALIAS: self.version, PREVIOUS_ALIAS: self.aliases[LIVE_ALIAS]}
        if self.decision.verdict == "investigate":
            return compute_rolled_back_aliases(self.aliases, self.aliases[PREVIOUS_ALIAS], self.version)
        if self.decision.verdict == "canary":
            return {**self.aliases, CANARY_ALIAS: self.version}
        return others if self.decision.verdict == "reject" else self.aliases

    def __str__(self) -> str:
        """The verdict with its reason, what that rests on, and how the shadow did."""
        head = f"Version {self.version}, {self.role}: {self.decision.verdict}.\n  {self.decision.reason}"
        shadow = [str(self.comparison)] if self.comparison else []
        return "\n  - ".join([head, *self.decision.details, *shadow])


def record_case(
    settings: Settings, models: ModelRegistry, ledger: Ledger, case: PromotionCase, entries: Sequence[LedgerEntry]
) -> str:
    """Enter a verdict into the ledger and move the aliases that it moves.

    The caller holds the lock of the aliases. If somebody has moved them since the case was judged, the ledger records
    that the verdict was not acted on. With `promotion.approve = "people"` a promotion moves nothing: it waits, and is
    entered once for as long as it does.

    Args:
        settings: Sections [promotion] and [labels] are recorded.
        models: The registry.
        ledger: The ledger.
        case: The comparison with its decision.
        entries: The ledger's entries, as they were read under the lock.

    Returns:
        The case, and what was moved, in words.

    Raises:
        LedgerMoved: Others have appended since; nothing was entered or moved.
    """
    if entered := _find_entered(entries, case):
        live = ledger_sync.finish_last_move(models, entries).get(LIVE_ALIAS)
        return (
            f"{case}\n  An attempt that was cut short has entered it (entry {entered.number}). Live is version {live}."
        )
    try:
        require_aliases(models, case.aliases)
    except AliasesChanged as overtaken:
        ledger.append(_build_verdict_event(settings, case, overtaken=overtaken), seen=entries)
        return f"{case}\n  Nothing was moved: {overtaken}."
    if case.decision.verdict == "promote" and settings.promotion.approve == "people":
        return _await_people(settings, ledger, case, entries)
    after = case.compute_new_aliases()
    moves = case.decision.verdict in MOVES_BY_VERDICT
    ledger.append(
        _build_verdict_event(settings, case),
        (lambda verdict: _build_move_event(case, after, verdict)) if moves else None,
        seen=entries,
    )
    if after != case.aliases:
        move_aliases(models, case.aliases, after)
    return f"{case}\n  Live is version {after[LIVE_ALIAS]}; the candidate: {after.get(CANDIDATE_ALIAS, 'none')}."


def _find_entered(entries: Sequence[LedgerEntry], case: PromotionCase) -> LedgerEntry | None:
    """Find what an earlier attempt of the same flow's run has entered about the case."""
    named = [entry for entry in entries if case.flow_run and entry.evidence.get(FLOW_RUN_KEY) == case.flow_run]
    return next((entry for entry in named if entry.versions.get(case.role) == case.version), None)


def _await_people(settings: Settings, ledger: Ledger, case: PromotionCase, entries: Sequence[LedgerEntry]) -> str:
    """Enter that a promotion waits, unless the same one does already. An order takes the place of what waits."""
    pair, is_forced = (case.version, case.aliases[LIVE_ALIAS]), case.comparison is None
    waiting = find_waiting_promotion(entries, *pair)
    is_other_order = is_forced and waiting and (waiting.is_forced, waiting.entry.reason) != (True, case.decision.reason)
    if waiting is None or is_other_order:
        terms = make_approval_terms(settings.promotion, is_forced=is_forced)
        replaced = _make_replacement(waiting) if waiting else None
        ledger.append(_build_verdict_event(settings, case, terms), replaced, seen=entries)
        waiting = find_waiting_promotion(ledger.entries(), *pair)
    stands = waiting and waiting.require_approvers(settings.promotion.approvers).describe_waiting()
    how = f" `penumbra approve {waiting.number}` approves it." if waiting else ""
    return f"{case}\n  Nothing was moved: {stands}.{how}"


def _make_replacement(waiting: ApprovalRequest) -> Callable[[LedgerEntry], LedgerEvent]:
    return lambda order: build_void_event(waiting, f"entry {order.number} orders it by force")


def _build_verdict_event(
    settings: Settings,
    case: PromotionCase,
    waiting: Mapping[str, Any] | None = None,
    overtaken: AliasesChanged | None = None,
) -> LedgerEvent:
    other = PREVIOUS_ALIAS if case.role == LIVE_ALIAS else LIVE_ALIAS
    unmoved = {ledger_sync.OVERTAKEN_KEY: str(overtaken)} if overtaken else waiting or {}
    named_run = {FLOW_RUN_KEY: case.flow_run} if case.flow_run else {}
    return LedgerEvent(
        kind="verdict",
        verdict=case.decision.verdict,
        actor=get_actor(),
        reason=f"not acted on: {overtaken}; {case.decision.reason}" if overtaken else case.decision.reason,
        details=list(case.decision.details),
        versions={case.role: case.version, other: case.aliases[other]},
        data_version=case.data_version,
        settings=settings.describe_sections("promotion", "labels"),
        evidence={**unmoved, **named_run, **(case.comparison.facts() if case.comparison else {})},
    )


def _build_move_event(case: PromotionCase, after: dict[str, str], verdict: LedgerEntry) -> LedgerEvent:
    kind, *roles = MOVES_BY_VERDICT[case.decision.verdict]
    return LedgerEvent(
        kind=kind,  # type: ignore[arg-type]
        verdict=case.decision.verdict,
        actor=get_actor(),
        reason=f"entry {verdict.number}: {case.decision.reason}",
        versions={role: after[role] for role in roles},
        data_version=case.data_version,
    )
