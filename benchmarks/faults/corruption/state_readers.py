"""All that reads the files of a small state: stores, registry, service, index, archive, monitoring and reports."""

import datetime as dt
import hashlib
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.faults.corruption import small_state
from flows.steps.doctor.stored_files import FILE_ERRORS, examine_files
from flows.steps.ingest.admission import heal_changed_batches
from flows.steps.monitor import due_windows
from monitoring.reports.workspace import ReportWorkspace
from monitoring.windows.window_store import WindowStore
from penumbra.core.histograms import Profile
from penumbra.core.problem import Problem
from penumbra.core.settings import Settings
from penumbra.data.batches import BatchRefused, DataStore
from penumbra.data.failure_set import FailureSet
from penumbra.logs import append_log
from penumbra.logs.archiving import archive_parts
from penumbra.logs.daily.profiles import ProfileStore
from penumbra.logs.indexing.index import LogIndex
from penumbra.logs.queries.labels import join_labels
from penumbra.logs.shadow.shadow_log import load_shadow_state
from penumbra.registry.history.shared_ledger import open_ledger
from penumbra.registry.models import ModelRegistry
from penumbra.registry.pointers import read_pointer
from penumbra.storage.cache import RunReceipts
from service.inference.models.live_model import LiveModels
from service.processes.deployment.state_watch import StateWatch
from service.processes.deployment.version_deployment import deploy_candidate, deploy_live

EXPECTED_ERRORS = (*FILE_ERRORS, BatchRefused)


def run_readers(project: Path, problem: Problem) -> dict[str, str]:
    """Run each reader in turn, twice over with the doctor in between; print what they and the doctor say of damage.

    Args:
        project: The folder of the project.
        problem: Its problem.

    Returns:
        By reader a digest of its result, or the sentence of its error.
    """
    settings = small_state.make_state_settings(project)
    readers = _list_readers(settings, problem)
    first = {name: _read(reader) for name, reader in readers.items()}
    print(*map(str, examine_files(settings, problem)), sep="\n", flush=True)
    return first | {f"{name} after the doctor": _read(reader) for name, reader in readers.items()}


def _read(reader: Callable[[], Any]) -> str:
    """A digest of what a reader gives, or the sentence of an error that a command would tell."""
    try:
        return hashlib.sha256(repr(reader()).encode()).hexdigest()
    except EXPECTED_ERRORS as error:
        print(error, flush=True)
        return f"refused: {error}"
    except Exception:
        traceback.print_exc()
        return "failed"


def _list_readers(settings: Settings, problem: Problem) -> Mapping[str, Callable[[], Any]]:
    store, models = DataStore(settings.data, problem), ModelRegistry(settings.registry)
    service, folder = settings.service, settings.monitor.folder
    return {
        "ingest": lambda: print(*heal_changed_batches(store, thorough=True), sep="\n", flush=True),
        "rows": lambda: [store.rows(batch).rows() for batch in store.batches()],
        "quarantine": lambda: [store.quarantine(batch).rows() for batch in store.batches()],
        "failures": lambda: FailureSet(settings.training.failures, problem.schema.Row).read().rows(),
        "receipts": lambda: [RunReceipts(settings.training.folder).read_latest(), _read_receipts(settings)],
        "registry": lambda: [
            (version, sorted(models.tags(version).items()), models.params(version), models.find_run_id(version))
            for version in models.list_versions()
        ],
        "aliases": lambda: sorted((models.aliases() or {}).items()),
        "runs": lambda: [(run.id, run.start, run.metrics, run.tags) for run in models.find_latest_runs(9, "")],
        "ledger": open_ledger(settings).entries,
        "service": lambda: _deploy(settings, problem, models),
        "index": lambda: _read_index(settings, problem),
        "predictions": lambda: list(append_log.read_entries(service.predictions)),
        "labels": lambda: list(append_log.read_entries(settings.labels.folder)),
        "archive": lambda: [
            hashlib.sha256(content).hexdigest()
            for log in (service.predictions, service.shadow_log)
            for _, content in archive_parts.read_deleted_segments(log, lambda name: False)
        ],
        "shadow": lambda: load_shadow_state(service.shadow_log, repair=False),
        "monitor": lambda: due_windows.judge_due_windows(settings, problem),
        "windows": lambda: [(window.begin, window.verdict, window.loss) for window in WindowStore(folder).read()],
        "profiles": lambda: _list_counts(ProfileStore(folder, service.predictions, problem.schema).reference("1")),
        "shadow profiles": lambda: _list_counts(small_state.read_candidate_profiles(settings, problem)),
        "reports": lambda: print(*ReportWorkspace(folder, small_state.MODEL).unpublish_damaged(), sep="\n", flush=True),
    }


def _list_counts(profiles: Mapping[dt.date, Profile]) -> list[Any]:
    return [(day, profile.rows, profile.counts.tolist()) for day, profile in profiles.items()]


def _read_receipts(settings: Settings) -> list[Any]:
    receipts = RunReceipts(settings.training.folder)
    return [receipts.facts("e" * 64), receipts._texts.find("f" * 64)]


def _deploy(settings: Settings, problem: Problem, models: ModelRegistry) -> list[Any]:
    """What the deployer and a worker make of the state folder."""
    state = settings.service.state
    StateWatch(state).check()
    deploy_live(models, state, problem)
    deploy_candidate(models, state)
    worker = LiveModels(state, problem)
    worker.refresh()
    return [worker.model and worker.model.version, *(read_pointer(state, name) for name in ("live", "candidate"))]


def _read_index(settings: Settings, problem: Problem) -> list[Any]:
    index = LogIndex.from_settings(settings, problem.schema)
    index.catch_up()
    return join_labels(index).rows()
