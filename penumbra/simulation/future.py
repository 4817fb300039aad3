"""All batches there will ever be, for what plays the months to come: out of sight of the loop's own data."""

import problem
import problem.source
from penumbra.core.settings import DataSettings
from penumbra.data.batches import DataStore


def fill_data_store(data: DataSettings) -> DataStore:
    """The data store in these folders, once every batch of the source is in it."""
    made = DataStore(data, problem)
    there = made.batches()
    for name in [batch.name for batch in problem.source.batches() if batch.name not in there]:
        made.stage(name, problem.source.fetch(name))
        made.admit([name])
    return made
