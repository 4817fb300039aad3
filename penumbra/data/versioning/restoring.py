"""The way back: a data version is brought from DVC's cache or the remote, and verified."""

import logging
from pathlib import Path

from penumbra.core.settings import DataSettings
from penumbra.core.text.errors import describe_error
from penumbra.core.text.masking import mask_address
from penumbra.data.versioning import versions
from penumbra.data.versioning.checksums import ChecksumCache
from penumbra.data.versioning.dvc_file import DvcFile, parse_dvc_file
from penumbra.data.versioning.dvc_listing import FileListing, build_listing, compute_directory_md5, list_files
from penumbra.data.versioning.objects import fetch_object, has_remote_object
from penumbra.data.versioning.repository import (
    build_dvc_config,
    get_repository_root,
    make_repository,
    open_repository,
)
from penumbra.storage.atomic import fill_folder_aside, replace_by_copy


class RestoreFailed(RuntimeError):
    """A data version can't be restored; says which one and where it was looked for."""


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

    md5 = versions.read_recorded_version(data)
    try:
        with open_repository(data) as repo:
            for logger in ("dvc", "dvc_data"):  # they warn of what is missing, which the answer says
                logging.getLogger(logger).setLevel(logging.ERROR)
            repo.pull()
    except (DvcException, OSError, ImportError):
        return _explain_missing_version(data, md5)
    listing = versions.read_recorded_listing(data)
    _bring_back_changed(data, data.folder, listing, versions.build_current_listing(data))
    found = versions.compute_data_version(data)
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
    pointer = parse_dvc_file(text, versions.get_dvc_file(data).name)
    if into.exists():
        raise RestoreFailed(f"{into} exists already: name a folder that doesn't")
    with fill_folder_aside(into) as folder:
        _pull_version(data, pointer, folder)
        checksums = ChecksumCache(folder.with_name("md5.json"))
        present = build_listing(folder, list_files(folder), checksums) if folder.is_dir() else {}
        _bring_back_changed(data, folder, versions.read_cached_listing(data, pointer.md5), present)
        found = compute_directory_md5(folder, checksums)
        if found != pointer.md5:
            raise RestoreFailed(f"what came back is version {found or 'nothing'}, wanted was {pointer.md5}")
    return found


def _bring_back_changed(data: DataSettings, folder: Path, listing: FileListing, present: FileListing) -> None:
    """Write the files anew that DVC's cache gave with other content than the listing names."""
    for name, md5 in listing.items():
        if present.get(name) != md5 and (cached := fetch_object(data, md5)):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            replace_by_copy(folder / name, cached)


def _pull_version(data: DataSettings, pointer: DvcFile, folder: Path) -> None:
    """Fill `folder` from DVC's cache or the remote, through a repository made beside it."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    aside = folder.parent
    (aside / "data.dvc").write_text(pointer.format(folder.name))
    config = build_dvc_config(data) | {"cache": {"dir": str(get_repository_root(data) / ".dvc" / "cache")}}
    try:
        make_repository(aside)
        with Repo(str(aside), config=config) as repo:
            repo.pull()
    except (DvcException, OSError, ImportError):
        raise RestoreFailed(f"data version {pointer.md5}: {_explain_missing_version(data, pointer.md5)}") from None


def _explain_missing_version(data: DataSettings, md5: str) -> str:
    """Say why a version couldn't be pulled: what DVC raises says that files are missing, whatever the reason."""
    remote = f"the remote {mask_address(data.remote) or '(none set)'}"
    try:
        is_there = bool(data.remote) and has_remote_object(data, md5)
    except Exception as error:  # each kind of store has its own
        return f"DVC's cache hasn't all of it, and {remote} can't be read: {describe_error(error)}"
    lacks = "lacks some of its files" if is_there else "doesn't have it"
    return f"DVC's cache hasn't all of it, and {remote} {lacks}"
