"""What a pass of `make promote` does, in its order: who is compared, what is decided, what is entered and moved."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mlflow.exceptions import MlflowException

from flows import history
from flows.promotion import weighing
from flows.promotion.bundled import version
from flows.promotion.cases import Case, enter
from monitoring.decision import Decision, before_all, of_candidate, of_promotion
from settings import Settings, SettingsError
from stores import moves
from stores.ledger import BrokenLedger, Entry, Ledger, last_move
from stores.models import Models
from stores.pointers import CANARY, CANDIDATE, POINTER, PREVIOUS
from stores.sealed import BrokenBundle
from stores.shadow import REFUSED

GATE = ("pass", "fail", "not enough data")  # what the gate says, of the ledger's verdicts
NOTHING = "Nothing to decide: there is no live model yet: `make train` makes the first."
NO_CANDIDATE = "There is no candidate: `make train` makes one."


class Refused(RuntimeError):
    """What was asked for can't be done; says why and what to do."""


EXPECTED = (Refused, moves.Overtaken, BrokenLedger, BrokenBundle, MlflowException, SettingsError)


@dataclass(frozen=True)
class Forced:
    """A person's word for a promotion, of the candidate where no version is named."""

    reason: str
    version: str = ""


def begin(chosen: Settings) -> dict[str, str]:
    """The aliases, once a rollback that the registry doesn't know of is in them. Raises Refused where there is no live
    model."""
    models = Models(chosen.registry)
    moves.settle(models, chosen.service.state, chosen.ledger.folder)
    with moves.alone(chosen.ledger.folder):
        aliases = models.aliases() or {}
        if POINTER not in aliases:
            raise Refused(NOTHING)
        last = last_move(_entries(chosen))
        if last and _half_done(last, aliases):
            moves.move(models, aliases, aliases := moves.after(last, aliases))
    return aliases


def _half_done(last: Entry, aliases: dict[str, str]) -> bool:
    """Was the process killed, or the registry away, after this move was entered?"""
    new, old = last.versions[POINTER], last.versions.get(PREVIOUS)
    before = aliases.get(CANDIDATE) == new if last.kind == "promotion" else aliases.get(PREVIOUS) in (new, old)
    return aliases[POINTER] == old and before


def judge(
    chosen: Settings, aliases: dict[str, str], forced: Forced | None = None, now: dt.datetime | None = None
) -> list[Case]:
    """The promoted model beside the previous one, then the candidate beside the live one. Raises Refused, BrokenLedger,
    BrokenBundle, and what the registry raises."""
    now, ledger, models = now or dt.datetime.now(dt.UTC), _entries(chosen), Models(chosen.registry)
    if forced:
        return [_forced(models, aliases, forced)]
    found = [_promotion(chosen, models, aliases, since, now) for since in _promoted(ledger, aliases)]
    if aliases.get(CANDIDATE, aliases[POINTER]) != aliases[POINTER]:
        found.append(_candidate(chosen, models, aliases, ledger, now))
    return found


def act(chosen: Settings, cases: Sequence[Case]) -> str:
    """Enter each verdict and move the aliases as it says; returns the words to end with. Of two passes at once one
    moves them, the other enters that it was overtaken."""
    models, ledger, said = Models(chosen.registry), Ledger(chosen.ledger.folder), []
    for case in cases:
        if case.decision.verdict == "ok":
            said.append(str(case))
            continue
        with moves.alone(chosen.ledger.folder):
            said.append(enter(chosen, models, ledger, case))
        if case.decision.verdict == "investigate":
            break  # the candidate was compared with a model that isn't live any more
    history.export(models, ledger.folder, ledger.entries())
    return "\n".join(said or [NO_CANDIDATE])


def _entries(chosen: Settings) -> list[Entry]:
    return Ledger(chosen.ledger.folder).entries()


def gate_of(entries: Sequence[Entry], version: str) -> str | None:
    """The gate's latest word on a version."""
    said = [e.verdict for e in entries if e.verdict in GATE and e.versions.get(CANDIDATE) == version]
    return said[-1] if said else None


def _promoted(entries: Sequence[Entry], aliases: dict[str, str]) -> list[dt.datetime]:
    """When the live model was promoted over the previous one: once, or never where it came otherwise."""
    last = last_move(entries)
    pair = {POINTER: aliases[POINTER], PREVIOUS: aliases.get(PREVIOUS)}
    return [last.time] if last and last.kind == "promotion" and last.versions == pair else []


def _promotion(chosen: Settings, models: Models, aliases: dict[str, str], since: dt.datetime, now: dt.datetime) -> Case:
    live, previous = (version(chosen, models, aliases[role]) for role in (POINTER, PREVIOUS))
    with live as judged, previous as standard:
        weighed = weighing.promotion(chosen, judged, standard, since, now)
        decision = of_promotion(weighed.evidence, weighed.faults)
        return Case(POINTER, aliases[POINTER], aliases, decision, judged.data_version, weighed)


def _candidate(
    chosen: Settings, models: Models, aliases: dict[str, str], entries: Sequence[Entry], now: dt.datetime
) -> Case:
    share, since = chosen.promotion.canary_share, _canary_since(entries, aliases)
    live, new = (version(chosen, models, aliases[role]) for role in (POINTER, CANDIDATE))
    with live as standard, new as judged:
        if share and since:
            weighed = weighing.canary(chosen, standard, judged, since, now)
        else:
            weighed = weighing.candidate(chosen, standard, judged, now)
        decision = of_candidate(weighed.evidence, weighed.faults, gate_of(entries, aliases[CANDIDATE]))
        if share and not since:
            decision = before_all(decision, share)
        if why := _kept_out(chosen, aliases[CANDIDATE]):
            decision = replace(
                decision, reason=f"the deployer doesn't let it into the shadow: {why}; {decision.reason}"
            )
        return Case(CANDIDATE, aliases[CANDIDATE], aliases, decision, judged.data_version, weighed)


def _canary_since(entries: Sequence[Entry], aliases: dict[str, str]) -> dt.datetime | None:
    """Since when the candidate answers for some keys; None where it doesn't."""
    if aliases.get(CANARY) != aliases[CANDIDATE]:
        return None
    begun = [e.time for e in entries if e.kind == "canary" and e.versions.get(CANARY) == aliases[CANARY]]
    return begun[-1] if begun else None


def _kept_out(chosen: Settings, version: str) -> str:
    """Why the deployer refuses this candidate; "" where it doesn't."""
    try:
        refused, why = (chosen.service.state / REFUSED).read_text().split("\n", 1)
    except (OSError, ValueError):
        return ""
    return why.strip() if refused == version else ""


def _forced(models: Models, aliases: dict[str, str], forced: Forced) -> Case:
    version = forced.version or aliases.get(CANDIDATE)
    if not forced.reason.strip():
        raise Refused('a promotion without evidence needs a reason: make promote FORCE=1 REASON="…"')
    if not version:
        raise Refused(f'{NO_CANDIDATE} Or name a version: make promote FORCE=1 VERSION=2 REASON="…"')
    if version == aliases[POINTER]:
        raise Refused(f"version {version} is live already")
    decision = Decision("promote", f"forced: {forced.reason}")
    return Case(CANDIDATE, version, aliases, decision, models.tags(version).get("data_version", ""))
