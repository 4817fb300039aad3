"""What follows from the verdict `retrain`: ingest what has arrived, and train, once for each verdict."""

import os
from collections.abc import Callable, Sequence
from typing import Any

from flows.steps.train import plan
from penumbra.core.actor import get_actor
from penumbra.core.problem import Problem
from penumbra.core.settings import PROJECT_ROOT, Settings
from penumbra.data import versions
from penumbra.data.batches import DataStore
from penumbra.registry.ledger import Ledger, LedgerEntry, LedgerEvent
from penumbra.registry.models import ModelRegistry
from penumbra.registry.pointers import CANDIDATE_ALIAS
from penumbra.storage.locks import hold_pass_lock

RETRAIN_EVENT = "penumbra-retrain"
NOTHING_NEW, TRAINED, FAILED, REQUESTED = "nothing new", "trained", "failed", "requested"
WINDOW_KEY = "window"
TrainFunction = Callable[[str], bool]


def find_pending_verdict(entries: Sequence[LedgerEntry]) -> LedgerEntry | None:
    """The verdict that nothing was done about yet."""
    done = max((entry.number for entry in entries if entry.kind == "retrain"), default=0)
    asked = [e for e in entries if e.kind == "verdict" and e.verdict == "retrain" and WINDOW_KEY in e.evidence]
    return asked[-1] if asked and asked[-1].number > done else None


def has_new_data(settings: Settings, problem: Problem, entries: Sequence[LedgerEntry]) -> bool:
    """Has a batch arrived that isn't admitted, or was no version made from the data as it is? By the gate's entries."""
    store = DataStore(settings.data, problem)
    if set(store.arrived()) - set(store.batches()):
        return True
    data = versions.compute_data_version(settings.data)
    return not any(entry.data_version == data and CANDIDATE_ALIAS in entry.versions for entry in entries)


def respond_to_verdict(settings: Settings, problem: Problem, ingest: Callable[[], bool], train: TrainFunction) -> str:
    """Do what the last verdict asks for, and enter it; returns what is to be said. Killed on the way, the next pass
    does it. Raises Busy where another process is training, BrokenLedger, and what `plan.make` raises."""
    ledger = Ledger(settings.ledger.folder)
    verdict = find_pending_verdict(ledger.entries())
    if verdict is None:
        return ""
    with hold_pass_lock(settings.monitor.folder, "retrain"):
        if find_pending_verdict(ledger.entries()) != verdict:
            return ""
        outcome, version, said = _ingest_and_train(settings, problem, verdict, ingest, train)
        ledger.append(_build_retrain_event(verdict, outcome, version, said))
    return f"retrain (entry {verdict.number}): {said}"


def make_local_runners() -> tuple[Callable[[], bool], TrainFunction]:
    """The flows, run here."""
    return lambda: run_flow("ingest"), lambda reason: run_flow("train", reason=reason)


def make_deployed_runners() -> tuple[Callable[[], bool], TrainFunction]:
    """The event that starts the deployed training flow, which ingests on its own schedule."""
    from metaflow.integrations import ArgoEvent

    return lambda: True, lambda reason: bool(ArgoEvent(RETRAIN_EVENT).publish(payload={"reason": reason}))


def is_deployed() -> bool:
    return "ARGO_WORKFLOW_NAME" in os.environ


def run_flow(flow: str, **parameters: Any) -> bool:
    """One of the flows in a process of its own; did it succeed?"""
    from metaflow import Runner

    with Runner(str(PROJECT_ROOT / "flows" / f"{flow}.py"), pylint=False, show_output=True).run(
        **parameters
    ) as running:
        return running.status == "successful"


def _ingest_and_train(
    settings: Settings, problem: Problem, verdict: LedgerEntry, ingest: Callable[[], bool], train: TrainFunction
) -> tuple[str, str, str]:
    """The outcome, the new version where there is one, and both in words."""
    if not ingest():
        return FAILED, "", "nothing was trained: the ingest failed, see its output"
    made = plan.make_plan(settings, problem)
    if known := plan.find_trained_version(made, settings):
        return NOTHING_NEW, "", f"nothing to train: version {known} was made from this data, code and settings"
    if not train(f"entry {verdict.number}: {verdict.reason}"):
        return FAILED, "", "the training failed, see its output"
    version = plan.find_trained_version(made, settings)
    if not version:
        return REQUESTED, "", "the training was asked for"
    passed = (ModelRegistry(settings.registry).aliases() or {}).get(CANDIDATE_ALIAS) == version
    became = "is the candidate, and has to earn its place in the shadow" if passed else "did not pass the gate"
    return TRAINED, version, f"version {version} was made and {became}"


def _build_retrain_event(verdict: LedgerEntry, outcome: str, version: str, said: str) -> LedgerEvent:
    return LedgerEvent(
        kind="retrain",
        verdict=outcome,
        actor=get_actor(),
        reason=f"entry {verdict.number}: {verdict.reason}; {said}",
        versions={"new": version} if version else {},
        evidence={"verdict": verdict.number, WINDOW_KEY: verdict.evidence[WINDOW_KEY]},
    )
