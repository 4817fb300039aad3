"""Answers of people to what waits for them, and what follows: entries in the ledger first, then moves of aliases.

The answer that decides and the move that it leads to are written to the ledger at once. A process that is killed after
that has the next pass, or the next answer, move the aliases (`penumbra.registry.history.ledger_sync.finish_last_move`).
"""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from penumbra.approvals.accepted_faults import list_accepted_phrases
from penumbra.approvals.requests import (
    ACCEPT_COLUMNS,
    ACCEPT_DAYS,
    ACCEPTED_KEY,
    APPROVE,
    APPROVERS_KEY,
    CHOICES_BY_KIND,
    DECLINE,
    KEEP,
    NEEDED_KEY,
    REQUEST_KEY,
    VIA_KEY,
    AnswerWay,
    ApprovalRefused,
    ApprovalRequest,
    Choice,
    find_request,
)
from penumbra.approvals.voiding import explain_overtaking
from penumbra.core.settings import Settings
from penumbra.registry.aliases import compute_aliases_after, hold_alias_lock, move_aliases, sync_registry
from penumbra.registry.history import ledger_sync
from penumbra.registry.history.ledger import Ledger
from penumbra.registry.history.ledger_entries import LedgerEntry, LedgerEvent
from penumbra.registry.history.shared_ledger import open_ledger
from penumbra.registry.pointers import CANDIDATE_ALIAS, LIVE_ALIAS, PREVIOUS_ALIAS

if TYPE_CHECKING:
    from penumbra.registry.models import ModelRegistry

MAX_REASON_LENGTH = 1_000
HOW_TO_END = "end it with --accept, --accept-columns or --keep"


@dataclass(frozen=True)
class ApprovalAnswer:
    """What a person says to a request.

    Attributes:
        number: The number of the verdict's entry.
        actor: Who.
        choice: What they chose.
        reason: Why, in their words; may be empty for an approval.
        via: Where they answer, which says what names them: a key, or an account.
    """

    number: int
    actor: str
    choice: Choice
    reason: str = ""
    via: AnswerWay = "command"


def record_answer(settings: Settings, answer: ApprovalAnswer) -> str:
    """Enter a person's answer into the ledger, and do what follows where it decides. The same answer counts once.

    A rollback that the registry hasn't heard of comes first, as in a promotion pass.

    Args:
        settings: Sections [ledger], [promotion] (`approvers`), [monitor] and, of a promotion, [registry] and [service]
            (`state`) are read.
        answer: The answer.

    Returns:
        What came of it, in a sentence.

    Raises:
        ApprovalRefused: The entry doesn't wait for such an answer, or the aliases were moved since it was judged.
        AliasesChanged: Somebody else moves the aliases at the same time without the lock.
        BrokenLedger: The ledger isn't whole.
        DamagedFile: The mark of a rollback is damaged, and the ledger doesn't say what it was.
        DamagedWindow: The record of a window with faults is damaged.
        MlflowException: The registry can't be reached; nothing was entered then.
    """
    ledger = open_ledger(settings)
    if find_request(ledger.entries(), answer.number).kind == "promotion":
        return _answer_promotion(settings, ledger, answer)
    with hold_alias_lock(ledger) as check_lock:
        return ledger.decide_on_entries(partial(_answer_request, settings, ledger, answer), check_lock)


def _answer_request(settings: Settings, ledger: Ledger, answer: ApprovalAnswer, entries: Sequence[LedgerEntry]) -> str:
    request = find_request(entries, answer.number).require_approvers(settings.promotion.approvers)
    event = _build_answer_event(request, answer, _find_accepted(settings, request, answer))
    return _enter_answer(ledger, request, answer, event, None, entries)


def _answer_promotion(settings: Settings, ledger: Ledger, answer: ApprovalAnswer) -> str:
    from penumbra.registry.models import ModelRegistry

    models = ModelRegistry(settings.registry)
    sync_registry(models, settings.service.state, ledger)
    with hold_alias_lock(ledger) as check_lock:
        said = ledger.decide_on_entries(partial(_decide_promotion, settings, models, ledger, answer), check_lock)
    ledger_sync.tag_ledger_entries(models, ledger, ledger.entries())
    return said


def _decide_promotion(
    settings: Settings,
    models: "ModelRegistry",
    ledger: Ledger,
    answer: ApprovalAnswer,
    entries: Sequence[LedgerEntry],
) -> str:
    current = ledger_sync.finish_last_move(models, entries)
    request = find_request(entries, answer.number).require_approvers(settings.promotion.approvers)
    event, is_waiting = _build_answer_event(request, answer), request.status == "waiting"
    if is_waiting and answer.choice == APPROVE and (why := explain_overtaking(request, entries, current)):
        raise ApprovalRefused(f"entry {request.number}: {why}: the next pass judges anew")
    move = _plan_move(request.add_answer(event), event, current) if is_waiting else None
    said = _enter_answer(ledger, request, answer, event, move, entries)
    if move:
        after = compute_aliases_after(move, current)
        move_aliases(models, current, after)
        said += f": live is version {after[LIVE_ALIAS]}; the candidate: {after.get(CANDIDATE_ALIAS, 'none')}"
    return said


def _enter_answer(
    ledger: Ledger,
    request: ApprovalRequest,
    answer: ApprovalAnswer,
    event: LedgerEvent,
    move: LedgerEvent | None,
    entries: Sequence[LedgerEntry],
) -> str:
    if request.has_answered(answer.actor, answer.choice, answer.via):
        return f"{_describe_state(request)}; {answer.actor} has said so already"
    _require_open(request, answer)
    ledger.append(event, (lambda _: move) if move else None, seen=entries)
    return _describe_state(find_request(ledger.entries(), request.number))


def _build_answer_event(
    request: ApprovalRequest, answer: ApprovalAnswer, evidence: Mapping[str, Any] | None = None
) -> LedgerEvent:
    return LedgerEvent(
        kind="approval",
        verdict=answer.choice,
        actor=answer.actor,
        reason=" ".join(answer.reason.split()) or "none given",
        versions=request.entry.versions,
        data_version=request.entry.data_version,
        evidence={REQUEST_KEY: request.number, VIA_KEY: answer.via, NEEDED_KEY: request.needed, **(evidence or {})},
    )


def _require_open(request: ApprovalRequest, answer: ApprovalAnswer) -> None:
    for why in _list_objections(request, answer):
        raise ApprovalRefused(f"entry {request.number}: {why}")


def _list_objections(request: ApprovalRequest, answer: ApprovalAnswer) -> Iterator[str]:
    if request.status != "waiting":
        yield f"it waits no more: {_describe_state(request)}"
    if request.has_expired(dt.datetime.now(dt.UTC)):
        yield f"its time ended at {request.expiry}: the next pass judges anew"
    if answer.choice not in CHOICES_BY_KIND[request.kind]:
        yield (
            f"it is an investigation: {HOW_TO_END}"
            if request.kind == "investigation"
            else (f"it is a {request.kind}: approve it without --accept, --accept-columns and --keep, or decline it")
        )
    if answer.choice in (DECLINE, ACCEPT_DAYS, ACCEPT_COLUMNS, KEEP) and not answer.reason.strip():
        yield 'say why: --reason "…"'
    if len(answer.reason) > MAX_REASON_LENGTH:
        yield f"the reason has {len(answer.reason):,} characters: {MAX_REASON_LENGTH:,} are the most"


def _plan_move(request: ApprovalRequest, answer: LedgerEvent, current: Mapping[str, str]) -> LedgerEvent | None:
    """Make the event that moves aliases, if the last answer decides: a promotion, or the rejection of a candidate."""
    (version, live), approvers = request.versions, request.list_approvers()
    if request.status == "approved":
        return LedgerEvent(
            kind="promotion",
            verdict="promote",
            actor=answer.actor,
            reason=f"entry {request.number}: {request.entry.reason}; approved by {' and '.join(approvers)}",
            versions={LIVE_ALIAS: version, PREVIOUS_ALIAS: live},
            data_version=request.entry.data_version,
            evidence={REQUEST_KEY: request.number, APPROVERS_KEY: approvers},
        )
    if request.status == "declined" and not request.is_forced and current.get(CANDIDATE_ALIAS) == version:
        return LedgerEvent(
            kind="verdict",
            verdict="reject",
            actor=answer.actor,
            reason=f"entry {request.number}: declined by {answer.actor}: {answer.reason}",
            versions={CANDIDATE_ALIAS: version, LIVE_ALIAS: current[LIVE_ALIAS]},
            data_version=request.entry.data_version,
            evidence={REQUEST_KEY: request.number},
        )
    return None


def _find_accepted(settings: Settings, request: ApprovalRequest, answer: ApprovalAnswer) -> dict[str, Any]:
    if request.kind != "investigation" or answer.choice not in (ACCEPT_DAYS, ACCEPT_COLUMNS):
        return {}
    phrases = list_accepted_phrases(settings.monitor.folder, request.entry, answer.choice == ACCEPT_COLUMNS)
    if not phrases:
        raise ApprovalRefused(
            f"entry {request.number}: it names no fault of the data, so there is nothing to accept: end it with --keep"
        )
    return {ACCEPTED_KEY: phrases}


def _describe_state(request: ApprovalRequest) -> str:
    names = " and ".join(request.list_approvers(request.choice or APPROVE))
    match request.status:
        case "waiting":
            return request.describe_waiting()
        case "void":
            return f"entry {request.number} is void: {request.answers[-1].reason}"
        case "declined":
            return f"entry {request.number} is declined by {names}"
    if request.kind == "investigation":
        return f"investigation {request.number} is ended by {names}: {request.choice}"
    later = ", and the next pass of `penumbra monitor` trains" if request.kind == "retraining" else ""
    return f"entry {request.number} is approved by {names}{later}"
