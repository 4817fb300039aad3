"""Shipping of logs: closed segments that were written here are copied to where the other replicas find them.

A segment is marked as shipped once it was read again there, so one that is shipped twice, after a kill in between, is
the same object. What can't be shipped is kept and tried again; nothing is deleted here before it is shipped.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from penumbra.logs import segments
from penumbra.logs.archiving.archive_parts import FailureHandler, handle_failure, list_parts, raise_failure
from penumbra.logs.replicas.segment_store import ShippedSegment, digest_content
from penumbra.logs.replicas.shared_logs import SharedLogs
from penumbra.logs.shadow.shadow_log import cut_uncommitted_rows
from penumbra.storage.atomic import replace_file
from penumbra.storage.locks import is_file_locked


def list_unshipped_segments(folder: Path) -> dict[Path, int]:
    """Return the segments in `folder` that were written here and aren't shipped, with their sizes, open ones too."""
    sizes = segments.read_own_segment_sizes(folder)
    return {path: size for path, size in sizes.items() if size and not segments.is_segment_shipped(path)}


def ship_logs(logs: SharedLogs, names: Sequence[str] = (), on_failure: FailureHandler = raise_failure) -> int:
    """Ship the closed segments of logs.

    Those of labels go before those of reviews that were closed earlier, so that who sees an answer of people sees the
    label that follows from it.

    Args:
        logs: The logs.
        names: The names of some; empty for all.
        on_failure: Takes the error of a segment that can't be shipped, such as StoreError.

    Returns:
        How many segments were shipped.
    """
    closed = {name: _list_closed(name, folder) for name, folder in logs.folders.items() if name in names or not names}
    if "labels" in closed:
        closed["labels"] = _list_closed("labels", logs.folders["labels"])
    ordered = sorted(closed, key=lambda name: name == "reviews")
    return sum(1 for name in ordered for path in closed[name] for _ in _ship(logs, name, path, on_failure))


def delete_archived_copies(logs: SharedLogs, log: str) -> int:
    """Delete the shipped copies of segments that were written here and are whole in the archive, where all find them.

    Args:
        logs: The logs.
        log: The name of one that is archived.

    Returns:
        How many copies were deleted; their segments here stay marked as shipped.

    Raises:
        StoreError: The store refuses, or is away.
    """
    folder, store, deleted = logs.folders[log], logs.open_store(log), 0
    for segment in [name for _, part in list_parts(folder) if part.shipped for name in part.segments]:
        mark = folder / (segment + segments.SHIPPED_SUFFIX)
        if mark.exists() and (shipped := mark.read_text().split()):
            store.delete(ShippedSegment(segment, *shipped))
            replace_file(mark, "")
            deleted += 1
    return deleted


def _list_closed(log: str, folder: Path) -> list[Path]:
    """Sizes are read before locks: who has written to a segment has locked it before."""
    closed = [path for path in list_unshipped_segments(folder) if not is_file_locked(path)]
    if log == "shadow":
        for path in closed:
            cut_uncommitted_rows(path)
    return [path for path in closed if path.exists()]


def _ship(logs: SharedLogs, log: str, path: Path, on_failure: FailureHandler) -> Iterator[ShippedSegment]:
    with handle_failure(on_failure):
        segments.seal_segment(path)
        content = path.read_bytes()
        shipped = ShippedSegment(path.stem, logs.replica, digest_content(content))
        if content:
            logs.open_store(log).put(shipped, content)
        replace_file(path.with_suffix(segments.SHIPPED_SUFFIX), f"{shipped.replica} {shipped.digest}")
        yield shipped
