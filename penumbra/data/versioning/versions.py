"""Data versions: the DVC md5 of the data folder, recorded in DVC's cache, the remote and the pointer file.

A version is named by the file `<folder>.dvc`, which git keeps. Its content is in DVC's cache and in the remote of the
settings (a folder, s3://…, gs://…: see https://dvc.org/doc/user-guide/data-management/remote-storage).
"""

import contextlib
import functools
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penumbra.core.settings import DataSettings
from penumbra.core.text.errors import describe_error
from penumbra.data.versioning import objects
from penumbra.data.versioning.checksums import ChecksumCache, FileStat, read_file_stat
from penumbra.data.versioning.dvc_file import DvcFile, format_dvc_file, parse_dvc_file
from penumbra.data.versioning.dvc_listing import (
    FileListing,
    build_listing,
    compute_listing_md5,
    decode_listing,
    encode_listing,
    hash_listing,
    list_files,
    select_new_files,
)
from penumbra.data.versioning.repository import open_repository
from penumbra.storage.atomic import replace_file


@dataclass(frozen=True)
class DataVersion:
    """A recorded data version.

    Attributes:
        md5: DVC's md5 of the data folder.
        changed: Whether the content is new.
        problem: Why the remote doesn't have it; "" where it does or none is set.
    """

    md5: str
    changed: bool
    problem: str = ""


def get_dvc_file(data: DataSettings) -> Path:
    """Return the path of the pointer file that names the version of the folder of `data`."""
    return data.folder.with_name(data.folder.name + ".dvc")


def compute_data_version(data: DataSettings) -> str:
    """Compute the version of what the data folder holds now.

    Args:
        data: The settings' section `data`.

    Returns:
        DVC's md5 of the folder; "" where it is empty or doesn't exist.
    """
    listing = build_current_listing(data)
    return compute_listing_md5(listing) if listing else ""


def build_current_listing(data: DataSettings, checksums: ChecksumCache | None = None) -> FileListing:
    """List the files of the data folder.

    Args:
        data: The settings' section `data`.
        checksums: The cache of the files' checksums, which is saved; None for the index on disk.

    Returns:
        The md5 of each file by its path in the folder.
    """
    return _describe_folder(data, checksums)[0]


def read_recorded_listing(data: DataSettings, fetch: bool = False) -> FileListing:
    """Read which files the version has that the pointer file names.

    Args:
        data: The settings' section `data`.
        fetch: Whether to ask the remote where DVC's cache lacks the listing.

    Returns:
        The md5 of each file by its path in the data folder; empty where there is no pointer file, or the listing isn't
        there.

    Raises:
        DamagedDvcFile: Where the pointer file isn't one.
    """
    md5 = read_recorded_version(data)
    if fetch and md5:
        objects.fetch_object(data, md5)
    return read_cached_listing(data, md5)


def read_recorded_version(data: DataSettings) -> str:
    """Read the version that the pointer file names.

    Args:
        data: The settings' section `data`.

    Returns:
        DVC's md5 of the folder; "" where there is no pointer file.

    Raises:
        DamagedDvcFile: Where the pointer file isn't one.
    """
    pointer = _read_pointer(data)
    return pointer.md5 if pointer else ""


def read_recorded_meta(data: DataSettings) -> Mapping[str, Any] | None:
    """Read what the pointer file has under `meta`.

    Args:
        data: The settings' section `data`.

    Returns:
        The content; None where there is no pointer file, or it has none.

    Raises:
        DamagedDvcFile: Where the pointer file isn't one.
    """
    pointer = _read_pointer(data)
    return pointer.meta if pointer else None


def read_cached_listing(data: DataSettings, md5: str) -> FileListing:
    """Read which files a version has, from DVC's cache.

    Args:
        data: The settings' section `data`.
        md5: The version; "" for none.

    Returns:
        The md5 of each file by its path in the data folder, not to be changed; empty where the cache lacks the listing.
    """
    if not md5:
        return {}
    try:
        return _read_listing(data, md5, read_file_stat(str(objects.get_cached_object(data, md5))))
    except OSError:
        return {}


def record_data_version(
    data: DataSettings, meta: Mapping[str, Any] | None = None, checksums: ChecksumCache | None = None
) -> DataVersion:
    """Make the folder's content a version: into DVC's cache, then into the remote, then named by the pointer file.

    Only new files are stored and pushed, so one more batch costs the same however many came before. The pointer file is
    not touched when it names this content already, so git stays clean.

    Args:
        data: The settings' section `data`.
        meta: What the pointer file gets under `meta`.
        checksums: The cache of the files' checksums, which is saved; None for the index on disk.

    Returns:
        The version. A remote that fails is reported in `problem`, not raised, and tried again by the next call.

    Raises:
        DamagedDvcFile: Where the pointer file isn't one.
    """
    listing, size = _describe_folder(data, checksums)
    encoded, before = encode_listing(listing), read_recorded_version(data)
    now, known = hash_listing(encoded), read_cached_listing(data, before)
    if before == now and known and _is_pushed(data, now):
        return DataVersion(now, changed=False)
    new = select_new_files(listing, known)
    with open_repository(data) as repo, repo.lock:
        _store_in_cache(repo.cache.local, data.folder, new, encoded)
        problem = _push_version(data, repo, before, now, new, listing)
    if before != now:
        pointer = format_dvc_file(now, size, len(listing), data.folder.name, meta)
        replace_file(get_dvc_file(data), pointer)
    return DataVersion(now, changed=before != now, problem=problem)


@functools.lru_cache(maxsize=2)  # each batch that is derived again is looked up in the same one
def _read_listing(data: DataSettings, md5: str, _: FileStat) -> FileListing:
    """The listing of a version, whose file in DVC's cache has this stat."""
    cached = objects.find_cached_object(data, md5)
    return decode_listing(cached.read_bytes()) if cached else {}


def _describe_folder(data: DataSettings, checksums: ChecksumCache | None = None) -> tuple[FileListing, int]:
    """The listing of the data folder as it is, and the bytes of all its files."""
    checksums = checksums or ChecksumCache(data.derived / "md5.json")
    files = list_files(data.folder, checksums)
    listing = build_listing(data.folder, files, checksums)
    checksums.save()
    return listing, checksums.sum_sizes(files)


def _is_pushed(data: DataSettings, md5: str) -> bool:
    """Whether the remote has a version, or none is set; where it can't be asked, the push says why."""
    with contextlib.suppress(Exception):
        return not data.remote or objects.has_remote_object(data, md5)
    return False


def _push_version(data: DataSettings, repo: Any, before: str, now: str, new: FileListing, listing: FileListing) -> str:
    """Push what the remote lacks of a version, its listing last: where that is, so is the version as a whole.

    The remote is asked, not a note of earlier pushes: the store behind its address may be another by now.

    Returns why the remote doesn't have it now; "" where it does, or none is set.
    """
    if not data.remote:
        return ""
    try:
        is_there = bool(before) and objects.has_remote_object(data, before, repo)
        cache, remote = repo.cache.local, repo.cloud.get_remote_odb()
        for oids in ([*(new if is_there else listing).values()], [now]):
            remote.add([cache.oid_to_path(oid) for oid in oids], cache.fs, oids, on_error=_raise_error)
    except Exception as error:  # each kind of store has its own
        return describe_error(error)
    return ""


def _store_in_cache(cache: Any, folder: Path, new: FileListing, encoded: bytes) -> None:
    """Put files and the directory's listing into DVC's cache, which copies (or reflinks) and never moves them."""
    from dvc.fs import localfs

    paths = [str(folder / name) for name in new]
    cache.add(paths, localfs, list(new.values()), on_error=_raise_error)
    with tempfile.NamedTemporaryFile(dir=folder.absolute().parent, prefix=".listing-") as file:
        file.write(encoded)
        file.flush()
        cache.add(file.name, localfs, hash_listing(encoded), on_error=_raise_error)


def _read_pointer(data: DataSettings) -> DvcFile | None:
    file = get_dvc_file(data)
    return parse_dvc_file(file.read_bytes(), str(file)) if file.exists() else None


def _raise_error(_: str, error: BaseException) -> None:
    raise error
