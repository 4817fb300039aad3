"""What follows from the verdict `retrain`: ingest what has arrived, and train, once for each verdict."""

import os
from collections.abc import Callable, Sequence
from typing import Any

import problem
import problem.features
import problem.schema
import problem.source
from flows.experiments import plan
from flows.who import actor
from settings import ROOT, Settings
from stores import versions
from stores.data import DataStore
from stores.ledger import Entry, Event, Ledger
from stores.models import Models
from stores.passes import alone
from stores.pointers import CANDIDATE

EVENT = "penumbra-retrain"
NOTHING_NEW, TRAINED, FAILED, REQUESTED = "nothing new", "trained", "failed", "requested"
WINDOW = "window"
Train = Callable[[str], bool]


def pending(entries: Sequence[Entry]) -> Entry | None:
    """The verdict that nothing was done about yet."""
    done = max((entry.number for entry in entries if entry.kind == "retrain"), default=0)
    asked = [e for e in entries if e.kind == "verdict" and e.verdict == "retrain" and WINDOW in e.evidence]
    return asked[-1] if asked and asked[-1].number > done else None


def newer(chosen: Settings, entries: Sequence[Entry]) -> bool:
    """Has a batch arrived that isn't admitted, or was no version made from the data as it is? By the gate's entries."""
    store = DataStore(chosen.data, problem)
    if set(store.arrived()) - set(store.batches()):
        return True
    data = versions.current(chosen.data)
    return not any(entry.data_version == data and CANDIDATE in entry.versions for entry in entries)


def respond(chosen: Settings, ingest: Callable[[], bool], train: Train) -> str:
    """Do what the last verdict asks for, and enter it; returns what is to be said. Killed on the way, the next pass
    does it. Raises Busy where another process is training, BrokenLedger, and what `plan.make` raises."""
    ledger = Ledger(chosen.ledger.folder)
    verdict = pending(ledger.entries())
    if verdict is None:
        return ""
    with alone(chosen.monitor.folder, "retrain"):
        if pending(ledger.entries()) != verdict:
            return ""
        outcome, version, said = _retrain(chosen, verdict, ingest, train)
        ledger.append(_entry(verdict, outcome, version, said))
    return f"retrain (entry {verdict.number}): {said}"


def locally() -> tuple[Callable[[], bool], Train]:
    """The flows, run here."""
    return lambda: run("ingest"), lambda reason: run("train", reason=reason)


def deployed() -> tuple[Callable[[], bool], Train]:
    """The event that starts the deployed training flow, which ingests on its own schedule."""
    from metaflow.integrations import ArgoEvent

    return lambda: True, lambda reason: bool(ArgoEvent(EVENT).publish(payload={"reason": reason}))


def is_deployed() -> bool:
    return "ARGO_WORKFLOW_NAME" in os.environ


def run(flow: str, **parameters: Any) -> bool:
    """One of the flows in a process of its own; did it succeed?"""
    from metaflow import Runner

    with Runner(str(ROOT / "flows" / f"{flow}.py"), pylint=False, show_output=True).run(**parameters) as running:
        return running.status == "successful"


def _retrain(chosen: Settings, verdict: Entry, ingest: Callable[[], bool], train: Train) -> tuple[str, str, str]:
    """The outcome, the new version where there is one, and both in words."""
    if not ingest():
        return FAILED, "", "nothing was trained: the ingest failed, see its output"
    made = plan.make(chosen)
    if known := plan.trained_as(made, chosen):
        return NOTHING_NEW, "", f"nothing to train: version {known} was made from this data, code and settings"
    if not train(f"entry {verdict.number}: {verdict.reason}"):
        return FAILED, "", "the training failed, see its output"
    version = plan.trained_as(made, chosen)
    if not version:
        return REQUESTED, "", "the training was asked for"
    passed = (Models(chosen.registry).aliases() or {}).get(CANDIDATE) == version
    became = "is the candidate, and has to earn its place in the shadow" if passed else "did not pass the gate"
    return TRAINED, version, f"version {version} was made and {became}"


def _entry(verdict: Entry, outcome: str, version: str, said: str) -> Event:
    return Event(
        kind="retrain",
        verdict=outcome,
        actor=actor(),
        reason=f"entry {verdict.number}: {verdict.reason}; {said}",
        versions={"new": version} if version else {},
        evidence={"verdict": verdict.number, WINDOW: verdict.evidence[WINDOW]},
    )
