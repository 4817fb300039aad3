"""Shipped segments of one log behind a URL: objects that nobody else writes, each named after its content.

<url>/<day>/<segment>.<replica>.<sha256>.jsonl

`day` (UTC) is the one on which the segment was begun, `replica` the id of its volume, `sha256` are 16 digits of
the content's checksum: what is shipped twice is the same object, and what arrives is checked by its name.
"""

import datetime as dt
import hashlib
import re
from dataclasses import dataclass

from penumbra.logs.append_log import SEGMENT_SUFFIX
from penumbra.logs.segments import parse_start_time
from penumbra.storage.shared.object_store import ObjectStore

DIGEST_DIGITS = 16
OBJECT_PATTERN = re.compile(rf"([0-9a-f]{{17}})\.([0-9a-f]+)\.([0-9a-f]{{{DIGEST_DIGITS}}})\.jsonl")


class DamagedSegment(RuntimeError):
    """A shipped segment isn't what its name says; says which."""


@dataclass(frozen=True)
class ShippedSegment:
    """One shipped segment: its name, who has shipped it, and 16 digits of its checksum."""

    segment: str
    replica: str
    digest: str

    @property
    def day(self) -> dt.date:
        """The day (UTC) on which the segment was begun."""
        return parse_start_time(self.segment).date()

    @property
    def place(self) -> str:
        """The object's address below the log's."""
        return f"{self.day}/{self.segment}.{self.replica}.{self.digest}{SEGMENT_SUFFIX}"


def digest_content(content: bytes) -> str:
    """Return the digits of the checksum of `content` that a shipped segment's name has."""
    return hashlib.sha256(content).hexdigest()[:DIGEST_DIGITS]


class SegmentStore:
    """The shipped segments of one log."""

    def __init__(self, url: str, patience: float | None = None) -> None:
        """Open a log's store; no request is made yet.

        Args:
            url: The log's folder or address, which fsspec knows; it needn't exist.
            patience: Seconds for which a store that is away is tried again; None for the usual time.

        Raises:
            StoreError: The package for such URLs isn't installed, or nothing is known about them.
        """
        self.url = url
        self._objects = ObjectStore(url, patience)

    def list_shipped(self, day: dt.date | None = None) -> list[ShippedSegment]:
        """List what was shipped.

        Args:
            day: Only segments that were begun on this day (UTC); None for all.

        Returns:
            The segments, the one begun first at the front.

        Raises:
            StoreError: The store refuses, or is away.
        """
        names = (name.rpartition("/")[2] for name in self._objects.list_versions(str(day or "")))
        found = [ShippedSegment(*match.groups()) for match in filter(None, map(OBJECT_PATTERN.fullmatch, names))]
        return sorted(found, key=lambda shipped: (shipped.segment, shipped.replica))

    def put(self, shipped: ShippedSegment, content: bytes) -> None:
        """Write a segment, and read it again.

        Args:
            shipped: Its name.
            content: Its whole lines, of which the name has the checksum.

        Raises:
            DamagedSegment: It reads back differently.
            StoreError: The store refuses, or is away.
        """
        self._objects.write(shipped.place, content)
        if self._objects.read(shipped.place) != content:
            raise DamagedSegment(f"{self.url}/{shipped.place} is not what was shipped")

    def read(self, shipped: ShippedSegment) -> bytes:
        """Read a segment.

        Args:
            shipped: The segment.

        Returns:
            Its content.

        Raises:
            DamagedSegment: The content isn't what the name says.
            FileNotFoundError: It was deleted meanwhile.
            StoreError: The store refuses, or is away.
        """
        content = self._objects.read(shipped.place)
        if digest_content(content) != shipped.digest:
            raise DamagedSegment(f"{self.url}/{shipped.place} is not what was shipped: it is left out")
        return content

    def delete(self, shipped: ShippedSegment) -> None:
        """Delete the segment `shipped`, if it is there. Raises StoreError where the store refuses, or is away."""
        self._objects.delete([shipped.place])
