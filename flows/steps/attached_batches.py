"""Which batches have their labels in the label log already, so that they aren't read again."""

from penumbra.core.settings import Settings
from penumbra.data.batches import DataStore
from penumbra.logs.append_log import read_segment_sizes
from penumbra.logs.index import LogIndex
from penumbra.storage.cache import JSON, FileCache

ATTACHED_FILE = "attached-labels"  # in the folder of what is derived


class AttachedBatches:
    """Which batches have their labels in the label log: those whose rows haven't changed since, if it has lost nothing.

    Not known where machines share their state: another one may have attached other rows.
    """

    def __init__(self, settings: Settings, store: DataStore, index: LogIndex) -> None:
        """Look at the batches of the source in a `store`, at the label log that `settings` name, and at its `index`."""
        self._index = index
        self._known = None if settings.cluster.state else FileCache(store.settings.derived, JSON)
        self._folder = settings.labels.folder
        self._batches = {batch: store.name_partition(batch) for batch in store.source_batches()}

    def list_due(self) -> list[str]:
        """List the batches whose labels may not be in the log.

        Returns:
            Their names, oldest first.
        """
        earlier = (self._known and self._known.find(ATTACHED_FILE)) or {"batches": {}, "segments": {}}
        segments = self._read_segments()
        is_shorter = any(segments.get(name, -1) < size for name, size in earlier["segments"].items())
        if is_shorter or self._index.count_labels() < earlier.get("labels", 0):
            return list(self._batches)
        return [batch for batch, rows in self._batches.items() if earlier["batches"].get(batch) != rows]

    def record(self) -> None:
        """Record that the labels of all these batches are in the log."""
        if self._known:
            labels, segments = self._index.count_labels(), self._read_segments()
            self._known.save(ATTACHED_FILE, {"batches": self._batches, "segments": segments, "labels": labels})

    def _read_segments(self) -> dict[str, int]:
        return {path.name: size for path, size in read_segment_sizes(self._folder).items()}
