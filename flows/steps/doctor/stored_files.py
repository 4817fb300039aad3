"""The doctor's look at every file of `data/` and `var/`: what has changed is named, and made again where it can be.

Whatever is derived is made again from what it is derived from; the index and the profiles are made again aside and
compared row by row, as SQLite has no checksums of its own.
"""

import itertools
import sqlite3
import tempfile
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import msgspec

from flows.steps.doctor.raw_files import RAW_FILE_ERRORS, examine_raw_files, make_file_finding, run_file_check
from flows.steps.monitor.monitor_pass import make_reference_loader
from monitoring.reports.workspace import ReportWorkspace
from monitoring.windows.window_store import DamagedWindow, WindowStore
from penumbra.core.problem import Problem
from penumbra.core.settings import Settings
from penumbra.data.batches import DataStore
from penumbra.data.versioning.objects import check_objects
from penumbra.logs import append_log, line_decoding
from penumbra.logs.archiving import archive_repair
from penumbra.logs.archiving.archive_parts import DamagedArchive
from penumbra.logs.daily.outcome_sums import OUTCOME_SUMS_FOLDER
from penumbra.logs.daily.profiles import ProfileStore
from penumbra.logs.daily.shadow_profiles import SHADOW_PROFILES_FOLDER
from penumbra.logs.indexing.index import LogIndex
from penumbra.logs.queries.bottom_k import SAMPLE_TABLES, have_equal_samples
from penumbra.logs.replicas.log_union import read_coverage
from penumbra.logs.segments import restore_last_newline
from penumbra.registry import registry_check
from penumbra.registry.bundles.manifest import BrokenBundle, verify_bundle
from penumbra.registry.history.ledger_entries import BrokenLedger
from penumbra.registry.history.shared_ledger import open_ledger
from penumbra.registry.models import REGISTRY_ERRORS, ModelRegistry
from penumbra.registry.pointers import BUNDLES_FOLDER
from penumbra.registry.state_repair import restore_damaged_marks
from penumbra.storage.locks import is_file_locked
from penumbra.storage.sealed import find_damaged_files, remove_sealed_file
from penumbra.storage.sqlite import find_differing_tables, remove_database
from penumbra.training.doctor.checks import Finding

MAX_ROUNDS = 3  # of catching up with logs that are being written
FILE_ERRORS = (*RAW_FILE_ERRORS, BrokenLedger, DamagedArchive, DamagedWindow, *REGISTRY_ERRORS, sqlite3.Error)


def examine_files(settings: Settings, problem: Problem) -> list[Finding]:
    """Check every file; print a line about each that was made again.

    Args:
        settings: All folders are read.
        problem: The problem, with every part.

    Returns:
        A finding for each file that can't be made again here.
    """
    findings = examine_raw_files(DataStore(settings.data, problem))
    checks: list[Callable[[], Iterator[str]]] = [
        lambda: check_objects(settings.data),
        lambda: _remove_damaged(settings),
        lambda: iter(WindowStore(settings.monitor.folder).set_damaged_aside()),
        lambda: iter(ReportWorkspace(settings.monitor.folder, settings.registry.model).unpublish_damaged()),
        lambda: _repair_state(settings),
        lambda: _repair_logs(settings),
        lambda: registry_check.check_registry(ModelRegistry(settings.registry), settings),
        lambda: _compare_index(settings, problem),
        lambda: _compare_profiles(settings, problem),
    ]
    for check in checks:
        findings += run_file_check(check, FILE_ERRORS)
    return [*findings, *map(make_file_finding, _list_lost(settings))]


def _remove_damaged(settings: Settings) -> Iterator[str]:
    """Of what is made again when it is next needed."""
    counted = [settings.monitor.folder / name for name in (OUTCOME_SUMS_FOLDER, SHADOW_PROFILES_FOLDER)]
    derived = (settings.data.derived, settings.training.folder, *counted)
    for path in itertools.chain.from_iterable(map(find_damaged_files, derived)):
        remove_sealed_file(path)
        yield f"{path} is not what was written: it is removed, and made again when it is next needed"


def _repair_state(settings: Settings) -> Iterator[str]:
    state = settings.service.state
    restore_damaged_marks(state, open_ledger(settings))
    for path in find_damaged_files(state):
        remove_sealed_file(path)
        yield f"{path} is not what was written: it is removed, and the service's deployer writes it again"


def _repair_logs(settings: Settings) -> Iterator[str]:
    for folder in _list_logs(settings):
        closed = [path for path in append_log.list_segments(folder) if not is_file_locked(path)]
        for path in filter(restore_last_newline, closed):
            yield f"{path}: the last byte had changed, and is the end of its line again"
        yield from archive_repair.repair_parts(folder)


def _list_logs(settings: Settings) -> tuple[Path, ...]:
    return settings.service.predictions, settings.labels.folder, settings.service.shadow_log


def _list_lost(settings: Settings) -> Iterator[str]:
    """What nothing can make again."""
    for path in find_damaged_files(settings.training.failures):
        yield f"{path} is not what was written: remove it to forget its rows, which are withheld from training"
    yield from _list_damaged_lines(settings)
    if coverage := read_coverage(settings):
        yield from coverage.list_alarms()
    try:
        open_ledger(settings).verify_entries()
    except BrokenLedger as error:
        yield str(error)
    bundles = settings.service.state / BUNDLES_FOLDER
    for folder in sorted(bundles.iterdir()) if bundles.is_dir() else ():
        try:
            verify_bundle(folder)
        except BrokenBundle as error:
            yield f"{error}; a running service fetches it again, or remove {folder}"


def _list_damaged_lines(settings: Settings) -> Iterator[str]:
    for folder in _list_logs(settings):
        for path in append_log.list_segments(folder):
            for position in line_decoding.find_damaged_lines(path):
                yield f"{path}, byte {position}: the line is not what was written and is left out by every reader"


def _compare_index(settings: Settings, problem: Problem) -> Iterator[str]:
    index, copy = (LogIndex.from_settings(settings, problem.schema) for _ in range(2))
    if not index.path.exists() or any(_list_damaged_lines(settings)):  # it may have what was in such a line
        return
    with tempfile.TemporaryDirectory(dir=settings.labels.folder) as folder:
        copy.path = Path(folder) / index.path.name
        for _ in range(MAX_ROUNDS):
            index.catch_up(), copy.catch_up()
            differing = _find_index_differences(index, copy)
            if not differing:
                return
    remove_database(index.path)
    LogIndex.from_settings(settings, problem.schema).catch_up()
    yield f"{index.path} is not what the logs say ({', '.join(differing)}): it is made again"


def _compare_profiles(settings: Settings, problem: Problem) -> Iterator[str]:
    folder, predictions = settings.monitor.folder, settings.service.predictions
    kept = ProfileStore(folder, predictions, problem.schema)
    if not kept.path.exists() or any(_list_damaged_lines(settings)):
        return
    load_reference = make_reference_loader(settings, problem)
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        copy = ProfileStore(Path(temporary), predictions, problem.schema)
        for _ in range(MAX_ROUNDS):
            differing = _update_and_compare(kept, copy, load_reference)
            if not differing:
                return
    remove_database(kept.path)
    ProfileStore(folder, predictions, problem.schema).update(load_reference)
    yield f"{kept.path} is not what the log says ({', '.join(differing)}): it is made again"


def _update_and_compare(kept: ProfileStore, copy: ProfileStore, load_reference: Callable[[str], object]) -> list[str]:
    try:
        kept.update(load_reference)  # type: ignore[arg-type]
    except sqlite3.DatabaseError as error:
        return [str(error)]
    copy.update(load_reference)  # type: ignore[arg-type]
    return _find_differences(kept.path, copy.path, ["segments"])


def _find_index_differences(index: LogIndex, copy: LogIndex) -> list[str]:
    """The names of tables that differ; those of a sample are compared by what is in it, however it was cut."""
    try:
        with index.open() as db, copy.open() as other:
            is_sample_equal = have_equal_samples(db, other)
    except (sqlite3.DatabaseError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        return [str(error)]
    return _find_differences(index.path, copy.path, SAMPLE_TABLES) or ([] if is_sample_equal else [*SAMPLE_TABLES])


def _find_differences(path: Path, copy: Path, but: Collection[str]) -> list[str]:
    try:
        return find_differing_tables(path, copy, but)
    except sqlite3.DatabaseError as error:
        return [str(error)]
