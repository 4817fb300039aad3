"""What the page of approvals shows of a request: figures, gate, differences and faults, from ledger and registry."""

import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from monitoring.dashboard.model_cards.card_reader import link_card_page
from monitoring.dashboard.overview.cards import describe_evidence_size, describe_odds
from monitoring.windows.window_records import DayFault
from penumbra.approvals.accepted_faults import FAULTS_KEY
from penumbra.approvals.requests import ApprovalRequest
from penumbra.core.problem import Problem
from penumbra.core.settings import Settings
from penumbra.core.text.counts import format_count, format_share
from penumbra.core.text.intervals import format_limits, format_signed
from penumbra.core.text.tables import format_number
from penumbra.data.flywheel import find_completion_day
from penumbra.data.source_reader import SourceFailed
from penumbra.logs.indexing.index import LogIndex
from penumbra.registry.errors import MlflowException
from penumbra.registry.history.ledger_entries import LedgerEntry, format_versions
from penumbra.registry.models import ModelRegistry
from penumbra.registry.pointers import CANDIDATE_ALIAS
from penumbra.reviews.measures.error_rates import describe_mean_error, measure_shadow_errors
from penumbra.reviews.queue import ReviewQueue
from penumbra.storage.sealed import DamagedFile
from penumbra.training.evaluation.comparison import describe_changes
from penumbra.training.split import SPLIT_PARTS

MAX_CHANGES = 40  # lines of differences that are shown
UNKNOWN_CHANGES = "What changed can't be read off the registry"


def describe_evidence(
    settings: Settings, problem: Problem, entries: Sequence[LedgerEntry], request: ApprovalRequest
) -> dict[str, Any]:
    """Describe a request with the evidence for it.

    Args:
        settings: Sections [registry], [review], and those that the index of the logs needs.
        problem: The user's problem, with the schema.
        entries: The ledger's entries, oldest first.
        request: The request.

    Returns:
        "number", "kind", "title", "waits", "reason", "details" (clauses), "about" (pairs of a name and what is known),
        "answers" (pairs of a name and what was answered), "figures" (pairs), "checks" (rows of the gate's table),
        "changes" and "faults" (sentences), and "cards" (pairs of a version and the address of its card).
    """
    entry, is_promotion = request.entry, request.kind == "promotion"
    return {
        "number": request.number,
        "kind": request.kind,
        "title": _format_title(request),
        "waits": request.describe_waiting(),
        "reason": entry.reason,
        "details": entry.details,
        "about": [
            ("versions", format_versions(entry)),
            ("data", entry.data_version[:8] or "-"),
            ("entered", f"{entry.time:%Y-%m-%d %H:%M} UTC by {entry.actor}"),
        ],
        "answers": [(answer.actor, f"{answer.verdict}: {answer.reason}") for answer in request.answers],
        "figures": [
            *_list_figures(entry.evidence),
            *(_list_review_figures(settings, problem, request) if is_promotion else ()),
        ],
        "checks": _list_gate_checks(entries, request.versions[0]) if is_promotion else [],
        "changes": _list_changes(settings, request) if is_promotion else [],
        "cards": _link_cards(settings, request) if is_promotion else [],
        "faults": list(_list_faults(entry)),
    }


def _format_title(request: ApprovalRequest) -> str:
    if request.kind == "promotion":
        new, live = request.versions
        return f"Promote version {new} over version {live}{', by force' if request.is_forced else ''}"
    return "Retrain" if request.kind == "retraining" else "Investigation"


def _list_figures(evidence: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The numbers of a comparison of two versions, or of a window."""
    facts = evidence.get("evidence") or {}
    if "days" in facts:
        people = f", {facts['by_people']:,} of them by people" if facts.get("by_people") else ""
        yield "evidence", f"{describe_evidence_size(facts)}{people}"
    if facts.get("difference") is not None:
        losses = " → ".join(format_number(facts[name]) for name in ("live_loss", "candidate_loss"))
        limits = format_limits(facts["low"], facts["high"], format_signed)
        yield facts["loss"], f"{losses}, {format_signed(facts['difference'])} a row in its favour {limits}"
        yield "odds", describe_odds(facts)
    if shadow := evidence.get("shadow"):
        yield from _list_shadow_figures(shadow)
    for fault in evidence.get("faults", ()):
        if "day" not in fault:  # a guardrail's
            yield "guardrail", fault["text"]
    if drift := evidence.get("drift"):
        yield "drift", f"{format_number(drift['ratio'])} times its threshold in {drift['column']}"
    if loss := evidence.get("loss"):
        limit = "" if loss["threshold"] is None else f", above {format_number(loss['threshold'])} it is an alarm"
        yield "loss", f"{format_number(loss['mean'])} over {format_count(loss['labels'], 'label')}{limit}"


def _list_shadow_figures(shadow: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if "answered" in shadow:
        yield (
            "shadow",
            f"{shadow['answered']:,} of {format_count(shadow['rows'], 'row')} answered, {shadow['errors']:,} failed",
        )
        if shadow["differing"] is not None:
            yield "decisions", f"{format_share(shadow['differing'])} differ"


def _list_gate_checks(entries: Sequence[LedgerEntry], version: str) -> list[dict[str, str]]:
    """The table of the gate's latest verdict on a version."""
    judged = [e for e in entries if e.versions.get(CANDIDATE_ALIAS) == version and "checks" in e.evidence]
    return [
        {"name": check["name"], "verdict": check["verdict"], "sentence": check["sentence"]}
        for check in (judged[-1].evidence["checks"] if judged else ())
    ]


def _list_review_figures(settings: Settings, problem: Problem, request: ApprovalRequest) -> Iterator[tuple[str, str]]:
    """How wrong people found the new version, and what was served, on the rows that were picked for review."""
    version = request.versions[0]
    try:
        learnt = _find_learnt_day(settings, problem, version)
        states = list(ReviewQueue.read(settings.review.folder).states.values())
        index = LogIndex.from_settings(settings, problem.schema)
        shadow, served = measure_shadow_errors(index, states, version, learnt) if states else (None, None)
    except (DamagedFile, SourceFailed, OSError) as error:
        yield "reviews", f"can't be read: {str(error).splitlines()[0]}"
        return
    if shadow and served and shadow.answered:
        kind = index.label_spec.task.kind
        since = f" after {learnt}" if learnt else ""
        yield f"version {version} on reviewed rows{since}", describe_mean_error(shadow, kind)
        yield "served, on these rows", describe_mean_error(served, kind)


def _find_learnt_day(settings: Settings, problem: Problem, version: str) -> dt.date | None:
    """The day up to which a version may have learnt from rows; None where the registry doesn't say."""
    try:
        facts = ModelRegistry(settings.registry).read_run(version).read_facts()
    except (MlflowException, KeyError, json.JSONDecodeError):
        return None
    return find_completion_day(problem, {name for part in SPLIT_PARTS for name in facts.get(part, [])})


def _link_cards(settings: Settings, request: ApprovalRequest) -> list[tuple[str, str]]:
    """The versions that have a card, with its address."""
    models, folder = ModelRegistry(settings.registry), settings.monitor.folder
    linked = [(version, link_card_page(models, version, folder)) for version in filter(None, request.versions)]
    return [(version, f"/{address}") for version, address in linked if address]


def _list_changes(settings: Settings, request: ApprovalRequest) -> list[str]:
    """Data, code, recipe and settings of the new version beside those of the live one."""
    (new, live), models = request.versions, ModelRegistry(settings.registry)
    try:
        facts = [models.read_run(version).read_facts() for version in (live, new)]
        changes = describe_changes(*facts)
    except (MlflowException, KeyError, json.JSONDecodeError) as error:
        return [f"{UNKNOWN_CHANGES}: {str(error).splitlines()[0]}"]
    more = [f"and {len(changes) - MAX_CHANGES} more"] if len(changes) > MAX_CHANGES else []
    return [*changes[:MAX_CHANGES], *more]


def _list_faults(entry: LedgerEntry) -> Iterator[str]:
    """The data faults of a window's verdict."""
    if "window" in entry.evidence:
        for fault in msgspec.convert(entry.evidence.get(FAULTS_KEY, []), list[DayFault]):
            yield f"{fault.span}: {fault.text} ({fault.cause})"
