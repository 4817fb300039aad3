"""DVC's objects: the content of every file of every data version, named by its md5, in the cache and in the remote."""

import hashlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from penumbra.core.settings import DataSettings
from penumbra.core.text.addresses import get_scheme
from penumbra.storage.atomic import replace_file

OBJECTS_FOLDER = "files/md5"
LISTING_SUFFIX = ".dir"

logger = logging.getLogger("penumbra.data")


def get_repository_root(data: DataSettings) -> Path:
    """Return the folder of the DVC repository that versions the folder of `data`."""
    return data.folder.absolute().parent


def get_cached_object(data: DataSettings, oid: str) -> Path:
    """Return the path of an object in DVC's cache, whether or not it is there.

    Args:
        data: The settings' section `data`.
        oid: The object's md5; with `.dir` for a listing of files.

    Returns:
        The path.
    """
    return _get_object_path(_get_cache_folder(data), oid)


def read_cached_object(data: DataSettings, oid: str) -> bytes | None:
    """Read an object from DVC's cache; one that isn't what its name says is removed, which is logged.

    Args:
        data: The settings' section `data`.
        oid: As in `get_cached_object`.

    Returns:
        The content; None where the cache lacks it.
    """
    path = get_cached_object(data, oid)
    if not path.is_file():
        return None
    content = path.read_bytes()
    if _is_content(content, oid):
        return content
    logger.warning("%s is not what its name says: it is removed from DVC's cache, to be stored again", path)
    path.unlink()
    return None


def fetch_object(data: DataSettings, oid: str, open_repository: Callable[[DataSettings], Any]) -> bytes | None:
    """Read an object from DVC's cache, or else from the remote, which then goes into the cache.

    Args:
        data: The settings' section `data`.
        oid: As in `get_cached_object`.
        open_repository: Opens the DVC repository as a context manager.

    Returns:
        The content, which has the md5 that its name says; None where neither has it.
    """
    if (content := read_cached_object(data, oid)) is not None or not data.remote:
        return content
    content = _read_remote_object(data, oid, open_repository)
    if content is None or not _is_content(content, oid):
        return None
    _write_object(get_cached_object(data, oid), content)
    return content


def has_remote_object(data: DataSettings, oid: str, open_repository: Callable[[DataSettings], Any]) -> bool:
    """Ask the remote whether it has an object; whatever error its client raises passes through.

    Args:
        data: The settings' section `data`, with a remote.
        oid: As in `get_cached_object`.
        open_repository: Opens the DVC repository as a context manager.

    Returns:
        Whether it is there.
    """
    if not get_scheme(data.remote):
        return _get_object_path(Path(data.remote).absolute(), oid).exists()
    with open_repository(data) as repo:
        remote = repo.cloud.get_remote_odb()
        try:
            remote.fs.info(remote.oid_to_path(oid))
        except FileNotFoundError:
            return False
    return True


def check_objects(data: DataSettings) -> Iterator[str]:
    """Read every object of DVC's cache, and of a remote that is a folder; replace those that have changed.

    Args:
        data: The settings' section `data`.

    Yields:
        A sentence for each object that isn't what its name says: where it was brought back from, or that it was
        removed, as no whole copy is there.
    """
    folders = [_get_cache_folder(data)]
    if data.remote and not get_scheme(data.remote):
        folders.append(Path(data.remote).absolute())
    for number, folder in enumerate(folders):
        for path in sorted((folder / OBJECTS_FOLDER).glob("*/*")):
            oid = path.parent.name + path.name
            if not _is_content(path.read_bytes(), oid):
                others = [_get_object_path(other, oid) for other in folders[:number] + folders[number + 1 :]]
                yield _replace_object(path, oid, [*others, *_find_copies(data, oid)])


def _replace_object(path: Path, oid: str, copies: list[Path]) -> str:
    whole = (copy for copy in copies if copy.is_file() and _is_content(copy.read_bytes(), oid))
    path.unlink()
    if copy := next(whole, None):
        _write_object(path, copy.read_bytes())
        return f"{path} is not what its name says: replaced by a copy of {copy}"
    return f"{path} is not what its name says and was removed: the next `penumbra ingest` stores it again, if it can"


def _find_copies(data: DataSettings, oid: str) -> Iterator[Path]:
    """The files of the data folder that have an object's content."""
    files = (path for path in data.folder.rglob("*") if path.is_file())
    return (path for path in files if _is_content(path.read_bytes(), oid))


def _read_remote_object(data: DataSettings, oid: str, open_repository: Callable[[DataSettings], Any]) -> bytes | None:
    with open_repository(data) as repo:
        remote = repo.cloud.get_remote_odb()
        try:
            return bytes(remote.fs.cat_file(remote.oid_to_path(oid)))
        except OSError:
            return None


def _write_object(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, content)
    path.chmod(0o444)  # as DVC keeps them


def _is_content(content: bytes, oid: str) -> bool:
    return hashlib.md5(content).hexdigest() == oid.removesuffix(LISTING_SUFFIX)


def _get_cache_folder(data: DataSettings) -> Path:
    return get_repository_root(data) / ".dvc" / "cache"


def _get_object_path(folder: Path, oid: str) -> Path:
    return folder / OBJECTS_FOLDER / oid[:2] / oid[2:]
