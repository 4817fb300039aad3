"""A promotion pass, in its order: prepare the aliases, judge candidate and promotion, record the verdicts."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from flows.steps.model_version import ModelVersion, open_model_version
from flows.steps.promote import paired_evidence
from flows.steps.promote.promotion_case import PromotionCase, record_case
from flows.steps.promote.version_history import (
    find_canary_start,
    find_gate_days,
    find_gate_verdict,
    find_promotion_time,
)
from penumbra.approvals.voiding import void_outdated_promotions
from penumbra.core.problem import Problem, ProblemError
from penumbra.core.settings import Settings, SettingsError
from penumbra.data.source_reader import SourceFailed
from penumbra.logs.replicas.log_union import read_coverage
from penumbra.promotion.decision import PromotionDecision, decide_canary, decide_candidate, review_promotion
from penumbra.promotion.unseen_losses import EarlierDays
from penumbra.registry.aliases import AliasesChanged, hold_alias_lock, sync_registry
from penumbra.registry.bundles.manifest import BrokenBundle, UnfitBundle, drop_way_out
from penumbra.registry.errors import MlflowException
from penumbra.registry.history import ledger_sync
from penumbra.registry.history.ledger_entries import BrokenLedger, LedgerEntry
from penumbra.registry.history.shared_ledger import open_ledger
from penumbra.registry.models import ModelRegistry
from penumbra.registry.pointers import CANDIDATE_ALIAS, LIVE_ALIAS, PREVIOUS_ALIAS, read_refusal
from penumbra.storage.sealed import DamagedFile

NO_LIVE_MESSAGE = "Nothing to decide: there is no live model yet: `make train` makes the first."
NO_CANDIDATE_MESSAGE = "There is no candidate: `make train` makes one."


class PromotionRefused(RuntimeError):
    """A promotion pass can't do what it was asked to; the message says why and what to do."""


PROMOTION_ERRORS = (
    PromotionRefused,
    AliasesChanged,
    BrokenLedger,
    BrokenBundle,
    MlflowException,
    SettingsError,
    ProblemError,
    SourceFailed,
    DamagedFile,
)


@dataclass(frozen=True)
class ForcedPromotion:
    """A person's order to promote `version`, or the candidate if it is "", whatever the evidence."""

    reason: str
    version: str = ""


def prepare_aliases(settings: Settings) -> dict[str, str]:
    """Read the aliases, after a rollback that the registry missed and a move that was cut short are carried through.

    Args:
        settings: Sections [registry], [service] (`state`) and [ledger] are read.

    Returns:
        The versions by alias.

    Raises:
        PromotionRefused: There is no live model.
        AliasesChanged: Somebody else moved the aliases meanwhile.
        BrokenLedger: The ledger isn't whole, or the live model's past isn't here.
        MlflowException: The registry can't be reached.
    """
    models, ledger = ModelRegistry(settings.registry), open_ledger(settings)
    sync_registry(models, settings.service.state, ledger)
    entries = ledger.entries()
    ledger_sync.require_history(settings, models.aliases(), entries)
    with hold_alias_lock(ledger):
        before = models.aliases() or {}
        aliases = ledger_sync.finish_last_move(models, entries)
    if aliases != before:
        ledger_sync.tag_ledger_entries(models, ledger, entries)
    if LIVE_ALIAS not in aliases:
        raise PromotionRefused(NO_LIVE_MESSAGE)
    return aliases


def judge_cases(
    settings: Settings,
    problem: Problem,
    aliases: dict[str, str],
    forced: ForcedPromotion | None = None,
    now: dt.datetime | None = None,
) -> list[PromotionCase]:
    """Compare the promoted model with the previous one, then the candidate with the live one.

    Args:
        settings: All of them; sections [promotion] and [labels] are recorded with the verdicts.
        problem: The problem, with schema, source and features.
        aliases: The versions by alias, as `prepare_aliases` gives them.
        forced: A person's order; nothing is compared then.
        now: The time by which labels are due; None for the clock's.

    Returns:
        The cases, in the order in which they are acted on; [] if there is nothing to compare.

    Raises:
        PromotionRefused: The forced promotion can't be.
        BrokenLedger: The ledger isn't whole.
        BrokenBundle: A version's bundle is damaged, or the problem has changed so that a version can't answer.
        MlflowException: The registry can't be reached.
    """
    now, entries, models = now or dt.datetime.now(dt.UTC), _read_entries(settings), ModelRegistry(settings.registry)
    if coverage := read_coverage(settings):  # a day counts once it is whole
        now = min(now, coverage.find_complete_until())
    if forced:
        return [_build_forced_case(settings, problem, models, aliases, forced)]
    cases = []
    if since := find_promotion_time(entries, aliases):
        cases.append(_judge_promotion(settings, problem, models, aliases, since, now))
    if aliases.get(CANDIDATE_ALIAS, aliases[LIVE_ALIAS]) != aliases[LIVE_ALIAS]:
        cases.append(_judge_candidate(settings, problem, models, aliases, entries, now))
    return cases


def act_on_cases(settings: Settings, cases: Sequence[PromotionCase], flow_run: str = "") -> str:
    """Enter each verdict into the ledger and move the aliases by it, or let it wait for people.

    Of two passes at once one moves them, the other enters that it was overtaken.

    Args:
        settings: Sections [registry] and [ledger], and those that are recorded with the verdicts.
        cases: The comparisons, as `judge_cases` gives them.
        flow_run: The flow's run, which may act on them again after its machine was lost; what it entered stays once.

    Returns:
        The words that `make promote` ends with.
    """
    models, ledger = ModelRegistry(settings.registry), open_ledger(settings)
    judged = {case.version: (case.decision.verdict, case.decision.reason) for case in cases}
    lines = void_outdated_promotions(ledger, models.aliases() or {}, judged, settings.promotion.approve)
    for case in (replace(each, flow_run=flow_run) for each in cases):
        if case.decision.verdict == "ok":
            lines.append(str(case))
            continue
        with hold_alias_lock(ledger) as check_lock:
            record = partial(record_case, settings, models, ledger, case)
            lines.append(ledger.decide_on_entries(record, check_lock))
        if case.decision.verdict == "investigate":
            break  # the candidate was compared with a model that isn't live any more
    ledger_sync.tag_ledger_entries(models, ledger, ledger.entries())
    return "\n".join(lines if cases else [*lines, NO_CANDIDATE_MESSAGE])


def _read_entries(settings: Settings) -> list[LedgerEntry]:
    return open_ledger(settings).entries()


def _judge_promotion(
    settings: Settings,
    problem: Problem,
    models: ModelRegistry,
    aliases: dict[str, str],
    since: dt.datetime,
    now: dt.datetime,
) -> PromotionCase:
    live, previous = (
        open_model_version(settings, problem, models, aliases[role]) for role in (LIVE_ALIAS, PREVIOUS_ALIAS)
    )
    with live as judged, previous as reference:
        if why := _explain_unfitness(judged) or drop_way_out(_explain_unfitness(reference)):
            decision = PromotionDecision("ok", f"it isn't compared with the previous version: {why}")
            return PromotionCase(LIVE_ALIAS, aliases[LIVE_ALIAS], aliases, decision, judged.data_version)
        comparison = paired_evidence.compare_promotion(settings, judged, reference, since, now)
        decision = review_promotion(comparison.evidence, comparison.faults)
        return PromotionCase(LIVE_ALIAS, aliases[LIVE_ALIAS], aliases, decision, judged.data_version, comparison)


def _explain_unfitness(version: ModelVersion) -> str:
    """Return why a version can't answer with this code, "" if it can."""
    try:
        version.require_fit()
    except UnfitBundle as unfit:
        return str(unfit)
    return ""


def _judge_candidate(
    settings: Settings,
    problem: Problem,
    models: ModelRegistry,
    aliases: dict[str, str],
    entries: Sequence[LedgerEntry],
    now: dt.datetime,
) -> PromotionCase:
    share, since = settings.promotion.canary_share, find_canary_start(entries, aliases)
    live, new = (open_model_version(settings, problem, models, aliases[role]) for role in (LIVE_ALIAS, CANDIDATE_ALIAS))
    with live as standard, new as judged:
        standard.require_fit()
        if why := _explain_unfitness(judged):
            decision = PromotionDecision("keep collecting", why)
            return PromotionCase(CANDIDATE_ALIAS, aliases[CANDIDATE_ALIAS], aliases, decision, judged.data_version)
        earlier = EarlierDays()
        if share and since:
            comparison = paired_evidence.compare_canary(settings, standard, judged, since, now)
        else:
            earlier = find_gate_days(entries, aliases[CANDIDATE_ALIAS], aliases[LIVE_ALIAS])
            comparison = paired_evidence.compare_candidate(settings, standard, judged, now, earlier)
        decision = decide_candidate(
            comparison.evidence, comparison.faults, find_gate_verdict(entries, aliases[CANDIDATE_ALIAS])
        )
        if share and not since:
            decision = decide_canary(decision, share)
        waits_for = comparison.waits_for if decision.verdict == "keep collecting" else []
        details = (*decision.details, *waits_for, *filter(None, [earlier.fault]))
        decision = replace(decision, details=details)
        if why := _read_refusal_reason(settings, aliases[CANDIDATE_ALIAS]):
            refused = f"the deployer doesn't let it into the shadow: {why}"
            decision = replace(decision, reason=refused, details=(decision.reason, *details))
        return PromotionCase(
            CANDIDATE_ALIAS, aliases[CANDIDATE_ALIAS], aliases, decision, judged.data_version, comparison
        )


def _read_refusal_reason(settings: Settings, version: str) -> str:
    """Return why the deployer refuses this candidate; "" if it doesn't."""
    refused, why = read_refusal(settings.service.state)
    return why if refused == version else ""


def _build_forced_case(
    settings: Settings, problem: Problem, models: ModelRegistry, aliases: dict[str, str], forced: ForcedPromotion
) -> PromotionCase:
    version = forced.version or aliases.get(CANDIDATE_ALIAS)
    if not forced.reason.strip():
        raise PromotionRefused('a promotion without evidence needs a reason: penumbra promote --force --reason "…"')
    if not version:
        raise PromotionRefused(
            f'{NO_CANDIDATE_MESSAGE} Or name a version: penumbra promote --force --version 2 --reason "…"'
        )
    if version == aliases[LIVE_ALIAS]:
        raise PromotionRefused(f"version {version} is live already")
    with open_model_version(settings, problem, models, version) as opened:
        opened.require_fit()
    decision = PromotionDecision("promote", f"forced: {forced.reason}")
    return PromotionCase(CANDIDATE_ALIAS, version, aliases, decision, models.tags(version).get("data_version", ""))
