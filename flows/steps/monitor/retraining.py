"""The response to the verdict `retrain`: ingest what has arrived and train, once for each verdict."""

import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from flows.steps import REASON_VARIABLE, RESULT_VARIABLE
from flows.steps.ingest.ingestion import settle_ingest
from flows.steps.processes.flow_locks import hold_monitor_pass
from flows.steps.train import plan
from penumbra.approvals.requests import APPROVERS_KEY, REQUEST_KEY, list_requests
from penumbra.approvals.voiding import void_outdated_retrainings
from penumbra.core.problem import Problem
from penumbra.core.settings import PROJECT_ROOT, DataSettings, Settings
from penumbra.core.system.actor import get_actor
from penumbra.core.system.process_tree import describe_exit_code
from penumbra.data.batches import DataStore
from penumbra.data.versioning import versions
from penumbra.data.versioning.admitted import list_recorded_batches
from penumbra.registry.history.ledger_entries import LedgerEntry, LedgerEvent
from penumbra.registry.history.shared_ledger import open_ledger
from penumbra.registry.models import ModelRegistry
from penumbra.registry.pointers import CANDIDATE_ALIAS

RETRAIN_EVENT = "penumbra-retrain"
NOTHING_NEW, TRAINED, FAILED, REQUESTED = "nothing new", "trained", "failed", "requested"
WINDOW_KEY = "window"
SEE_OUTPUT = "see its output"
TrainFunction = Callable[[str], bool]


class FlowFailed(RuntimeError):
    """A flow in a process of its own stopped; says why."""


def find_pending_verdict(entries: Sequence[LedgerEntry], approve: str = "people") -> LedgerEntry | None:
    """Find the last verdict that asks for a retraining and had none yet.

    Args:
        entries: The ledger's entries.
        approve: The setting `monitor.approve`, as it is now.

    Returns:
        The verdict's entry, or None. One that waits for people isn't found until they approved it, or the rule decides
        again.
    """
    settled = ("approved",) if approve == "people" else ("approved", "waiting")
    unapproved = {request.number for request in list_requests(entries) if request.status not in settled}
    done = max((entry.number for entry in entries if entry.kind == "retrain"), default=0)
    asked = [
        entry
        for entry in entries
        if entry.kind == "verdict"
        and entry.verdict == "retrain"
        and WINDOW_KEY in entry.evidence
        and entry.number not in unapproved
    ]
    return asked[-1] if asked and asked[-1].number > done else None


def has_new_data(data: DataSettings, problem: Problem, entries: Sequence[LedgerEntry]) -> bool:
    """Say whether there is data that no version was made from.

    Args:
        data: The settings' section `data`.
        problem: The user's problem.
        entries: The ledger's entries; the gate's name the data versions that models were made from.

    Returns:
        Whether a batch has arrived that isn't admitted, or no version was made from the data as it is.
    """
    store = DataStore(data, problem)
    recorded, version = store.batches(), versions.compute_data_version(data)
    if not recorded:  # a machine whose work folder is empty
        listing = versions.read_recorded_listing(data, fetch=True)
        recorded, version = list_recorded_batches(listing), versions.read_recorded_version(data)
    if set(store.arrived()) - set(recorded):
        return True
    return not any(entry.data_version == version and CANDIDATE_ALIAS in entry.versions for entry in entries)


def respond_to_verdict(settings: Settings, problem: Problem, ingest: Callable[[], bool], train: TrainFunction) -> str:
    """Retrain where the last verdict asks for it, and enter the outcome in the ledger. A pass that is killed leaves the
    verdict pending, for the next one.

    Args:
        settings: The settings.
        problem: The user's problem.
        ingest: Ingests the batches that have arrived; returns whether it succeeded.
        train: Trains for a reason; returns whether it succeeded.

    Returns:
        The outcome in one sentence; "" where no verdict is pending.

    Raises:
        PassInProgress: Another process is training.
        BrokenLedger: The ledger is damaged.
        MlflowException: The registry can't be read.
    """
    ledger = open_ledger(settings)
    for sentence in void_outdated_retrainings(ledger):
        print(sentence)
    approve = settings.monitor.approve
    verdict = find_pending_verdict(ledger.entries(), approve)
    if verdict is None:
        return ""
    with hold_monitor_pass(settings, "retrain"):
        if find_pending_verdict(ledger.entries(), approve) != verdict:
            return ""
        outcome, version, sentence = _ingest_and_train(settings, problem, verdict, ingest, train)
        requests = [each for each in list_requests(ledger.entries()) if each.number == verdict.number]
        approvers = [name for request in requests for name in request.list_approvers()]
        event = _build_retrain_event(verdict, outcome, version, sentence, approvers)
        ledger.append_once(event, lambda e: (e.kind, e.evidence.get(REQUEST_KEY)) == ("retrain", verdict.number))
        void_outdated_retrainings(ledger)  # where the rule decided for those who were asked
    return f"retrain (entry {verdict.number}): {sentence}"


def make_local_runners() -> tuple[Callable[[], bool], TrainFunction]:
    """Make the functions that run the flows here; the ingest only where a batch has arrived.

    Returns:
        Functions for ingest and training, for `respond_to_verdict`.
    """
    return (
        lambda: settle_ingest() or run_retraining_flow("ingest"),
        lambda reason: run_retraining_flow("train", reason=reason),
    )


def make_deployed_runners() -> tuple[Callable[[], bool], TrainFunction]:
    """Make the functions for deployed flows: an event starts the training flow, which ingests on its own schedule.

    Returns:
        Functions for ingest and training, for `respond_to_verdict`.
    """
    from metaflow.integrations import ArgoEvent

    return lambda: True, lambda reason: bool(ArgoEvent(RETRAIN_EVENT).publish(payload={"reason": reason}))


def run_retraining_flow(flow: str, **parameters: Any) -> bool:
    """Run a flow in a process of its own.

    Args:
        flow: The name of the flow's file in flows/, without ".py".
        **parameters: The flow's parameters.

    Returns:
        True, that it succeeded.

    Raises:
        FlowFailed: It didn't.
    """
    from metaflow import Runner

    path = str(PROJECT_ROOT / "flows" / f"{flow}.py")
    with tempfile.TemporaryDirectory() as folder:
        reason = Path(folder) / "reason.txt"
        runner = Runner(
            path, pylint=False, show_output=True, env={**os.environ, REASON_VARIABLE: str(reason), RESULT_VARIABLE: ""}
        )
        with runner.run(**parameters) as running:
            if running.status != "successful":
                raise FlowFailed(reason.read_text() if reason.exists() else _describe_end(running.returncode))
    return True


def _ingest_and_train(
    settings: Settings, problem: Problem, verdict: LedgerEntry, ingest: Callable[[], bool], train: TrainFunction
) -> tuple[str, str, str]:
    """Ingest and train. Returns the outcome, the new version ("" for none), and both in words."""
    if failure := _run_to_failure(ingest):
        return FAILED, "", f"nothing was trained: the ingest failed, {failure}"
    training_plan = plan.make_plan(settings, problem)
    known = plan.find_trained_version(training_plan, settings)
    if known and _is_judged_since(
        settings, verdict, known
    ):  # by an earlier pass, which was killed before it entered it
        return TRAINED, known, _describe_new_version(settings, known)
    if known:
        return NOTHING_NEW, "", f"nothing to train: version {known} was made from this data, code and settings"
    if failure := _run_to_failure(lambda: train(f"entry {verdict.number}: {verdict.reason}")):
        return FAILED, "", f"the training failed, {failure}"
    version = plan.find_trained_version(training_plan, settings)
    if not version:
        return REQUESTED, "", "the training was asked for"
    return TRAINED, version, _describe_new_version(settings, version)


def _is_judged_since(settings: Settings, verdict: LedgerEntry, version: str) -> bool:
    """Tell whether the gate has judged a version after this verdict."""
    later = open_ledger(settings).entries()[verdict.number :]
    return any(entry.kind == "verdict" and entry.versions.get(CANDIDATE_ALIAS) == version for entry in later)


def _describe_new_version(settings: Settings, version: str) -> str:
    passed = (ModelRegistry(settings.registry).aliases() or {}).get(CANDIDATE_ALIAS) == version
    became = "is the candidate, and has to earn its place in the shadow" if passed else "did not pass the gate"
    return f"version {version} was made and {became}"


def _describe_end(code: int | None) -> str:
    """Why a flow ended that left no reason, by its exit code, which is negative for a signal."""
    return f"it was ended by {describe_exit_code(code)}" if code and code < 0 else SEE_OUTPUT


def _run_to_failure(run: Callable[[], bool]) -> str:
    """Run a flow. Returns why it failed, "" if it didn't."""
    try:
        return "" if run() else SEE_OUTPUT
    except FlowFailed as failure:
        return str(failure)


def _build_retrain_event(
    verdict: LedgerEntry, outcome: str, version: str, sentence: str, approvers: Sequence[str]
) -> LedgerEvent:
    approved = {APPROVERS_KEY: list(approvers)} if approvers else {}
    return LedgerEvent(
        kind="retrain",
        verdict=outcome,
        actor=get_actor(),
        reason=f"entry {verdict.number}: {verdict.reason}; {sentence}",
        versions={"new": version} if version else {},
        evidence={REQUEST_KEY: verdict.number, WINDOW_KEY: verdict.evidence[WINDOW_KEY], **approved},
    )
