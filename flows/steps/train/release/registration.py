"""The end of a training run: bundle, MLflow runs, model version, ledger, alias and receipt.

All that these steps need is written into one file first. Each step finds out whether it was done already, so that
whoever finds the file carries out what a killed process has left: the model isn't trained again, and no version answers
that the ledger doesn't have.
"""

import contextlib
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from flows.steps.train.batch_words import describe_batches
from flows.steps.train.release.bundle_completion import complete_bundle
from flows.steps.train.release.card_records import read_card_beginning
from flows.steps.train.release.outcome import TrainingOutcome
from flows.steps.train.release.outcome_summary import (
    OutcomeSummary,
    describe_outcome,
    describe_replaced_candidate,
    summarise_outcome,
)
from flows.steps.train.release.run_record import TrainingRuns, build_training_runs, record_training_runs
from penumbra.core.settings import PROJECT_ROOT, Settings
from penumbra.core.system.actor import get_actor
from penumbra.data.failure_set import FailureSet
from penumbra.registry import aliases
from penumbra.registry.history import ledger_sync
from penumbra.registry.history.ledger import Ledger
from penumbra.registry.history.ledger_entries import COMPARED_DAYS_KEY, BrokenLedger, LedgerEntry, LedgerEvent
from penumbra.registry.history.shared_ledger import open_ledger
from penumbra.registry.models import REGISTRY_ERRORS, ModelRegistry
from penumbra.registry.pointers import CANDIDATE_ALIAS, LIVE_ALIAS
from penumbra.registry.tracking.run_records import KEY_TAG
from penumbra.storage.atomic import replace_file
from penumbra.storage.cache import RunReceipts
from penumbra.storage.fingerprints import compute_fingerprint
from penumbra.storage.locks import hold_file_lock
from penumbra.storage.shared.state import exclude_machines

REGISTRATION_LOCK_FILE = "registration.lock"
REGISTRATION_ERRORS = (*REGISTRY_ERRORS, BrokenLedger)
RUN_KEY = "run"  # in the evidence of the gate's verdict: the id of the training's run


class BegunRegistration(msgspec.Struct, frozen=True):
    """All that registering a trained model needs.

    Attributes:
        key: What identifies it among all registrations: see `compute_registration_key`.
        fingerprint: The fingerprint of the training's plan.
        runs: Its MLflow runs.
        is_servable: Whether the model can be registered.
        verdict: The gate's verdict, without the version and the run, which don't exist yet.
        summary: What `make train` ends with, but for version and alias.
    """

    key: str
    fingerprint: str
    runs: TrainingRuns
    is_servable: bool
    verdict: LedgerEvent
    summary: OutcomeSummary


def register_outcome(outcome: TrainingOutcome, reason: str = "") -> str:
    """Record the result of a training, register the model version, if it can be served, and set its alias.

    Args:
        outcome: The result.
        reason: Why it was trained, "" if nobody said.

    Returns:
        The words that `make train` ends with, which are also kept as a receipt.

    Raises:
        BrokenLedger: The ledger isn't whole.
        MlflowException: The registry can't be reached.
    """
    settings = outcome.settings
    if outcome.gate.failed.height:
        FailureSet(settings.training.failures, outcome.matrices.problem.schema.Row).add(outcome.gate.failed)
    begun = BegunRegistration(
        key=compute_registration_key(outcome),
        fingerprint=outcome.plan.fingerprint,
        runs=build_training_runs(outcome, complete_bundle(outcome), reason),
        is_servable=outcome.gate.report.is_servable,
        verdict=_build_verdict(outcome),
        summary=summarise_outcome(outcome),
    )
    return register_begun(settings, begun)


def register_begun(settings: Settings, begun: BegunRegistration) -> str:
    """Carry out a registration, after one that a killed process may have left.

    Args:
        settings: Sections [training], [registry] and [ledger] are read.
        begun: All that it needs.

    Returns:
        The words that it ends with, which are also kept as a receipt.

    Raises:
        BrokenLedger: The ledger isn't whole.
        MlflowException: The registry can't be reached.
    """
    with _hold_registration_lock(settings) as file:
        if text := _finish_from_file(settings, file).get(begun.fingerprint):
            return text
        if text := _describe_other_training(settings, begun):
            return text
        replace_file(file, msgspec.msgpack.encode(begun))
        return _finish(settings, begun, file)


def compute_registration_key(outcome: TrainingOutcome) -> str:
    """Compute what identifies a registration, for each attempt at it the same, wherever it runs.

    Args:
        outcome: The result of the training.

    Returns:
        A digest of the plan, the training's run and the winner.
    """
    facts = outcome.plan.fingerprint, outcome.matrices.arrays.folder.name, str(outcome.winner)
    return compute_fingerprint(PROJECT_ROOT, (), *facts)


def prepare_registration(settings: Settings) -> None:
    """Find out before a training whether its model can be registered, and finish what a killed process has begun.

    A registration that was cut short is carried out, which is printed; runs that nobody records any more are ended.

    Args:
        settings: Sections [training], [registry], [ledger] and [service] are read.

    Raises:
        BrokenLedger: The ledger isn't whole, or the live model's past isn't here.
        MlflowException: The registry can't be reached.
    """
    ledger, models = open_ledger(settings), ModelRegistry(settings.registry)
    ledger.entries()
    with _hold_registration_lock(settings) as file:
        _finish_from_file(settings, file)
        ledger_sync.require_history(settings, models.aliases(), ledger.entries())
        models.end_aborted_runs()


def _build_verdict(outcome: TrainingOutcome) -> LedgerEvent:
    live, facts = outcome.gate.live, outcome.plan.facts
    return LedgerEvent(
        kind="verdict",
        verdict=outcome.gate.report.overall,
        actor=get_actor(),
        reason=f"gate on {describe_batches(outcome.matrices.problem, outcome.plan.split.test)}",
        versions={LIVE_ALIAS: live.version} if live else {},
        data_version=facts["data_version"],
        settings=facts["settings"],
        evidence={**outcome.gate.report.facts(), COMPARED_DAYS_KEY: _list_compared_days(outcome.gate.compared)},
    )


def _list_compared_days(days: pl.DataFrame) -> list[list[Any]]:
    """List days in types of JSON: date, rows, and the sum of the live model's losses less the candidate's."""
    return [[day.isoformat(), rows, difference] for day, rows, difference in days.iter_rows()]


@contextlib.contextmanager
def _hold_registration_lock(settings: Settings) -> Iterator[Path]:
    """Hold the lock that lets one process of all machines register; yield the path of the file with what was begun."""
    settings.training.folder.mkdir(parents=True, exist_ok=True)
    lock = settings.training.folder / REGISTRATION_LOCK_FILE
    with hold_file_lock(lock), exclude_machines(settings, "registration"):
        yield RunReceipts(settings.training.folder).begun_file


def _finish_from_file(settings: Settings, file: Path) -> dict[str, str]:
    """Carry out what the file holds; without its artifacts it can't be, and is given up.

    Returns its words by its fingerprint; empty where nothing was carried out.
    """
    if not file.exists():
        return {}
    begun = msgspec.msgpack.decode(file.read_bytes(), type=BegunRegistration)
    if missing := [path for path in begun.runs.artifacts.values() if not Path(path).exists()]:
        print(f"a registration that was cut short is given up: {missing[0]} is gone; its model is trained again")
        file.unlink()
        return {}
    print("a registration that was cut short is carried out:", text := _finish(settings, begun, file), sep="\n")
    return {begun.fingerprint: text}


def _finish(settings: Settings, begun: BegunRegistration, file: Path) -> str:
    """Do what isn't done yet, in an order in which nothing is answered or promised that the ledger doesn't have."""
    models = ModelRegistry(settings.registry)
    run = record_training_runs(models, begun.runs, begun.key)
    tags = {"fingerprint": begun.fingerprint, "data_version": begun.runs.data_version}
    version = _register_once(models, run, tags, begun.runs) if begun.is_servable else ""
    ledger = open_ledger(settings)
    with aliases.hold_alias_lock(ledger) as check_lock:
        enter = partial(_enter_and_set_alias, models, ledger, begun, run, version)
        before = (models.aliases() or {}).get(CANDIDATE_ALIAS, version)
        alias = ledger.decide_on_entries(enter, check_lock)
    replaced = describe_replaced_candidate(ledger.entries(), before) if before != version else ""
    text = describe_outcome(begun.summary, version, alias, replaced)
    RunReceipts(settings.training.folder).save(begun.fingerprint, text)
    file.unlink()
    return text


def _describe_other_training(settings: Settings, begun: BegunRegistration) -> str:
    """Say that another machine has trained the same meanwhile, which becomes the latest receipt; "" if none has.

    A version that the ledger doesn't have doesn't count: nobody will finish its registration.
    """
    if not settings.cluster.state:
        return ""
    models = ModelRegistry(settings.registry)
    version = models.find_version_by_fingerprint(begun.fingerprint)
    entered = [entry for entry in open_ledger(settings).entries() if version in entry.versions.values()]
    if not version or not entered or models.read_run(version).tags.get(KEY_TAG) == begun.key:
        return ""
    text = f"Nothing to register: another training has made version {version} of this data, code and settings.\n"
    RunReceipts(settings.training.folder).write_latest(text)
    return text


def _register_once(models: ModelRegistry, run: str, tags: dict[str, str], runs: TrainingRuns) -> str:
    if version := models.find_version_by_run(run):
        return version
    return models.register(run, "bundle", tags, read_card_beginning(Path(runs.artifacts["bundle"])))


def _enter_and_set_alias(
    models: ModelRegistry,
    ledger: Ledger,
    begun: BegunRegistration,
    run: str,
    version: str,
    entries: Sequence[LedgerEntry],
) -> str:
    """Enter the verdict in the ledger, then set the alias that follows from it: "live" for the first model,
    "candidate" for a later one, "" for one that fails at the gate."""
    ledger_sync.finish_last_move(models, [entry for entry in entries if entry.evidence.get(RUN_KEY) != run])
    entered = next((entry for entry in entries if entry.evidence.get(RUN_KEY) == run), None)
    if entered is None:
        alias = _choose_alias(models, begun.verdict.verdict)
        then = (lambda _: _build_first_promotion(begun, version)) if alias == LIVE_ALIAS else None
        ledger.append(_complete_verdict(begun.verdict, run, version), then, seen=entries)
        later = []
    else:
        later = [entry for entry in entries[entered.number :] if version in entry.versions.values()]
        is_first = bool(later) and _is_first_promotion(later[0], version)
        alias = LIVE_ALIAS if is_first else "" if begun.verdict.verdict == "fail" else CANDIDATE_ALIAS
        later = later[is_first:]
    if alias == LIVE_ALIAS and not later:  # what came later has moved it already
        ledger_sync.finish_last_move(models, ledger.entries())
    elif alias and not later and models.version(alias) != version:
        models.set_alias(alias, version)
    return alias


def _choose_alias(models: ModelRegistry, verdict: str) -> str:
    if verdict == "fail":
        return ""
    return CANDIDATE_ALIAS if models.version(LIVE_ALIAS) else LIVE_ALIAS


def _complete_verdict(verdict: LedgerEvent, run: str, version: str) -> LedgerEvent:
    named = {CANDIDATE_ALIAS: version} if version else {}
    return msgspec.structs.replace(
        verdict, versions={**named, **verdict.versions}, evidence={**verdict.evidence, RUN_KEY: run}
    )


def _build_first_promotion(begun: BegunRegistration, version: str) -> LedgerEvent:
    return LedgerEvent(
        kind="promotion",
        verdict="promote",
        reason="there was no live model",
        actor=begun.verdict.actor,
        versions={LIVE_ALIAS: version},
        data_version=begun.verdict.data_version,
    )


def _is_first_promotion(entry: LedgerEntry, version: str) -> bool:
    return entry.kind == "promotion" and entry.versions == {LIVE_ALIAS: version}
