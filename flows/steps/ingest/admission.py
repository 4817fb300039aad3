"""The raw batches before they are used: one that isn't what was admitted is brought back, or stops the flow."""

from collections.abc import Sequence

from penumbra.core.problem import Problem
from penumbra.core.settings import Settings
from penumbra.data.batches import DataStore
from penumbra.data.rewritten_batches import find_rewritten_batches
from penumbra.data.versioning import versions
from penumbra.data.versioning.admitted import BatchesChanged, ChangedFile, bring_back_files, find_changed_files
from penumbra.data.versioning.origin import DataOrigin


def heal_changed_batches(store: DataStore, thorough: bool = False, but: str = "") -> list[str]:
    """Bring back the raw files that aren't what was admitted, from DVC's cache or the remote; set foreign ones aside.

    Batches that an ingest has admitted but not recorded yet are left alone: it has checked them, so there are rows of
    exactly these files. So are batches that are missing as a whole and can't be brought back: the next ingest fetches
    them from the source. An empty data folder is filled by the ingest as a whole.

    Args:
        store: The data store.
        thorough: Whether to read the files whose size and change time are as they were, too.
        but: A batch that is about to be fetched anew, of which only foreign files matter; "" for none.

    Returns:
        A sentence for each file that was brought back or set aside.

    Raises:
        BatchesChanged: A changed file can't be brought back.
        DamagedDvcFile: The .dvc file isn't one.
        SourceFailed: The source can't name its batches.
        OSError: A file can't be written.
    """
    if not (there := set(store.batches())):
        return []
    if thorough:
        store.checksums.forget()
    found = find_changed_files(store.settings, store.checksums)
    changed = [file for file in found if file.batch != but or not file.admitted]
    if not changed or _is_of_another_problem(store):
        return []
    present = [file for file in changed if file.batch in there and not store.has_partition(file.batch)]
    healed = bring_back_files(store.settings, present)
    for batch in sorted({file.batch for file in changed} - there):
        healed += _try_to_bring_back(store, [file for file in changed if file.batch == batch])
    return healed


def check_admitted_batches(store: DataStore, again: str = "") -> list[str]:
    """Check the batches that are there against what was admitted, and against what the source gives now.

    Args:
        store: The data store.
        again: A batch that is about to be fetched anew; "" for none.

    Returns:
        A sentence for each file that was brought back or set aside, and for each batch of which the source gives other
        rows now, which stays.

    Raises:
        BatchesChanged: A changed file can't be brought back.
        DamagedDvcFile: The .dvc file isn't one.
        SourceFailed: The source can't list its batches.
        OSError: A file can't be written.
    """
    return heal_changed_batches(store, but=again) + find_rewritten_batches(store, but=again)


def prepare_data(settings: Settings, problem: Problem) -> None:
    """Check, before minutes are spent, that the data is what was admitted. Prints what was brought back.

    Every raw file is read: that costs a small part of what is done with it afterwards.

    Args:
        settings: Section [data] is read.
        problem: The problem, with schema, source and features.

    Raises:
        BatchesChanged: A changed file can't be brought back.
        DamagedDvcFile: The .dvc file isn't one.
        SourceFailed: The source can't name its batches.
    """
    for sentence in heal_changed_batches(DataStore(settings.data, problem), thorough=True):
        print(sentence)


def _is_of_another_problem(store: DataStore) -> bool:
    origin = DataOrigin.from_meta(versions.read_recorded_meta(store.settings))
    return origin is not None and not origin.is_of(store.problem)


def _try_to_bring_back(store: DataStore, files: Sequence[ChangedFile]) -> list[str]:
    try:
        return bring_back_files(store.settings, files)
    except BatchesChanged:
        return []
