"""Staged batches: accepted but not admitted yet, so that the batches of one ingest are admitted together."""

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from penumbra.core.raw_files import RawContent, RawFiles, write_raw_files
from penumbra.data.flywheel_manifest import BATCHES_FOLDER
from penumbra.data.versioning.checksums import ChecksumCache
from penumbra.data.versioning.dvc_listing import build_listing, compute_growing_md5s, list_files
from penumbra.storage.atomic import fill_folder_aside


class StagingLost(RuntimeError):
    """A batch that is to be admitted is no longer staged; names it."""


def get_staging_folder(data: Path) -> Path:
    """Return the folder of staged batches beside the data folder `data`."""
    return data.with_name(f".{data.name}.staged")


class Staging:
    """The folder of staged batches beside the data folder."""

    def __init__(self, raw: Path, folder: Path) -> None:
        """`raw` has a folder for each admitted batch, `folder` is where batches are staged."""
        self.raw = raw
        self.folder = folder
        self.batches = folder / BATCHES_FOLDER
        self.replaced = folder / "replaced"

    @contextlib.contextmanager
    def write(self, batch: str, files: Mapping[str, RawContent]) -> Iterator[tuple[RawFiles, Path]]:
        """Stage a batch in place of an earlier one of the same name, once a block has ended without an exception.

        Args:
            batch: The batch's name.
            files: The content of its files, by path relative to the batch's folder.

        Yields:
            The files, as they lie aside, and a folder for what is needed while the block lasts.

        Raises:
            OSError: Where they can't be written.
        """
        folder = self.batches / batch
        with fill_folder_aside(folder) as aside:
            yield write_raw_files(aside, files), aside.parent
            shutil.rmtree(folder, ignore_errors=True)

    def admit(self, batches: Iterable[str]) -> None:
        """Move staged batches into the data folder, each as a whole; one that is there already is replaced.

        A batch that is replaced is kept until the new one is in place. Where the process is killed in between,
        `discard` puts it back.

        Args:
            batches: Names of staged batches.

        Raises:
            StagingLost: One of them isn't staged; nothing is moved then.
            OSError: Where a folder can't be moved.
        """
        batches = list(batches)
        if lost := [batch for batch in batches if not (self.batches / batch).is_dir()]:
            raise StagingLost(f"batch {lost[0]} was checked and is no longer staged in {self.folder}: ingest again")
        self.raw.mkdir(parents=True, exist_ok=True)
        self.replaced.mkdir(parents=True, exist_ok=True)
        for batch in batches:
            if (self.raw / batch).exists():
                os.replace(self.raw / batch, self.replaced / batch)
            os.replace(self.batches / batch, self.raw / batch)
        shutil.rmtree(self.folder)

    def discard(self) -> None:
        """Throw away what was staged and never admitted; a batch that was being replaced is put back."""
        for old in self.replaced.iterdir() if self.replaced.is_dir() else ():
            if not (self.raw / old.name).exists():
                os.replace(old, self.raw / old.name)
        shutil.rmtree(self.folder, ignore_errors=True)

    def versions(self, checksums: ChecksumCache) -> list[str]:
        """Compute the data versions that an empty data folder takes as the staged batches are admitted one by one.

        Args:
            checksums: The cache of checksums, which is not saved here.

        Returns:
            The md5 after the first batch, after the first two, and so on.
        """
        folders = sorted(self.batches.glob("[!.]*"))
        parts = (build_listing(self.folder, list_files(folder), checksums) for folder in folders)
        return list(compute_growing_md5s(parts))
