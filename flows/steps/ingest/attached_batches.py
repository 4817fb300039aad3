"""Which batches have their labels in the label log already, so that they aren't read again."""

from penumbra.core.settings import Settings
from penumbra.data.batches import DataStore
from penumbra.logs.indexing.index import LogIndex
from penumbra.storage.cache import JSON, FileCache

ATTACHED_FILE = "attached-labels"  # in the folder of what is derived


class AttachedBatches:
    """Which batches have their labels in the label log: those whose rows haven't changed since, if it has lost nothing.

    Not known where machines share their state: another one may have attached other rows.
    """

    def __init__(self, settings: Settings, store: DataStore, index: LogIndex) -> None:
        """Look at the batches of the source in a `store`, and at the label log by its `index`, which has caught up."""
        self._index = index
        self._known = None if settings.cluster.state else FileCache(store.settings.derived, JSON)
        self._batches = {batch: store.name_partition(batch) for batch in store.source_batches()}

    def list_due(self) -> list[str]:
        """List the batches whose labels may not be in the log.

        Returns:
            Their names, oldest first; all of them where the index lacks labels that it had.
        """
        earlier = (self._known and self._known.find(ATTACHED_FILE)) or {}
        attached = earlier.get("batches", {}) if self._index.count_batch_labels() >= earlier.get("labels", 0) else {}
        return [batch for batch, rows in self._batches.items() if attached.get(batch) != rows]

    def record(self) -> None:
        """Record that the labels of all these batches are in the log."""
        if self._known:
            facts = {"batches": self._batches, "labels": self._index.count_batch_labels()}
            self._known.save(ATTACHED_FILE, facts)
