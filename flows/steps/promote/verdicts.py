"""What a pass of `make promote` does, in its order: who is compared, what is decided, what is entered and moved."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mlflow.exceptions import MlflowException

from flows.steps.model_version import open_model_version
from flows.steps.promote import paired_evidence
from flows.steps.promote.promotion_case import PromotionCase, record_case
from penumbra.cli import history
from penumbra.core.settings import Settings, SettingsError
from penumbra.logs.shadow_log import REFUSED_FILE
from penumbra.promotion.decision import PromotionDecision, decide_canary, decide_candidate, review_promotion
from penumbra.registry import aliases as moves
from penumbra.registry.ledger import BrokenLedger, Ledger, LedgerEntry, find_last_move
from penumbra.registry.manifest import BrokenBundle
from penumbra.registry.models import ModelRegistry
from penumbra.registry.pointers import CANARY_ALIAS, CANDIDATE_ALIAS, LIVE_ALIAS, PREVIOUS_ALIAS

GATE_VERDICTS = ("pass", "fail", "not enough data")  # what the gate says, of the ledger's verdicts
NO_LIVE_MESSAGE = "Nothing to decide: there is no live model yet: `make train` makes the first."
NO_CANDIDATE_MESSAGE = "There is no candidate: `make train` makes one."


class PromotionRefused(RuntimeError):
    """What was asked for can't be done; says why and what to do."""


PROMOTION_ERRORS = (PromotionRefused, moves.AliasesChanged, BrokenLedger, BrokenBundle, MlflowException, SettingsError)


@dataclass(frozen=True)
class ForcedPromotion:
    """A person's word for a promotion, of the candidate where no version is named."""

    reason: str
    version: str = ""


def prepare_aliases(settings: Settings) -> dict[str, str]:
    """The aliases, once a rollback that the registry doesn't know of is in them. Raises Refused where there is no live
    model."""
    models = ModelRegistry(settings.registry)
    moves.sync_registry(models, settings.service.state, settings.ledger.folder)
    with moves.hold_alias_lock(settings.ledger.folder):
        aliases = models.aliases() or {}
        if LIVE_ALIAS not in aliases:
            raise PromotionRefused(NO_LIVE_MESSAGE)
        last = find_last_move(_read_entries(settings))
        if last and _is_half_done(last, aliases):
            moves.move_aliases(models, aliases, aliases := moves.compute_aliases_after(last, aliases))
    return aliases


def _is_half_done(last: LedgerEntry, aliases: dict[str, str]) -> bool:
    """Was the process killed, or the registry away, after this move was entered?"""
    new, old = last.versions[LIVE_ALIAS], last.versions.get(PREVIOUS_ALIAS)
    before = (
        aliases.get(CANDIDATE_ALIAS) == new if last.kind == "promotion" else aliases.get(PREVIOUS_ALIAS) in (new, old)
    )
    return aliases[LIVE_ALIAS] == old and before


def judge_cases(
    settings: Settings, aliases: dict[str, str], forced: ForcedPromotion | None = None, now: dt.datetime | None = None
) -> list[PromotionCase]:
    """The promoted model beside the previous one, then the candidate beside the live one. Raises Refused, BrokenLedger,
    BrokenBundle, and what the registry raises."""
    now, ledger, models = now or dt.datetime.now(dt.UTC), _read_entries(settings), ModelRegistry(settings.registry)
    if forced:
        return [_build_forced_case(models, aliases, forced)]
    found = [
        _judge_promotion(settings, models, aliases, since, now) for since in _find_promotion_times(ledger, aliases)
    ]
    if aliases.get(CANDIDATE_ALIAS, aliases[LIVE_ALIAS]) != aliases[LIVE_ALIAS]:
        found.append(_judge_candidate(settings, models, aliases, ledger, now))
    return found


def act_on_cases(settings: Settings, cases: Sequence[PromotionCase]) -> str:
    """Enter each verdict and move the aliases as it says; returns the words to end with. Of two passes at once one
    moves them, the other enters that it was overtaken."""
    models, ledger, said = ModelRegistry(settings.registry), Ledger(settings.ledger.folder), []
    for case in cases:
        if case.decision.verdict == "ok":
            said.append(str(case))
            continue
        with moves.hold_alias_lock(settings.ledger.folder):
            said.append(record_case(settings, models, ledger, case))
        if case.decision.verdict == "investigate":
            break  # the candidate was compared with a model that isn't live any more
    history.tag_ledger_entries(models, ledger.folder, ledger.entries())
    return "\n".join(said or [NO_CANDIDATE_MESSAGE])


def _read_entries(settings: Settings) -> list[LedgerEntry]:
    return Ledger(settings.ledger.folder).entries()


def find_gate_verdict(entries: Sequence[LedgerEntry], version: str) -> str | None:
    """The gate's latest word on a version."""
    said = [e.verdict for e in entries if e.verdict in GATE_VERDICTS and e.versions.get(CANDIDATE_ALIAS) == version]
    return said[-1] if said else None


def _find_promotion_times(entries: Sequence[LedgerEntry], aliases: dict[str, str]) -> list[dt.datetime]:
    """When the live model was promoted over the previous one: once, or never where it came otherwise."""
    last = find_last_move(entries)
    pair = {LIVE_ALIAS: aliases[LIVE_ALIAS], PREVIOUS_ALIAS: aliases.get(PREVIOUS_ALIAS)}
    return [last.time] if last and last.kind == "promotion" and last.versions == pair else []


def _judge_promotion(
    settings: Settings, models: ModelRegistry, aliases: dict[str, str], since: dt.datetime, now: dt.datetime
) -> PromotionCase:
    live, previous = (open_model_version(settings, models, aliases[role]) for role in (LIVE_ALIAS, PREVIOUS_ALIAS))
    with live as judged, previous as standard:
        weighed = paired_evidence.weigh_promotion(settings, judged, standard, since, now)
        decision = review_promotion(weighed.evidence, weighed.faults)
        return PromotionCase(LIVE_ALIAS, aliases[LIVE_ALIAS], aliases, decision, judged.data_version, weighed)


def _judge_candidate(
    settings: Settings, models: ModelRegistry, aliases: dict[str, str], entries: Sequence[LedgerEntry], now: dt.datetime
) -> PromotionCase:
    share, since = settings.promotion.canary_share, _find_canary_start(entries, aliases)
    live, new = (open_model_version(settings, models, aliases[role]) for role in (LIVE_ALIAS, CANDIDATE_ALIAS))
    with live as standard, new as judged:
        if share and since:
            weighed = paired_evidence.weigh_canary(settings, standard, judged, since, now)
        else:
            weighed = paired_evidence.weigh_candidate(settings, standard, judged, now)
        decision = decide_candidate(
            weighed.evidence, weighed.faults, find_gate_verdict(entries, aliases[CANDIDATE_ALIAS])
        )
        if share and not since:
            decision = decide_canary(decision, share)
        if why := _read_refusal_reason(settings, aliases[CANDIDATE_ALIAS]):
            decision = replace(
                decision, reason=f"the deployer doesn't let it into the shadow: {why}; {decision.reason}"
            )
        return PromotionCase(CANDIDATE_ALIAS, aliases[CANDIDATE_ALIAS], aliases, decision, judged.data_version, weighed)


def _find_canary_start(entries: Sequence[LedgerEntry], aliases: dict[str, str]) -> dt.datetime | None:
    """Since when the candidate answers for some keys; None where it doesn't."""
    if aliases.get(CANARY_ALIAS) != aliases[CANDIDATE_ALIAS]:
        return None
    begun = [e.time for e in entries if e.kind == "canary" and e.versions.get(CANARY_ALIAS) == aliases[CANARY_ALIAS]]
    return begun[-1] if begun else None


def _read_refusal_reason(settings: Settings, version: str) -> str:
    """Why the deployer refuses this candidate; "" where it doesn't."""
    try:
        refused, why = (settings.service.state / REFUSED_FILE).read_text().split("\n", 1)
    except (OSError, ValueError):
        return ""
    return why.strip() if refused == version else ""


def _build_forced_case(models: ModelRegistry, aliases: dict[str, str], forced: ForcedPromotion) -> PromotionCase:
    version = forced.version or aliases.get(CANDIDATE_ALIAS)
    if not forced.reason.strip():
        raise PromotionRefused('a promotion without evidence needs a reason: make promote FORCE=1 REASON="…"')
    if not version:
        raise PromotionRefused(f'{NO_CANDIDATE_MESSAGE} Or name a version: make promote FORCE=1 VERSION=2 REASON="…"')
    if version == aliases[LIVE_ALIAS]:
        raise PromotionRefused(f"version {version} is live already")
    decision = PromotionDecision("promote", f"forced: {forced.reason}")
    return PromotionCase(CANDIDATE_ALIAS, version, aliases, decision, models.tags(version).get("data_version", ""))
