"""Versions of one shipped segment: the same name with other content, after a volume was restored or copied.

A log only grows, so of two versions the longer one has the entries of the other, unless both were written to.
"""

from collections.abc import Sequence
from pathlib import Path

from penumbra.logs.append_log import SEGMENT_SUFFIX
from penumbra.logs.replicas.segment_store import DamagedSegment, SegmentStore, ShippedSegment
from penumbra.logs.segments import PEER_SUFFIX, SEAL_SUFFIX, SHIPPED_SUFFIX, is_segment_fetched, is_segment_shipped
from penumbra.storage.atomic import replace_file


def fetch_longest_version(
    store: SegmentStore, versions: Sequence[ShippedSegment], folder: Path, own: str
) -> tuple[bool, list[str]]:
    """Bring a segment into the folder of a log, marked as shipped, or as another replica's, before it is there.

    What is here already is replaced where it was shipped, and is the beginning of a longer version.

    Args:
        store: The shipped segments of the log.
        versions: All that have one name.
        folder: The log's folder, which exists.
        own: The id of the replica here: what it has shipped before its volume was restored comes back as its own.

    Returns:
        Whether the segment is new or longer now, and a sentence for each version that is left out: damaged ones, and
        those that the longest doesn't begin with.

    Raises:
        FileNotFoundError: A version was deleted meanwhile.
        OSError: The folder can't be written.
        StoreError: The store refuses, or is away.
    """
    contents, said = dict[ShippedSegment, bytes](), list[str]()
    for each in versions:
        try:
            contents[each] = store.read(each)
        except DamagedSegment as error:
            said.append(str(error))
    if not contents:
        return False, said
    longest = max(contents, key=lambda each: len(contents[each]))  # the first of equal ones
    content = contents[longest]
    said += [
        f"{store.url}/{each.place} has the name of another replica's segment, or of one that was written to before a "
        f"volume was restored: it is left out beside {longest.place}"
        for each in contents
        if not content.startswith(contents[each])
    ]
    path = folder / (longest.segment + SEGMENT_SUFFIX)
    if path.exists() and not _is_beginning(path, content):
        return False, said
    _write(path, longest, content, longest.replica == own or (path.exists() and not is_segment_fetched(path)))
    return True, said


def _is_beginning(path: Path, content: bytes) -> bool:
    """Whether a segment here was shipped, and is shorter than content that begins with it."""
    here = path.read_bytes() if is_segment_shipped(path) else content
    return len(here) < len(content) and content.startswith(here)


def _write(path: Path, shipped: ShippedSegment, content: bytes, is_own: bool) -> None:
    if is_own:
        replace_file(path.with_suffix(SHIPPED_SUFFIX), f"{shipped.replica} {shipped.digest}")
    else:
        replace_file(path.with_suffix(PEER_SUFFIX), shipped.replica)
    path.with_suffix(SEAL_SUFFIX).unlink(missing_ok=True)
    replace_file(path, content)
