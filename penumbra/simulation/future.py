"""All batches of the source, for simulations of the months to come, apart from the loop's own data."""

from penumbra.core.problem import Problem
from penumbra.core.settings import DataSettings
from penumbra.data.batches import DataStore


def fill_data_store(data: DataSettings, problem: Problem) -> DataStore:
    """Fetch, check and admit every batch of the source that a data store doesn't have yet.

    Args:
        data: Section [data] of the settings, with the folders of the store.
        problem: The problem, with schema, source and features.

    Returns:
        The store with all batches.

    Raises:
        BatchRefused: A batch breaks the contract.
    """
    store = DataStore(data, problem)
    admitted = store.batches()
    for name in [batch.name for batch in problem.source.batches() if batch.name not in admitted]:
        store.stage(name, problem.source.fetch(name))
        store.admit([name])
    return store
