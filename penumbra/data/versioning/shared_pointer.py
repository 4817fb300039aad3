"""The pointer file `data.dvc` where machines share it: its content is the latest of numbered objects.

<state>/data-version/<number>   the content of the pointer file, created once

To record a version is to create the next number, which succeeds for one ingest of several.
"""

from pathlib import Path

from penumbra.data.versioning.dvc_file import read_dvc_content
from penumbra.storage.atomic import replace_file
from penumbra.storage.shared.object_sequence import ObjectSequence


class PointerMoved(RuntimeError):
    """Another ingest has recorded a data version meanwhile; says which, and what to do."""


class SharedPointer:
    """A pointer file, and the sequence of what it was."""

    def __init__(self, file: Path, url: str) -> None:
        """Make no request yet.

        Args:
            file: The local pointer file.
            url: Where the sequence is, as `SharedState.locate("data-version")` has it.
        """
        self.file = file
        self.url = url
        self.sequence = ObjectSequence(url)

    def fetch(self) -> None:
        """Write the pointer file as it was recorded last; it stays as it is where nothing was recorded yet.

        Raises:
            StoreError: The store refuses, or is away.
            OSError: The file can't be written.
        """
        _, latest = self._read_latest()
        if latest and latest != self.read():
            self.file.parent.mkdir(parents=True, exist_ok=True)
            replace_file(self.file, latest)

    def read(self) -> bytes:
        """Return the content of the local pointer file; empty where there is none."""
        return read_dvc_content(self.file)

    def publish(self, before: bytes) -> None:
        """Record the content of the local pointer file as the latest, unless that is another one than it follows.

        Args:
            before: The content that it follows; empty for none.

        Raises:
            PointerMoved: Another machine has recorded something else meanwhile.
            StoreError: The store refuses, or is away.
        """
        content = self.read()
        number, latest = self._read_latest()
        is_next = latest in (b"", before) and latest != content
        if is_next and self.sequence.create(number + 1, content):
            return
        _, latest = self._read_latest() if is_next else (number, latest)
        if latest != content:
            raise PointerMoved(
                f"another ingest has recorded a data version meanwhile, which {self.url} has: this one's isn't "
                "recorded; ingest again, which goes on from there"
            )

    def _read_latest(self) -> tuple[int, bytes]:
        numbers = self.sequence.list_numbers()
        return (numbers[-1], self.sequence.read(numbers[-1])) if numbers else (0, b"")
