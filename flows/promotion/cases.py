"""One comparison of two models, with what it leaves in the ledger and moves in the registry."""

from dataclasses import dataclass
from typing import Literal

from flows import history
from flows.promotion.weighing import Weighed
from flows.who import actor
from monitoring.decision import Decision
from settings import Settings
from stores import moves
from stores.ledger import Entry, Event, Ledger
from stores.models import Models
from stores.pointers import CANARY, CANDIDATE, POINTER, PREVIOUS

MOVES = {  # by verdict: the kind of entry, and the aliases that it tells
    "promote": ("promotion", POINTER, PREVIOUS),
    "investigate": ("rollback", POINTER, PREVIOUS),
    "canary": ("canary", CANARY, POINTER),
}


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
        others = moves.without(self.aliases, self.version)
        if self.decision.verdict == "promote":
            return {**others, POINTER: self.version, PREVIOUS: self.aliases[POINTER]}
        if self.decision.verdict == "investigate":
            return moves.rolled_back(self.aliases, self.aliases[PREVIOUS], self.version)
        if self.decision.verdict == "canary":
            return {**self.aliases, CANARY: self.version}
        return others if self.decision.verdict == "reject" else self.aliases

    def __str__(self) -> str:
        head = f"Version {self.version}, {self.role}: {self.decision.verdict}."
        return "\n  ".join([head, self.decision.reason, *([str(self.weighed)] if self.weighed else [])])


def enter(chosen: Settings, models: Models, ledger: Ledger, case: Case) -> str:
    """The verdict, and what it moves. To be called while nobody else moves aliases; returns what is to be said."""
    try:
        moves.require(models, case.aliases)
    except moves.Overtaken as overtaken:
        ledger.append(_verdict(chosen, case, overtaken))
        return f"{case}\n  Nothing was moved: {overtaken}."
    entry = ledger.append(_verdict(chosen, case))
    after = case.after()
    if case.decision.verdict in MOVES:
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
    kind, *roles = MOVES[case.decision.verdict]
    return Event(
        kind=kind,  # type: ignore[arg-type]
        verdict=case.decision.verdict,
        actor=actor(),
        reason=f"entry {verdict.number}: {case.decision.reason}",
        versions={role: after[role] for role in roles},
        data_version=case.data_version,
    )
