"""What a pass of `make promote` does, in its order: who is compared, what is decided, what is entered and moved."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from mlflow.exceptions import MlflowException

from flows import history, weighing
from flows.weighing import Weighed
from flows.who import actor
from monitoring.decision import Decision, of_candidate, of_promotion
from settings import Settings, SettingsError
from stores import moves
from stores.ledger import BrokenLedger, Entry, Event, Ledger, last_move
from stores.models import Models
from stores.pointers import CANDIDATE, POINTER, PREVIOUS
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


@dataclass(frozen=True)
class Case:
    """One comparison: who is judged, the aliases as they were, what follows, and what from (None: a person's word)."""

    role: Literal["candidate", "live"]
    version: str
    aliases: dict[str, str]
    decision: Decision
    data_version: str = ""
    weighed: Weighed | None = None

    def after(self) -> dict[str, str]:
        """The aliases as the verdict makes them."""
        others = _without(self.aliases, self.version)
        if self.decision.verdict == "promote":
            return {**others, POINTER: self.version, PREVIOUS: self.aliases[POINTER]}
        if self.decision.verdict == "investigate":
            return {**self.aliases, POINTER: self.aliases[PREVIOUS], PREVIOUS: self.version}
        return others if self.decision.verdict == "reject" else self.aliases

    def __str__(self) -> str:
        head = f"Version {self.version}, {self.role}: {self.decision.verdict}."
        return "\n  ".join([head, self.decision.reason, *([str(self.weighed)] if self.weighed else [])])


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
            moves.move(models, aliases, aliases := _without(aliases, last.versions[POINTER]) | last.versions)
    return aliases


def _half_done(last: Entry, aliases: dict[str, str]) -> bool:
    """Was the process killed, or the registry away, after this move was entered?"""
    new, old = last.versions[POINTER], last.versions.get(PREVIOUS)
    before = aliases.get(CANDIDATE) == new if last.kind == "promotion" else aliases.get(PREVIOUS) in (new, old)
    return aliases[POINTER] == old and before


def _without(aliases: dict[str, str], version: str) -> dict[str, str]:
    return {alias: other for alias, other in aliases.items() if other != version}


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
        found.append(_candidate(chosen, models, aliases, gate_of(ledger, aliases[CANDIDATE]), now))
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
            said.append(_enter(chosen, models, ledger, case))
        if case.decision.verdict == "investigate":
            break  # the candidate was compared with a model that isn't live any more
    history.export(models, ledger.entries())
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
    live, previous = (weighing.version(chosen, models, aliases[role]) for role in (POINTER, PREVIOUS))
    with live as judged, previous as standard:
        weighed = weighing.promotion(chosen, judged, standard, since, now)
        decision = of_promotion(weighed.evidence, weighed.faults)
        return Case(POINTER, aliases[POINTER], aliases, decision, judged.data_version, weighed)


def _candidate(chosen: Settings, models: Models, aliases: dict[str, str], gate: str | None, now: dt.datetime) -> Case:
    live, new = (weighing.version(chosen, models, aliases[role]) for role in (POINTER, CANDIDATE))
    with live as standard, new as judged:
        weighed = weighing.candidate(chosen, standard, judged, now)
        decision = of_candidate(weighed.evidence, weighed.faults, gate)
        if why := _kept_out(chosen, aliases[CANDIDATE]):
            decision = replace(
                decision, reason=f"the deployer doesn't let it into the shadow: {why}; {decision.reason}"
            )
        return Case(CANDIDATE, aliases[CANDIDATE], aliases, decision, judged.data_version, weighed)


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


def _enter(chosen: Settings, models: Models, ledger: Ledger, case: Case) -> str:
    """The verdict, and what it moves. To be called while nobody else moves aliases; returns what is to be said."""
    try:
        moves.require(models, case.aliases)
    except moves.Overtaken as overtaken:
        ledger.append(_verdict(chosen, case, overtaken))
        return f"{case}\n  Nothing was moved: {overtaken}."
    entry = ledger.append(_verdict(chosen, case))
    after = case.after()
    if after[POINTER] != case.aliases[POINTER]:
        ledger.append(_move(case, after, entry))
    if after != case.aliases:
        moves.move(models, case.aliases, after)
    return f"{case}\n  Live is version {after[POINTER]}; the candidate: {after.get(CANDIDATE, 'none')}."


def _verdict(chosen: Settings, case: Case, overtaken: moves.Overtaken | None = None) -> Event:
    beside = PREVIOUS if case.role == POINTER else POINTER
    unmoved = {history.OVERTAKEN: str(overtaken)} if overtaken else {}
    return Event(
        kind="verdict",
        verdict=case.decision.verdict,
        actor=actor(),
        reason=f"not acted on: {overtaken}; {case.decision.reason}" if overtaken else case.decision.reason,
        versions={case.role: case.version, beside: case.aliases[beside]},
        data_version=case.data_version,
        settings=chosen.model_dump(mode="json", include={"promotion", "labels"}),
        evidence={**unmoved, **(case.weighed.facts() if case.weighed else {})},
    )


def _move(case: Case, after: dict[str, str], verdict: Entry) -> Event:
    return Event(
        kind="promotion" if case.decision.verdict == "promote" else "rollback",
        verdict=case.decision.verdict,
        actor=actor(),
        reason=f"entry {verdict.number}: {case.decision.reason}",
        versions={role: after[role] for role in (POINTER, PREVIOUS)},
        data_version=case.data_version,
    )
