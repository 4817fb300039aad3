"""Data versions: the DVC md5 of the data folder, and the DVC repository that keeps every version of it.

A version is named by the file `<folder>.dvc`, which git keeps. Its content is in DVC's cache and in the remote of the
settings (a folder, s3://…, gs://…: see https://dvc.org/doc/user-guide/data-management/remote-storage).
"""

import contextlib
import json
import logging
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penumbra.core.project_root import is_git_checkout
from penumbra.core.settings import DataSettings
from penumbra.core.text.addresses import make_absolute
from penumbra.core.text.errors import describe_error
from penumbra.core.text.masking import mask_address
from penumbra.data.versioning import objects
from penumbra.data.versioning.checksums import ChecksumCache
from penumbra.data.versioning.dvc_file import DvcFile, format_dvc_file, parse_dvc_file
from penumbra.data.versioning.dvc_listing import (
    FileListing,
    build_listing,
    compute_directory_md5,
    compute_listing_md5,
    encode_listing,
    list_files,
    select_new_files,
)
from penumbra.storage.atomic import fill_folder_aside, replace_by_copy, replace_file

os.environ.setdefault("DVC_NO_ANALYTICS", "1")
REPOSITORY_CONFIG = "[core]\n    no_scm = true\n    site_cache_dir = .dvc/tmp/site\n"  # of one that no checkout has


class RestoreFailed(RuntimeError):
    """A data version can't be restored; says which one and where it was looked for."""


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


def build_current_listing(data: DataSettings, thorough: bool = False) -> FileListing:
    """List the files of the data folder.

    Args:
        data: The settings' section `data`.
        thorough: Whether to read the files whose size and change time are as they were, too.

    Returns:
        The md5 of each file by its path in the folder.
    """
    checksums = ChecksumCache(data.derived / "md5.json", thorough)
    listing = build_listing(data.folder, list_files(data.folder), checksums)
    checksums.save()
    return listing


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
        fetch_version_object(data, md5)
    return _read_cached_listing(data, md5)


def fetch_version_object(data: DataSettings, oid: str) -> Path | None:
    """Find one object of a data version in DVC's cache, or else fetch it from the remote.

    Args:
        data: The settings' section `data`.
        oid: A file's md5, or a version's.

    Returns:
        Its file in the cache, checked against its md5; None where neither has it.
    """
    from dvc.exceptions import DvcException

    try:
        return objects.fetch_object(data, oid, _open_repository)
    except (DvcException, OSError):
        return None


def read_recorded_version(data: DataSettings) -> str:
    """Read the version that the pointer file names.

    Args:
        data: The settings' section `data`.

    Returns:
        DVC's md5 of the folder; "" where there is no pointer file.

    Raises:
        DamagedDvcFile: Where the pointer file isn't one.
    """
    file = get_dvc_file(data)
    return parse_dvc_file(file.read_bytes(), str(file)).md5 if file.exists() else ""


def read_recorded_meta(data: DataSettings) -> Mapping[str, Any] | None:
    """Read what the pointer file has under `meta`.

    Args:
        data: The settings' section `data`.

    Returns:
        The content; None where there is no pointer file, or it has none.

    Raises:
        DamagedDvcFile: Where the pointer file isn't one.
    """
    file = get_dvc_file(data)
    return parse_dvc_file(file.read_bytes(), str(file)).meta if file.exists() else None


def record_data_version(data: DataSettings, meta: Mapping[str, Any] | None = None) -> DataVersion:
    """Make the folder's content a version: into DVC's cache, then into the remote, then named by the pointer file.

    Only new files are stored and pushed, so one more batch costs the same however many came before. The pointer file is
    not touched when it names this content already, so git stays clean.

    Args:
        data: The settings' section `data`.
        meta: What the pointer file gets under `meta`.

    Returns:
        The version. A remote that fails is reported in `problem`, not raised, and tried again by the next call.

    Raises:
        DamagedDvcFile: Where the pointer file isn't one.
    """
    listing = build_current_listing(data)
    before, now = read_recorded_version(data), compute_listing_md5(listing)
    if before == now and _read_cached_listing(data, now) and _is_pushed(data, now):
        return DataVersion(now, changed=False)
    with _open_repository(data) as repo, repo.lock:
        known = _read_cached_listing(data, before)
        _store_in_cache(repo.cache.local, data.folder, select_new_files(listing, known), listing)
        problem = _push_version(data, repo, listing)
    if before != now:
        _write_dvc_file(data, now, listing, meta)
    return DataVersion(now, changed=before != now, problem=problem)


def pull_data(data: DataSettings) -> str:
    """Bring the version that the pointer file names into the data folder.

    Args:
        data: The settings' section `data`.

    Returns:
        Why the folder doesn't have that version, as a clause; "" where it has it now.

    Raises:
        DamagedDvcFile: Where the pointer file isn't one.
    """
    from dvc.exceptions import DvcException

    md5 = read_recorded_version(data)

    try:
        with _open_repository(data) as repo:
            for logger in ("dvc", "dvc_data"):  # they warn of what is missing, which the answer says
                logging.getLogger(logger).setLevel(logging.ERROR)
            repo.pull()
    except (DvcException, OSError, ImportError):
        return _explain_missing_version(data, md5)
    listing = read_recorded_listing(data)
    _bring_back_changed(data, data.folder, listing, build_current_listing(data))
    found = compute_data_version(data)
    return "" if found == md5 else f"what came back is version {found or 'nothing'}"


def restore_data_version(data: DataSettings, text: str | bytes, into: Path) -> str:
    """Bring a data version into a new folder and verify it, without git and without touching the data folder.

    Args:
        data: The settings' section `data`, with DVC's cache beside the folder, and the remote.
        text: The text of the `.dvc` file that names the version.
        into: The folder to create.

    Returns:
        The version's md5.

    Raises:
        RestoreFailed: Where `into` exists, or cache and remote lack the version, or something else came back.
        DamagedDvcFile: Where the text isn't that of a `.dvc` file.
    """
    pointer = parse_dvc_file(text, get_dvc_file(data).name)
    if into.exists():
        raise RestoreFailed(f"{into} exists already: name a folder that doesn't")
    with fill_folder_aside(into) as folder:
        _pull_version(data, pointer, folder)
        checksums = ChecksumCache(folder.with_name("md5.json"))
        present = build_listing(folder, list_files(folder), checksums) if folder.is_dir() else {}
        _bring_back_changed(data, folder, _read_cached_listing(data, pointer.md5), present)
        found = compute_directory_md5(folder, checksums)
        if found != pointer.md5:
            raise RestoreFailed(f"what came back is version {found or 'nothing'}, wanted was {pointer.md5}")
    return found


def _bring_back_changed(data: DataSettings, folder: Path, listing: FileListing, present: FileListing) -> None:
    """Write the files anew that DVC's cache gave with other content than the listing names."""
    for name, md5 in listing.items():
        if present.get(name) != md5 and (cached := fetch_version_object(data, md5)):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            replace_by_copy(folder / name, cached)


def _pull_version(data: DataSettings, pointer: DvcFile, folder: Path) -> None:
    """Fill `folder` from DVC's cache or the remote, through a repository made beside it."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    aside = folder.parent
    (aside / "data.dvc").write_text(pointer.format(folder.name))
    config = _build_dvc_config(data) | {"cache": {"dir": str(objects.get_repository_root(data) / ".dvc" / "cache")}}
    try:
        _make_repository(aside)
        with Repo(str(aside), config=config) as repo:
            repo.pull()
    except (DvcException, OSError, ImportError):
        raise RestoreFailed(f"data version {pointer.md5}: {_explain_missing_version(data, pointer.md5)}") from None


def _explain_missing_version(data: DataSettings, md5: str) -> str:
    """Say why a version couldn't be pulled: what DVC raises says that files are missing, whatever the reason."""
    remote = f"the remote {mask_address(data.remote) or '(none set)'}"
    try:
        is_there = bool(data.remote) and objects.has_remote_object(data, md5, _open_repository)
    except Exception as error:  # each kind of store has its own
        return f"DVC's cache hasn't all of it, and {remote} can't be read: {describe_error(error)}"
    lacks = "lacks some of its files" if is_there else "doesn't have it"
    return f"DVC's cache hasn't all of it, and {remote} {lacks}"


@contextlib.contextmanager
def _open_repository(data: DataSettings) -> Iterator[Any]:
    from dvc.repo import Repo

    root = objects.get_repository_root(data)
    if not (root / ".dvc").exists():  # an empty work folder of a pod
        _make_repository(root)
    config = _build_dvc_config(data)
    config["core"]["no_scm"] = not is_git_checkout(root)
    with Repo(str(root), config=config, _wait_for_lock=True) as repo:
        repo.scm_context.quiet = True
        yield repo


def _make_repository(root: Path) -> None:
    """Make a DVC repository that needs no git, in a folder that has none."""
    (root / ".dvc").mkdir(parents=True)
    (root / ".dvc" / "config").write_text(REPOSITORY_CONFIG)


def _is_pushed(data: DataSettings, md5: str) -> bool:
    """Whether the remote has a version, or none is set; where it can't be asked, the push says why."""
    with contextlib.suppress(Exception):
        return not data.remote or objects.has_remote_object(data, md5, _open_repository)
    return False


def _push_version(data: DataSettings, repo: Any, listing: FileListing) -> str:
    """Push what the remote lacks of a version, its listing last: where that is, so is the version as a whole.

    The remote is asked, not a note of earlier pushes: the store behind its address may be another by now.

    Returns why the remote doesn't have it now; "" where it does, or none is set.
    """
    if not data.remote:
        return ""
    before = read_recorded_version(data)
    try:
        is_there = bool(before) and objects.has_remote_object(data, before, lambda _: contextlib.nullcontext(repo))
        new = select_new_files(listing, _read_cached_listing(data, before) if is_there else {})
        cache, remote = repo.cache.local, repo.cloud.get_remote_odb()
        for oids in (list(new.values()), [compute_listing_md5(listing)]):
            remote.add([cache.oid_to_path(oid) for oid in oids], cache.fs, oids, on_error=_raise_error)
    except Exception as error:  # each kind of store has its own
        return describe_error(error)
    return ""


def _store_in_cache(cache: Any, folder: Path, new: FileListing, listing: FileListing) -> None:
    """Put files and the directory's listing into DVC's cache, which copies (or reflinks) and never moves them."""
    from dvc.fs import localfs

    paths = [str(folder / name) for name in new]
    cache.add(paths, localfs, list(new.values()), on_error=_raise_error)
    with tempfile.NamedTemporaryFile(dir=folder.absolute().parent, prefix=".listing-") as file:
        file.write(encode_listing(listing))
        file.flush()
        cache.add(file.name, localfs, compute_listing_md5(listing), on_error=_raise_error)


def _write_dvc_file(data: DataSettings, md5: str, listing: FileListing, meta: Mapping[str, Any] | None) -> None:
    """Write the pointer file as `dvc add` writes it."""
    size = sum((data.folder / name).stat().st_size for name in listing)
    replace_file(get_dvc_file(data), format_dvc_file(md5, size, len(listing), data.folder.name, meta))


def _read_cached_listing(data: DataSettings, md5: str) -> FileListing:
    """The listing of a version in the cache, empty where the cache lacks it."""
    cached = objects.find_cached_object(data, md5) if md5 else None
    return {entry["relpath"]: entry["md5"] for entry in json.loads(cached.read_bytes())} if cached else {}


def _raise_error(_: str, error: BaseException) -> None:
    raise error


def _build_dvc_config(data: DataSettings) -> dict[str, Any]:
    if not data.remote:
        return {"core": {"remote": ""}}
    return {"core": {"remote": "settings"}, "remote": {"settings": {"url": make_absolute(data.remote)}}}
