"""The check that raw batches are still what was admitted, byte for byte, and the way back where one isn't.

What was admitted is what the recorded data version lists (`data.dvc`, and its listing in DVC's cache). A file that has
changed, or is missing, is brought back from the cache or the remote; what is in its place, a folder too, is set aside,
as is a file that the batch didn't have.

<derived>/changed/<batch>/<file>.<md5>   a raw file that wasn't what was admitted
"""

import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from penumbra.core.settings import DataSettings
from penumbra.data.versioning import versions
from penumbra.data.versioning.checksums import ChecksumCache
from penumbra.data.versioning.dvc_listing import FileListing, compute_growing_md5s, compute_listing_md5
from penumbra.data.versioning.objects import fetch_object
from penumbra.storage.atomic import replace_by_copy

BATCHES_PREFIX = "batches/"
CHANGED_FOLDER = "changed"


class BatchesChanged(RuntimeError):
    """Raw batches aren't what was admitted, and can't be brought back; names them and what to do."""


@dataclass(frozen=True)
class ChangedFile:
    """A raw file that isn't what was admitted.

    Attributes:
        name: Its path in the data folder.
        admitted: The md5 that it was admitted with; "" where the batch has no such file.
        found: The md5 that it has; "" where it is missing.
    """

    name: str
    admitted: str
    found: str

    @property
    def batch(self) -> str:
        """The name of its batch."""
        return _get_batch(self.name)

    def describe(self, data: DataSettings) -> str:
        """Describe what is wrong with it.

        Args:
            data: The settings' section `data`, which has the folder's name.

        Returns:
            A clause that names batch, file, and both md5 where there are two.
        """
        if not self.admitted:
            return f"{self.batch} isn't what was admitted: {data.folder / self.name} is no file of it"
        missing = "is a folder" if (data.folder / self.name).is_dir() else "is missing"
        state = f"has the md5 {self.found}" if self.found else missing
        return f"{self.batch} isn't what was admitted: {data.folder / self.name} {state}, not {self.admitted}"


def find_changed_files(data: DataSettings, checksums: ChecksumCache | None = None) -> list[ChangedFile]:
    """Compare the data folder with the recorded version. Batches that the version doesn't have are left alone.

    Args:
        data: The settings' section `data`.
        checksums: The cache of the files' checksums, which is saved; None for the index on disk.

    Returns:
        The changed and missing files, then those that a batch of the version doesn't have, in the order of their names;
        none where no version is recorded.

    Raises:
        DamagedDvcFile: The pointer file isn't one.
        BatchesChanged: Something has changed, and neither DVC's cache nor the remote can say what.
    """
    current = versions.build_current_listing(data, checksums)
    recorded = versions.read_recorded_version(data)
    if not recorded or compute_listing_md5(current) == recorded:
        return []
    listing = versions.read_recorded_listing(data, fetch=True) or _find_recorded_part(current, recorded)
    if not listing:
        raise BatchesChanged(
            f"{data.folder}/ isn't what {data.folder}.dvc names, and neither DVC's cache nor the remote "
            f"{data.remote or '(none set)'} has the list of its files: bring one of them back, or remove "
            f"{data.folder}.dvc to begin a history of your own"
        )
    changed = [name for name, md5 in listing.items() if current.get(name) != md5]
    batches = {_get_batch(name) for name in listing if name.startswith(BATCHES_PREFIX)}
    foreign = sorted(
        name
        for name in current.keys() - listing.keys()
        if name.startswith(BATCHES_PREFIX) and _get_batch(name) in batches
    )
    return [ChangedFile(name, listing.get(name, ""), current.get(name, "")) for name in [*changed, *foreign]]


def list_recorded_batches(listing: FileListing) -> list[str]:
    """Return the names of the batches of a recorded version, by its `listing` of files."""
    return sorted({_get_batch(name) for name in listing if name.startswith(BATCHES_PREFIX)})


def bring_back_files(data: DataSettings, changed: Sequence[ChangedFile]) -> list[str]:
    """Bring raw files back from DVC's cache or the remote; set aside what is in their place, or is no file of a batch.

    Args:
        data: The settings' section `data`.
        changed: The files.

    Returns:
        A sentence for each.

    Raises:
        BatchesChanged: Neither has one of them; nothing is brought back then.
        OSError: A file can't be written.
    """
    objects = {file: fetch_object(data, file.admitted) for file in changed if file.admitted}
    if lost := [file for file, cached in objects.items() if cached is None]:
        raise BatchesChanged(
            f"{'; '.join(file.describe(data) for file in lost)}; neither DVC's cache nor the remote "
            f"{data.remote or '(none set)'} has what was: bring it back from a backup, or let `penumbra ingest --again "
            f"{lost[0].batch}` fetch and check the batch anew, which makes a new data version"
        )
    removed = [_remove(data, file) for file in changed if not file.admitted]  # such as a folder's in a file's place
    return [_bring_back(data, file, cached) for file, cached in objects.items() if cached] + removed


def is_admitted(data: DataSettings, batch: str, sums: FileListing) -> bool:
    """Tell whether the recorded version has a batch with exactly these files, or doesn't have it yet.

    Args:
        data: The settings' section `data`.
        batch: The batch's name.
        sums: The md5 of each of its files, by path in the batch's folder.

    Returns:
        False where the version has other files for it.
    """
    start = f"{BATCHES_PREFIX}{batch}/"
    listing = versions.read_recorded_listing(data)
    recorded = {name.removeprefix(start): md5 for name, md5 in listing.items() if name.startswith(start)}
    return not recorded or recorded == sums


def _find_recorded_part(current: FileListing, recorded: str) -> FileListing:
    """The files of the first batches that make the recorded version, where later ones were only admitted since."""
    parts: dict[str, FileListing] = {}
    for name in sorted(current, key=_get_batch):
        parts.setdefault(_get_batch(name), {})[name] = current[name]
    found = FileListing()
    for part, md5 in zip(parts.values(), compute_growing_md5s(parts.values()), strict=True):
        found |= part
        if md5 == recorded:
            return found
    return {}


def _bring_back(data: DataSettings, file: ChangedFile, cached: Path) -> str:
    path, said = data.folder / file.name, file.describe(data)
    aside = _set_aside(data, file) if file.found else _set_folder_aside(data, file) if path.is_dir() else ""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_by_copy(path, cached)
    kept = aside and f"; what was in its place is kept as {aside}"
    return f"{said}; brought back from DVC's cache or the remote{kept}"


def _remove(data: DataSettings, file: ChangedFile) -> str:
    aside = _set_aside(data, file)
    (data.folder / file.name).unlink()
    return f"{file.describe(data)}; it is no part of a data version, and kept as {aside}"


def _set_aside(data: DataSettings, file: ChangedFile) -> str:
    aside = data.derived / CHANGED_FOLDER / f"{file.name.removeprefix(BATCHES_PREFIX)}.{file.found}"
    aside.parent.mkdir(parents=True, exist_ok=True)
    replace_by_copy(aside, data.folder / file.name)
    return os.path.relpath(aside)


def _set_folder_aside(data: DataSettings, file: ChangedFile) -> str:
    """A folder that is where a file was; the files in it are set aside by themselves."""
    place = data.derived / CHANGED_FOLDER / file.name.removeprefix(BATCHES_PREFIX)
    place.parent.mkdir(parents=True, exist_ok=True)
    return os.path.relpath(
        shutil.move(data.folder / file.name, tempfile.mkdtemp(prefix=f"{place.name}.", dir=place.parent))
    )


def _get_batch(name: str) -> str:
    return name.removeprefix(BATCHES_PREFIX).split("/")[0]
