"""A local folder and its copy behind a URL: what is new or changed on one side is brought to the other."""

import contextlib
import fnmatch
import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from penumbra.core.text.masking import mask_address
from penumbra.storage.atomic import replace_file
from penumbra.storage.shared.object_store import ObjectStore

logger = logging.getLogger(__name__)

TRANSFERS_AT_ONCE = 8
LOCK_SUFFIX = ".lock"

# Of a file as it was when both sides were the same: size and time of the local one, version of the object.
Receipt = tuple[int, int, str]


class Mirror:
    """A local folder and its copy behind a URL. Files appear whole on either side, and none is ever removed.

    What both sides had in common last is noted in a file beside the folder. Hidden files, those below hidden folders
    (what is written aside) and locks are left out. Where both sides have changed since, both stay: `push` replaces no
    object that another machine has written meanwhile, however long this one was halted, and `fetch` no local file that
    isn't pushed yet. A file of which nothing is noted, as the process that brought it was killed before, counts as
    unchanged: the object replaces it in `fetch`.
    """

    def __init__(self, folder: Path, url: str, last: Sequence[str] = ()) -> None:
        """Make a mirror; no request is made yet.

        Args:
            folder: The local folder; `fetch` creates it.
            url: A folder, or a URL that fsspec knows.
            last: Patterns of the names of files that make others count: they are moved once all others have arrived.

        Raises:
            StoreError: The package for such URLs isn't installed, or nothing is known about them.
        """
        self.folder = folder
        self.store = ObjectStore(url)
        self._last = last
        self._notes = folder.with_name(f".{folder.name}.mirror.json")

    def push(self, prefix: str = "") -> list[str]:
        """Upload the files that are new or have changed; what another machine wrote meanwhile stays, and is logged.

        Args:
            prefix: The name of a folder below the folder; "" for all.

        Returns:
            The names of what was uploaded, or was there already, relative to the folder, with slashes.

        Raises:
            OSError: A file can't be read.
            StoreError: The store refuses, or is away; what has arrived isn't uploaded again.
        """
        there = self.store.list_versions(prefix)
        with self._keep_receipts() as receipts:
            changed = [
                name
                for name, path in self._list_files(prefix)
                if not _is_pushed(path, receipts.get(name), there.get(name))
            ]
            before = {name: receipts[name][2] for name in changed if name in receipts and name in there}
            pushed = _transfer_in_turn(changed, self._last, lambda name: self._upload(name, before.get(name)), receipts)
        if left := sorted(name for name in {*changed} - {*pushed} if (self.folder / name).exists()):
            logger.warning("%s: what another machine wrote stays: %s", mask_address(self.store.url), ", ".join(left))
        return sorted(pushed)

    def fetch(self, prefix: str = "") -> list[str]:
        """Download the files that are new or have changed, or are missing here; not those that are removed meanwhile.

        Args:
            prefix: The name of a folder or a file below the folder; "" for all.

        Returns:
            The names of what was downloaded, relative to the folder, with slashes.

        Raises:
            OSError: A file can't be written.
            StoreError: The store refuses, or is away; what has arrived isn't downloaded again.
        """
        there = self.store.list_versions(prefix)
        with self._keep_receipts() as receipts:
            changed = [
                name for name in sorted(there) if not _is_fetched(self.folder / name, receipts.get(name), there[name])
            ]
            return _transfer_in_turn(changed, self._last, lambda name: self._download(name, there[name]), receipts)

    def _upload(self, name: str, before: str | None) -> Receipt | None:
        path = self.folder / name
        try:
            facts = path.stat()  # before the content is read, so that a later change counts as one
            version = self.store.upload(path, name, before)
        except FileNotFoundError:
            if path.exists():
                raise
            return None  # removed since it was listed
        return None if version is None else (facts.st_size, facts.st_mtime_ns, version)

    def _download(self, name: str, version: str) -> Receipt | None:
        path = self.folder / name
        try:
            self.store.download(name, path)
        except FileNotFoundError:
            return None  # removed since it was listed
        return path.stat().st_size, path.stat().st_mtime_ns, version

    def _list_files(self, prefix: str) -> Iterator[tuple[str, Path]]:
        for folder, _, names in os.walk(self.folder / prefix, onerror=_raise_unless_gone):
            for path in (Path(folder, name) for name in names):
                inner = path.relative_to(self.folder)
                is_hidden = any(part.startswith(".") for part in inner.parts)
                if path.is_file() and not is_hidden and path.suffix != LOCK_SUFFIX:
                    yield inner.as_posix(), path

    @contextlib.contextmanager
    def _keep_receipts(self) -> Iterator[dict[str, Receipt]]:
        """Yield the receipts by name, and write them at the end, also after an exception."""
        notes = json.loads(self._notes.read_text()) if self._notes.exists() else {}
        is_same_store = notes.get("url") == self.store.url
        receipts = {name: tuple(each) for name, each in notes["receipts"].items()} if is_same_store else {}
        before = dict(receipts)
        try:
            yield receipts
        finally:
            if receipts != before:
                self._notes.parent.mkdir(parents=True, exist_ok=True)
                replace_file(self._notes, json.dumps({"url": self.store.url, "receipts": receipts}))


def _transfer_in_turn(
    names: Sequence[str], last: Sequence[str], move: Callable[[str], Receipt | None], receipts: dict[str, Receipt]
) -> list[str]:
    """Move files as `_transfer` does, those whose names have one of the last patterns once all others have arrived."""
    final = {name for name in names if any(fnmatch.fnmatch(name, pattern) for pattern in last)}
    turns = sorted({*names} - final), sorted(final)
    return sorted(moved for turn in turns for moved in _transfer(turn, move, receipts))


def _transfer(names: Sequence[str], move: Callable[[str], Receipt | None], receipts: dict[str, Receipt]) -> list[str]:
    """Move files, some at a time; note each that has arrived, also where another fails. Returns their names."""

    def move_and_note(name: str) -> bool:
        if receipt := move(name):
            receipts[name] = receipt
        return receipt is not None

    with ThreadPoolExecutor(TRANSFERS_AT_ONCE) as threads:
        waiting = [threads.submit(move_and_note, name) for name in names]
        return [name for name, done in zip(names, waiting, strict=True) if done.result()]


def _raise_unless_gone(error: OSError) -> None:
    """Folders that another task removes while they are listed have no files."""
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise error


def _is_pushed(path: Path, receipt: Receipt | None, version: str | None) -> bool:
    return version is not None and receipt is not None and _is_unchanged(path, receipt)


def _is_fetched(path: Path, receipt: Receipt | None, version: str) -> bool:
    """Whether the local file is the object, or has changed since it was, and is to be pushed."""
    if receipt is None or not path.exists():
        return False
    return receipt[2] == version or not _is_unchanged(path, receipt)


def _is_unchanged(path: Path, receipt: Receipt) -> bool:
    try:
        facts = path.stat()
    except FileNotFoundError:
        return False
    return (facts.st_size, facts.st_mtime_ns) == receipt[:2]
