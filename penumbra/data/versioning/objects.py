"""DVC's objects: the content of every file of every data version, named by its md5, in the cache and in the remote."""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from penumbra.core.raw_files import hash_md5
from penumbra.core.settings import DataSettings
from penumbra.core.text.addresses import get_scheme
from penumbra.data.versioning.repository import get_repository_root, open_repository
from penumbra.storage.atomic import replace_by_copy, write_aside

OBJECTS_FOLDER = "files/md5"
LISTING_SUFFIX = ".dir"
OBJECT_MODE = 0o444  # of an object's file, as DVC keeps them

logger = logging.getLogger("penumbra.data")


def get_cached_object(data: DataSettings, oid: str) -> Path:
    """Return the path of an object in DVC's cache, whether or not it is there.

    Args:
        data: The settings' section `data`.
        oid: The object's md5; with `.dir` for a listing of files.

    Returns:
        The path.
    """
    return _get_object_path(_get_cache_folder(data), oid)


def find_cached_object(data: DataSettings, oid: str) -> Path | None:
    """Find an object in DVC's cache; one that isn't what its name says is removed, which is logged.

    Args:
        data: The settings' section `data`.
        oid: As in `get_cached_object`.

    Returns:
        Its file, which was read and has the md5 that its name says; None where the cache lacks it.
    """
    path = get_cached_object(data, oid)
    if not path.is_file():
        return None
    if _has_content(path, oid):
        return path
    logger.warning("%s is not what its name says: it is removed from DVC's cache, to be stored again", path)
    path.unlink()
    return None


def fetch_object(data: DataSettings, oid: str) -> Path | None:
    """Find an object in DVC's cache, or else fetch it from the remote into the cache.

    Args:
        data: The settings' section `data`.
        oid: As in `get_cached_object`.

    Returns:
        Its file, which has the md5 that its name says; None where neither gives it.
    """
    from dvc.exceptions import DvcException

    with contextlib.suppress(DvcException, OSError):
        return find_cached_object(data, oid) or _fetch_from_remote(data, oid)
    return None


def has_remote_object(data: DataSettings, oid: str, repo: Any = None) -> bool:
    """Ask the remote whether it has an object; whatever error its client raises passes through.

    Args:
        data: The settings' section `data`, with a remote.
        oid: As in `get_cached_object`.
        repo: DVC's repository, where it is open already.

    Returns:
        Whether it is there.
    """
    if not get_scheme(data.remote):
        return _get_object_path(Path(data.remote).absolute(), oid).exists()
    with open_repository(data) if repo is None else contextlib.nullcontext(repo) as opened:
        remote = opened.cloud.get_remote_odb()
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
            if not _has_content(path, oid):
                others = [_get_object_path(other, oid) for other in folders[:number] + folders[number + 1 :]]
                yield _replace_object(path, oid, [*others, *_find_copies(data, oid)])


def _replace_object(path: Path, oid: str, copies: list[Path]) -> str:
    whole = (copy for copy in copies if copy.is_file() and _has_content(copy, oid))
    path.unlink()
    if copy := next(whole, None):
        replace_by_copy(path, copy)
        path.chmod(OBJECT_MODE)
        return f"{path} is not what its name says: replaced by a copy of {copy}"
    return f"{path} is not what its name says and was removed: the next `penumbra ingest` stores it again, if it can"


def _find_copies(data: DataSettings, oid: str) -> Iterator[Path]:
    """The files of the data folder that have an object's content."""
    files = (path for path in data.folder.rglob("*") if path.is_file())
    return (path for path in files if _has_content(path, oid))


def _fetch_from_remote(data: DataSettings, oid: str) -> Path | None:
    """Fetch an object into the cache; None without a remote, or where what it gives has another md5."""
    if not data.remote:
        return None
    path = get_cached_object(data, oid)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open_repository(data) as repo, write_aside(path) as fetched:
        remote = repo.cloud.get_remote_odb()
        remote.fs.get_file(remote.oid_to_path(oid), str(fetched))
        if not _has_content(fetched, oid):
            raise FileNotFoundError(oid)
        fetched.chmod(OBJECT_MODE)
    return path


def _has_content(path: Path, oid: str) -> bool:
    return hash_md5(path) == oid.removesuffix(LISTING_SUFFIX)


def _get_cache_folder(data: DataSettings) -> Path:
    return get_repository_root(data) / ".dvc" / "cache"


def _get_object_path(folder: Path, oid: str) -> Path:
    return folder / OBJECTS_FOLDER / oid[:2] / oid[2:]
