"""The check of the service's state folder, whenever a file in it changes: bundles against their manifest, and seals."""

import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from penumbra.registry.bundles.manifest import BrokenBundle, verify_bundle
from penumbra.registry.pointers import (
    BUNDLES_FOLDER,
    CANARY_ALIAS,
    CANDIDATE_ALIAS,
    LIVE_ALIAS,
    PREVIOUS_ALIAS,
    read_pointer,
)
from penumbra.storage.sealed import check_sealed_file

POINTERS = (LIVE_ALIAS, CANDIDATE_ALIAS, PREVIOUS_ALIAS, CANARY_ALIAS)
FileStamps = tuple[tuple[str, int, int, int], ...]

logger = logging.getLogger("service.processes.deployment.deployer")


class StateWatch:
    """Verifies what is in a state folder: each bundle and pointer when it is first seen, and when it has changed."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self._stamps: dict[Path, FileStamps] = {}

    def check(self) -> None:
        """Log each damaged file; remove a damaged bundle that a pointer names, so that it is fetched again."""
        for pointer in POINTERS:
            self._check_new(self.state / pointer, [self.state / pointer], check_sealed_file)
        for folder in list_bundles(self.state):
            self._check_new(folder, sorted(folder.iterdir()), verify_bundle)

    def _check_new(self, path: Path, files: list[Path], check: Callable[[Path], object]) -> None:
        stamps = tuple(stamp for file in files if (stamp := _read_stamp(file)))
        if not stamps or self._stamps.get(path) == stamps:
            return
        self._stamps[path] = stamps
        try:
            check(path)
        except BrokenBundle as error:
            self._discard_bundle(path, error)
        except OSError as error:
            logger.error("%s: it is written again as the registry says", error)

    def _discard_bundle(self, folder: Path, error: BrokenBundle) -> None:
        if folder.name not in [read_pointer(self.state, pointer) for pointer in POINTERS]:
            logger.error("version %s can't answer any more: %s", folder.name, error)
            return
        logger.error("the bundle of version %s is damaged and is fetched again: %s", folder.name, error)
        shutil.rmtree(folder, ignore_errors=True)
        self._stamps.pop(folder, None)


def list_bundles(state: Path) -> list[Path]:
    """Return the folders of the bundles that are in the service's folder `state`, by name."""
    return sorted(path for path in (state / BUNDLES_FOLDER).glob("*") if path.is_dir())


def _read_stamp(path: Path) -> tuple[str, int, int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return path.name, status.st_size, status.st_mtime_ns, status.st_ino
