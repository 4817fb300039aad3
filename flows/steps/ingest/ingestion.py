"""The steps of an ingest: restore, list, check, record, attach labels."""

import contextlib
import sqlite3

from flows.steps.ingest.admission import check_admitted_batches
from flows.steps.ingest.attached_batches import AttachedBatches
from flows.steps.ingest.recorded_version import IngestRefused, find_foreign_origin, report_data_version
from flows.steps.processes.flow_locks import list_work_locks
from flows.steps.processes.parallel import count_parallel_tasks, distribute_jobs
from penumbra.core.columns import BATCH_COLUMN
from penumbra.core.loading.problem_loading import load_problem
from penumbra.core.problem import ProblemError
from penumbra.core.settings import SettingsError, load_settings
from penumbra.core.settings.url_drivers import require_drivers
from penumbra.core.text.counts import format_count
from penumbra.core.text.errors import LastingRefusal
from penumbra.data.batches import DataStore
from penumbra.data.partitions.partition_code import STORED_PARTS
from penumbra.data.source_reader import BatchEmpty, BatchRefused, BatchUnfetched, SourceFailed, fetch_batch_files
from penumbra.data.staging import StagingLost
from penumbra.data.versioning import versions
from penumbra.data.versioning.admitted import BatchesChanged
from penumbra.data.versioning.dvc_file import DamagedDvcFile
from penumbra.logs.archiving.archive_parts import DamagedArchive
from penumbra.logs.indexing.index import LogIndex
from penumbra.logs.replicas.log_union import fetch_logs
from penumbra.logs.replicas.shared_turn import take_shared_turn
from penumbra.reviews.desk import ReviewDesk

LABELS_AT_ONCE = 50_000


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
