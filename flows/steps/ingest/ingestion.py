"""The steps of an ingest: restore, list, check, record, attach labels."""

import contextlib
import sqlite3
import subprocess

from flows.steps.ingest.admission import check_admitted_batches
from flows.steps.ingest.attached_batches import AttachedBatches
from flows.steps.processes.flow_locks import list_work_locks
from flows.steps.processes.parallel import count_parallel_tasks, distribute_jobs
from flows.steps.shared import shared_data
from flows.steps.shared.shared_folders import fetch_folders, list_partition_folders
from penumbra.core.columns import BATCH_COLUMN
from penumbra.core.loading.problem_loading import load_problem
from penumbra.core.problem import ProblemError
from penumbra.core.project_root import is_git_checkout
from penumbra.core.settings import PROJECT_ROOT, DataSettings, SettingsError, load_settings
from penumbra.core.settings.url_drivers import require_drivers
from penumbra.core.text.counts import format_count
from penumbra.core.text.errors import LastingRefusal
from penumbra.core.text.masking import mask_address
from penumbra.data.batches import DataStore
from penumbra.data.partitions.partition_code import STORED_PARTS
from penumbra.data.source_reader import (
    BatchEmpty,
    BatchRefused,
    BatchUnfetched,
    SourceFailed,
    fetch_batch_files,
    list_source_batches,
)
from penumbra.data.staging import StagingLost
from penumbra.data.versioning import versions
from penumbra.data.versioning.admitted import BatchesChanged
from penumbra.data.versioning.dvc_file import DamagedDvcFile, read_dvc_content
from penumbra.data.versioning.origin import DataOrigin
from penumbra.data.versioning.restoring import pull_data
from penumbra.logs.archiving.archive_parts import DamagedArchive
from penumbra.logs.indexing.index import LogIndex
from penumbra.logs.replicas.log_union import fetch_logs
from penumbra.logs.replicas.shared_turn import take_shared_turn
from penumbra.registry import code_version
from penumbra.reviews.desk import ReviewDesk

LABELS_AT_ONCE = 50_000


class IngestRefused(RuntimeError):
    """There is nothing to ingest, or it can't become what is recorded; says why and what to do."""


class ContractBroken(IngestRefused, LastingRefusal):
    """Batches break the contract in a way that can't be quarantined; a line for each."""


INGEST_ERRORS = (
    *(SettingsError, ProblemError, IngestRefused, DamagedDvcFile),
    *(SourceFailed, BatchRefused, BatchesChanged, StagingLost, DamagedArchive, sqlite3.Error, OSError),
)


def open_data_store() -> DataStore:
    """Open the data store of the settings, as each task of the flow does.

    Returns:
        The store.

    Raises:
        SettingsError: The settings are wrong, or a URL in them takes a library that isn't installed.
        ProblemError: The folder `problem/` is wrong.
    """
    require_drivers(settings := load_settings())
    return DataStore(settings.data, load_problem(STORED_PARTS))


def find_foreign_origin(store: DataStore) -> DataOrigin | None:
    """Find out whether the recorded data version is of another problem, whose place this one has taken.

    Args:
        store: The data store.

    Returns:
        The origin of the version that the .dvc file names, if that is of another problem, and none of its data is here;
        else None.

    Raises:
        IngestRefused: The data folder has batches of another problem.
        DamagedDvcFile: The .dvc file isn't one.
    """
    data, batches = store.settings, store.batches()
    origin = DataOrigin.from_meta(versions.read_recorded_meta(data))
    is_foreign = origin is not None and not origin.is_of(store.problem)
    if not batches:
        return origin if is_foreign else None
    is_recorded = is_foreign and versions.compute_data_version(data) == versions.read_recorded_version(data)
    if is_recorded or set(batches).isdisjoint(batch.name for batch in list_source_batches(store.problem)):
        raise IngestRefused(
            f"{data.folder}/ has the batches {batches[0]} to {batches[-1]} of another problem than problem/: "
            "`penumbra start-over` sets its data, models, logs and ledger aside"
        )
    return None


def restore_recorded_data(store: DataStore) -> str:
    """Fill an empty data folder with the recorded version from the remote, where the remote has it.

    A version of another problem is left alone, and said so.

    Args:
        store: The data store.

    Returns:
        The recorded version (md5) if the folder is empty and the remote lacks it, so that it is to be rebuilt from the
        source; "" otherwise.

    Raises:
        IngestRefused: The data folder has batches of another problem.
        DamagedDvcFile: The .dvc file isn't one.
    """
    if origin := find_foreign_origin(store):
        pointer = versions.get_dvc_file(store.settings)
        print(f"{pointer} names data of another problem, {origin}: a new history begins; git keeps the old {pointer}")
        return ""
    recorded = "" if store.batches() else versions.read_recorded_version(store.settings)
    if not recorded or not (problem := pull_data(store.settings)):
        return ""
    pointer = versions.get_dvc_file(store.settings)
    print(f"{pointer} names data version {recorded}, which can't be had ({problem}): it is rebuilt from the source")
    return recorded


def share_batches_to_check(store: DataStore, again: str = "") -> list[list[str]]:
    """List the batches that have arrived and aren't admitted yet, a share for each task that runs at once.

    Args:
        store: The data store.
        again: A batch to check anew though it is admitted; "" for none.

    Returns:
        Names of batches; no share is empty.

    Raises:
        IngestRefused: `again` is no batch that has arrived, or there is no batch at all.
        SourceFailed: The source can't be read, or gives something else than batches.
    """
    arrived, admitted = store.arrived(), set(store.batches())
    if again and again not in arrived:
        there = f"there are {len(arrived)}, from {arrived[0]} to {arrived[-1]}" if arrived else "there is none"
        raise IngestRefused(f"{again} is no batch that has arrived: {there}")
    new = [batch for batch in arrived if batch == again or batch not in admitted]
    if not new and not admitted:
        raise IngestRefused(f"no batch was complete by data.today = {store.settings.today}: there is nothing to ingest")
    return distribute_jobs(new, count_parallel_tasks())


def settle_ingest() -> bool:
    """Do what an ingest does where no batch has arrived since the last one, and print what it prints; or do nothing.

    Returns:
        Whether there is nothing left to ingest. False also where only the flow can tell: it says what is wrong, and is
        needed where machines share their state or batches are made of the logs.
    """
    with contextlib.suppress(*INGEST_ERRORS), contextlib.ExitStack() as held:
        settings, store = load_settings(), open_data_store()
        if settings.cluster.state or settings.flywheel.period:
            return False
        for lock in list_work_locks("ingest", settings):
            held.enter_context(lock)
        if not _is_everything_recorded(store):
            return False
        print(*check_admitted_batches(store), report_data_version(store), attach_batch_labels(store), sep="\n")
        return True
    return False


def check_batches(store: DataStore, batches: list[str]) -> list[str]:
    """Fetch batches from the source, check them by the contract, and stage them; prints a line about each.

    Args:
        store: The data store.
        batches: Their names.

    Returns:
        The names of those that were staged: all but those without rows, which are fetched again by the next ingest.

    Raises:
        IngestRefused: Some can't be fetched; a line for each that can't be used.
        ContractBroken: All can be fetched, and some break the contract in a way that can't be quarantined.
        OSError: What was derived can't be written.
    """
    accepted, refused, admitted = list[str](), list[BatchRefused](), store.batches()
    for batch in batches:
        try:
            print(store.stage(batch, fetch_batch_files(store.problem, batch)))
            accepted.append(batch)
        except BatchEmpty:
            stays = "what was admitted stays" if batch in admitted else "fetched again by the next ingest"
            print(f"{batch}: no rows, it is left out; {stays}")
        except BatchRefused as reason:
            refused.append(reason)
    store.checksums.save()
    if refused:
        sentences = "\n".join(map(str, refused))
        if any(isinstance(reason, BatchUnfetched) for reason in refused):
            raise IngestRefused(sentences)
        raise ContractBroken(sentences)
    return accepted


def require_rebuilt_version(store: DataStore, version: str) -> None:
    """Refuse staged batches that aren't the recorded version, where it is being rebuilt.

    Args:
        store: The data store, with the batches staged.
        version: The version (md5) that `restore_recorded_data` returned; "" accepts any batches.

    Raises:
        IngestRefused: The staged batches don't make the version.
    """
    if not version or version in store.staged_versions():
        return
    data = store.settings
    raise IngestRefused(
        f"the remote lacks data version {version}, which {data.folder}.dvc names, and the source's batches until "
        f"data.today = {data.today} don't make it: set data.remote or data.today right, or remove {data.folder}.dvc to "
        "begin a history of your own"
    )


def complete_data_folder(store: DataStore, accepted: list[str], version_to_rebuild: str) -> None:
    """Bring the recorded version and the admitted batches here, where another machine has admitted them.

    Args:
        store: The data store.
        accepted: The batches that this ingest has admitted, which are still staged where machines share their state.
        version_to_rebuild: What `restore_recorded_data` returned.

    Raises:
        RestoreFailed: The remote lacks the recorded version.
        StagingLost: One of the batches isn't staged.
        StoreError: The store of what machines share refuses, or is away.
        OSError: A file can't be written.
    """
    settings = load_settings()
    if not settings.cluster.state:
        return
    if not version_to_rebuild and not find_foreign_origin(store):
        shared_data.fill_data_folder(settings)
    fetch_folders(list_partition_folders(settings))
    if accepted:
        store.admit(accepted)


def report_data_version(store: DataStore) -> str:
    """Record the data folder's content as a version, and commit the .dvc file if `data.commit` says so.

    Machines that share their state find it from then on.

    Args:
        store: The data store.

    Returns:
        A line with the version, and lines about the remote and about git where there is something to say.

    Raises:
        IngestRefused: There is no batch; or the remote doesn't get it, where other machines would look for it.
        PointerMoved: Another ingest has recorded a version meanwhile.
    """
    settings, data, batches, of_source = load_settings(), store.settings, store.batches(), store.source_batches()
    if not of_source:
        raise IngestRefused("no batch that has arrived has rows: there is nothing to record")
    before = read_dvc_content(versions.get_dvc_file(data))
    version = versions.record_data_version(data, DataOrigin.of_batches(of_source, store.problem).to_meta())
    lines = [
        f"data version {version.md5}: {format_count(len(batches), 'batch', 'batches')}, {batches[0]} to {batches[-1]}"
    ]
    remote = mask_address(data.remote)
    if version.problem and settings.cluster.state:
        raise IngestRefused(
            f"nothing is recorded, since other machines look into the remote {remote}: {version.problem}"
        )
    if version.problem:
        lines.append(f"not in the remote {remote} yet, the next ingest tries again: {version.problem}")
    shared_data.publish_pointer(settings, before)
    if not settings.cluster.state or is_git_checkout(data.folder.absolute()):
        lines += _commit_pointer(data, f"Data until {batches[-1]}", version.changed)
    return "\n".join(lines)


def attach_batch_labels(store: DataStore) -> str:
    """Log the labels of the source's batches and of what people answered, except those that are there already.

    The labels of flywheel batches come from that log. A batch whose rows and labels are as they were isn't read.

    Args:
        store: The data store.

    Returns:
        How many labels are new, in words.
    """
    settings = load_settings()
    index = LogIndex.from_settings(settings, store.problem.schema)
    columns = [*index.label_spec.key, *index.label_spec.outcome, BATCH_COLUMN]
    index.catch_up()
    attached = AttachedBatches(settings, store, index)
    rows = (part for batch in attached.list_due() for part in store.iterate_rows(batch, columns, LABELS_AT_ONCE))
    fetch_logs(settings, ("reviews",))
    with contextlib.closing(ReviewDesk(settings, store.problem)) as desk:
        desk.complete()
    with take_shared_turn(settings, "labels", ("labels",)) as check:
        new = index.attach_labels(rows, check)
    attached.record()
    return f"{format_count(new, 'label is', 'labels are')} new"


def _is_everything_recorded(store: DataStore) -> bool:
    """Whether the data folder is the recorded version, with every batch that has arrived."""
    admitted, data = set(store.batches()), store.settings
    return (
        bool(admitted)
        and admitted.issuperset(store.arrived())
        and not find_foreign_origin(store)
        and versions.compute_data_version(data) == versions.read_recorded_version(data)
    )


def _commit_pointer(data: DataSettings, message: str, is_new: bool) -> list[str]:
    """Commit the .dvc file if the settings say so and git lacks it, whichever ingest has written it."""
    pointer = versions.get_dvc_file(data)
    if not data.commit:
        advice = f"the version is new; record it with: git add {pointer} && git commit -m '{message}'"
        return [advice] if is_new else []
    try:
        if not code_version.has_uncommitted_changes(PROJECT_ROOT, pointer.absolute()):
            return []
        code_version.commit_file(PROJECT_ROOT, pointer.absolute(), message)
    except subprocess.CalledProcessError as error:
        raise IngestRefused(f"git doesn't commit {pointer} (data.commit = true): {error.stderr.strip()}") from None
    return [f"committed {pointer}: {message}"]
