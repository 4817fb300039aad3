"""All batches of the source, for simulations of the months to come, apart from the loop's own data."""

import contextlib

from penumbra.core.problem import Problem
from penumbra.core.settings import DataSettings
from penumbra.data.batches import DataStore
from penumbra.data.source_reader import BatchEmpty, fetch_batch_files, list_source_batches


def fill_data_store(data: DataSettings, problem: Problem) -> DataStore:
    """Fetch, check and admit every batch of the source that a data store doesn't have yet.

    Args:
        data: Section [data] of the settings, with the folders of the store.
        problem: The problem, with schema, source and features.

    Returns:
        The store with all batches that have rows.

    Raises:
        SourceFailed: The source can't be read.
        BatchRefused: A batch breaks the contract.
    """
    store = DataStore(data, problem)
    admitted = store.batches()
    for name in [batch.name for batch in list_source_batches(problem) if batch.name not in admitted]:
        with contextlib.suppress(BatchEmpty):
            store.stage(name, fetch_batch_files(problem, name))
            store.admit([name])
    return store
