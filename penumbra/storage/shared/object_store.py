"""Objects behind a URL by fsspec, with errors that say what is the matter, and patience with a store that is away."""

import contextlib
import datetime as dt
import logging
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from penumbra.core.text.installation import describe_installation
from penumbra.core.text.masking import mask_address, mask_text
from penumbra.storage.atomic import create_file, is_written_aside, replace_file, write_aside
from penumbra.storage.shared.store_failures import (
    StoreError,
    explain_store_failure,
    is_condition_broken,
    is_missing_object,
    is_store_away,
)

Result = TypeVar("Result")

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 120.0  # a store that is away for longer is an error
LONGEST_PAUSE_SECONDS = 5.0
LONGEST_REQUEST_SECONDS = 15.0  # without a byte
ONE_ATTEMPT = {"retries": {"total_max_attempts": 1}}


class _Replaced(Exception):
    """An object isn't any more what it was."""


class ObjectStore:
    """The objects below a URL; their names are relative to it."""

    def __init__(self, url: str, patience: float | None = None) -> None:
        """Open a store; no request is made yet.

        Args:
            url: A folder, or a URL that fsspec knows.
            patience: Seconds for which a store that is away is tried again; None for `PATIENCE_SECONDS`.

        Raises:
            StoreError: The package for such URLs isn't installed, or nothing is known about them.
        """
        self.url = url.rstrip("/")
        self._patience = PATIENCE_SECONDS if patience is None else patience
        self._files, self._root = _open_file_system(self.url, self._patience)
        self._is_local = "file" in self._files.protocol

    def create(self, name: str, content: bytes) -> bool:
        """Create an object as a whole, if there is none of its name; of many that do so at once one succeeds.

        Args:
            name: The object's name.
            content: All of its content. After a request whose answer was lost, an object of equal content is taken for
                the one of that request.

        Returns:
            False where there is one.

        Raises:
            StoreError: The store refuses, or is away.
        """
        if self._is_local:
            return create_file(_make_folder(Path(self._locate(name))), content)
        return self._patiently(lambda: self._put_new(name, content), lambda: self._has_content(name, content))

    def write(self, name: str, content: bytes) -> None:
        """Create or replace the object `name` as a whole by `content`. Raises StoreError where the store refuses."""
        if self._is_local:
            return replace_file(_make_folder(Path(self._locate(name))), content)
        self._patiently(lambda: self._files.pipe_file(self._locate(name), content))

    def read(self, name: str) -> bytes:
        """Read an object.

        Args:
            name: The object's name.

        Returns:
            Its content.

        Raises:
            FileNotFoundError: There is none.
            StoreError: The store refuses, or is away.
        """
        return bytes(self._patiently(lambda: self._files.cat_file(self._locate(name), **self._in_one_request)))

    def read_present(self, names: Iterable[str]) -> dict[str, bytes]:
        """Read several objects at a time.

        Args:
            names: Their names.

        Returns:
            The content of each that exists, by name.

        Raises:
            StoreError: The store refuses, or is away.
        """
        paths = {self._locate(name): name for name in names}
        return {paths[path]: content for path, content in self._patiently(lambda: self._read_paths([*paths])).items()}

    def list_versions(self, prefix: str = "") -> dict[str, str]:
        """List the objects below a prefix.

        Args:
            prefix: The names of folders below the URL, such as "train/2024"; "" for all.

        Returns:
            For each object's name its version: a text that changes when the object does.

        Raises:
            StoreError: The store refuses, or is away.
        """
        return {name: _format_version(facts) for name, facts in self._find(prefix)}

    def list_times(self) -> dict[str, dt.datetime]:
        """List when the objects were written, by the store's clock.

        Returns:
            For each object's name the time (UTC).

        Raises:
            StoreError: The store refuses, or is away.
        """
        return {name: _read_time(facts) for name, facts in self._find()}

    def upload(self, path: Path, name: str, before: str | None) -> str | None:
        """Create or replace an object by a local file, unless somebody else has written it meanwhile.

        Args:
            path: The file.
            name: The object's name.
            before: The version that it replaces, as `list_versions` has it; None where there was none. S3 looks as it
                writes, a folder or another store just before.

        Returns:
            Its version; None where the object is another one by now, which stays.

        Raises:
            OSError: The file can't be read.
            StoreError: The store refuses, or is away.
        """
        put = self._copy_here if self._is_local else self._put_file
        if not put(path, name, before) and self._find_content(name) != path.read_bytes():
            return None
        return self._find_version(name)

    def download(self, name: str, path: Path) -> None:
        """Create or replace a local file as a whole by an object.

        Args:
            name: The object's name.
            path: The file; its folder is created where there is none.

        Raises:
            FileNotFoundError: There is no such object.
            OSError: The file can't be written.
            StoreError: The store refuses, or is away.
        """
        with write_aside(_make_folder(path)) as aside:
            self._patiently(lambda: self._files.get_file(self._locate(name), str(aside)))

    def delete(self, names: Iterable[str]) -> None:
        """Delete the objects `names`, as far as they exist. Raises StoreError where the store refuses."""
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                self._patiently(lambda name=name: self._files.rm_file(self._locate(name)))  # type: ignore[misc]

    @property
    def _in_one_request(self) -> dict[str, int]:
        """Arguments that keep s3fs from asking for an object's size first."""
        return {} if self._is_local else {"max_concurrency": 1}

    def _locate(self, name: str) -> str:
        return f"{self._root}/{name}" if name else self._root

    def _find(self, prefix: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
        """The names of the objects below a prefix, with what the store says of each."""
        found = self._patiently(lambda: self._files.find(self._locate(prefix), detail=True))
        start = len(self._root) + 1
        return ((path[start:], facts) for path, facts in found.items() if not is_written_aside(Path(path).name))

    def _read_paths(self, paths: list[str]) -> dict[str, bytes]:
        found = self._files.cat_ranges(paths, None, None, **self._in_one_request)  # `cat` takes paths for patterns
        if failed := [each for each in found if isinstance(each, Exception) and not is_missing_object(each)]:
            raise failed[0]
        return {path: content for path, content in zip(paths, found, strict=True) if isinstance(content, bytes)}

    def _put_new(self, name: str, content: bytes) -> bool:
        try:
            self._files.pipe_file(self._locate(name), content, mode="create")
        except OSError as error:
            if not is_condition_broken(error):
                raise
            return False
        return True

    def _has_content(self, name: str, content: bytes) -> bool:
        try:
            return bool(self._files.cat_file(self._locate(name), **self._in_one_request) == content)
        except FileNotFoundError:
            return False

    def _find_content(self, name: str) -> bytes | None:
        try:
            return self.read(name)
        except FileNotFoundError:
            return None

    def _find_version(self, name: str) -> str | None:
        try:
            return _format_version(self._patiently(lambda: self._files.info(self._locate(name))))
        except FileNotFoundError:
            return None

    def _copy_here(self, path: Path, name: str, before: str | None) -> bool:
        """Copy a file to a folder; False where the object isn't `before` any more."""
        with contextlib.suppress(_Replaced), write_aside(_make_folder(Path(self._locate(name)))) as aside:
            shutil.copyfile(path, aside)
            if self._find_version(name) != before:
                raise _Replaced
            return True
        return False

    def _put_file(self, path: Path, name: str, before: str | None) -> bool:
        """Upload a file; False where the object isn't `before` any more."""
        is_s3 = "s3" in self._files.protocol
        if before and not is_s3 and self._find_version(name) != before:
            return False
        condition = {"IfMatch": before.partition(" ")[2]} if before and is_s3 else {}
        return self._patiently(lambda: self._put_on_condition(path, name, condition if before else {"mode": "create"}))

    def _put_on_condition(self, path: Path, name: str, condition: dict[str, str]) -> bool:
        try:
            self._files.put_file(str(path), self._locate(name), **condition)
        except OSError as error:
            if not is_condition_broken(error):
                raise
            return False
        return True

    def _patiently(self, request: Callable[[], Result], is_done: Callable[[], Result] | None = None) -> Result:
        """Make a request, again and again while the store is away; `is_done` tells whether a lost one has succeeded."""
        end, pause, has_failed = time.monotonic() + self._patience, 0.1, False
        while True:
            try:
                return (has_failed and is_done is not None and is_done()) or request()
            except Exception as error:
                if not is_store_away(error) or time.monotonic() + pause > end:
                    raise explain_store_failure(error, self.url, self._patience) from error
                _warn_once(has_failed, self.url, error)
                has_failed = True
            time.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)


def _open_file_system(url: str, patience: float) -> tuple[Any, str]:
    import fsspec

    options: dict[str, Any] = {"use_listings_cache": False}  # others write, too
    if url.startswith(("s3://", "s3a://")):
        # One attempt, as an attempt that succeeded without an answer must not look like somebody else's.
        seconds = min(LONGEST_REQUEST_SECONDS, patience / 2)  # for a store that takes a connection and says nothing
        options |= {"config_kwargs": {**ONE_ATTEMPT, "connect_timeout": seconds, "read_timeout": seconds}}
    try:
        files, root = fsspec.core.url_to_fs(url, **options)
    except ImportError as error:
        wanted = describe_installation("s3") if url.startswith("s3") else "install the package it names"
        raise StoreError(f"{mask_address(url)}: {error}; {wanted}") from None
    except ValueError as error:
        raise StoreError(f"{mask_address(url)}: {mask_text(str(error))}") from None
    if hasattr(files, "retries"):
        files.retries = 1
    return files, root.rstrip("/")


def _make_folder(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _read_time(facts: dict[str, Any]) -> dt.datetime:
    changed = facts.get("LastModified") or facts.get("mtime") or facts["updated"]
    return changed if isinstance(changed, dt.datetime) else dt.datetime.fromtimestamp(float(changed), dt.UTC)


def _format_version(facts: dict[str, Any]) -> str:
    changed = facts.get("ETag") or facts.get("mtime") or facts.get("LastModified") or facts.get("updated")
    return f"{facts['size']} {changed}"


def _warn_once(has_failed: bool, url: str, error: Exception) -> None:
    if not has_failed:
        logger.warning("%s: no answer (%s), trying again", mask_address(url), mask_text(str(error)))
