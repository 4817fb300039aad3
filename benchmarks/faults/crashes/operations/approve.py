"""Answers of people to what waits: the approval of a promotion, its refusal, and the end of an investigation."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.faults.crashes.operations.operation import (
    MLFLOW_MODULES,
    Operation,
    describe_ledger,
    describe_registry,
    make_settings,
)

PRELOADED = (*MLFLOW_MODULES, "penumbra.approvals.answers", "penumbra.approvals.announcements")
PROMOTION, INVESTIGATION = 3, 4  # numbers of entries
FAULT = {"day": "2013-04-05", "what": "frozen", "column": "temp", "text": "stuck", "cause": "ice"}


def prepare_requests(folder: Path) -> None:
    """Register a live model and a candidate, and enter that its promotion waits, and an investigation."""
    from penumbra.approvals.requests import make_approval_terms
    from penumbra.registry.history.ledger_entries import LedgerEvent
    from penumbra.registry.history.shared_ledger import open_ledger
    from tests.helpers.models import registered_versions

    database = registered_versions.register_versions(folder / "registered", "ab")
    registered_versions.make_aliased_registry(folder, database, live="1", candidate="2")
    pair, settings = {"candidate": "2", "live": "1"}, make_settings(folder)
    registered_versions.append_earlier_event(folder, "promotion", "promote", live="1")
    registered_versions.append_earlier_event(folder, "verdict", "pass", **pair)
    terms, window = make_approval_terms(settings.promotion), {"window": {"begin": "2013-04-04"}, "faults": [FAULT]}
    asked: list[tuple[str, dict[str, Any]]] = [("promote", terms), ("investigate", window)]
    for verdict, evidence in asked:
        event = LedgerEvent(
            kind="verdict", verdict=verdict, actor="ann", reason="better", versions=pair, evidence=evidence
        )
        open_ledger(settings).append(event)


def run_answer(folder: Path, number: int, choice: Any) -> None:
    """Do what the command does."""
    from penumbra.approvals.announcements import announce_approvals
    from penumbra.approvals.answers import ApprovalAnswer, record_answer

    settings = make_settings(folder)
    print(record_answer(settings, ApprovalAnswer(number, "carol", choice, "as it is")))
    print(*announce_approvals(settings), sep="\n")


def describe_answers(folder: Path) -> Iterator[str]:
    """Yield a text for each alias, version, entry of the ledger and accepted fault, and for how much was announced."""
    from penumbra.approvals.accepted_faults import include_accepted_faults

    settings = make_settings(folder)
    yield from describe_registry(settings)
    yield from describe_ledger(settings)
    yield f"accepted: {include_accepted_faults(settings).monitor.accept}"
    yield f"announced: {(folder / 'ledger/announced').read_text()}"


def _make_operation(number: int, choice: str, leaves: str) -> Operation:
    run = partial(run_answer, number=number, choice=choice)
    return Operation(prepare_requests, run, describe_answers, leaves, PRELOADED)


OPERATIONS = {
    "approve": _make_operation(PROMOTION, "approve", "ledger: promotion promote {'live': '2'"),
    "decline": _make_operation(PROMOTION, "decline", "ledger: verdict reject"),
    "end_investigation": _make_operation(INVESTIGATION, "accept days", "accepted: ['2013-04-05 temp']"),
}
