"""Bundles that aren't here yet, or any more: fetched from the registry into the service's state folder."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from penumbra.core.settings import Settings
from penumbra.registry.bundles.manifest import verify_bundle
from penumbra.registry.pointers import BUNDLES_FOLDER, RUNS_FOLDER, read_note
from penumbra.registry.stored_registry import StoredRegistry
from penumbra.storage.atomic import fill_folder_aside
from penumbra.storage.sealed import replace_sealed_file


class BundleSource(Protocol):
    """The part of `penumbra.registry.models.ModelRegistry` that bundles are fetched from."""

    def find_run_id(self, name: str) -> str:
        """Return the MLflow run id of the version with this `name`, its number."""

    def download(self, version: str, folder: Path) -> None:
        """Copy the bundle of a version into a new folder."""


class AbsentBundle(LookupError):
    """The bundle of a version isn't here, and can't be fetched; the message says why not."""


def fetch_bundle(models: BundleSource, version: str, folder: Path, check: Callable[[Path], object]) -> None:
    """Download a bundle aside, check it, then move it into place: no reader ever sees an incomplete bundle.

    Of processes that do so at once, as batch scoring deploys beside the service, the first one's bundle stays.

    Args:
        models: The registry.
        version: The version's number.
        folder: The folder that the bundle gets.
        check: Raises where the bundle isn't to be used.

    Raises:
        OSError: It can't be written. What the registry and `check` raise is raised too.
    """
    try:
        with fill_folder_aside(folder) as aside:
            models.download(version, aside)
            check(aside)
    except OSError:
        if not folder.exists():
            raise


def record_run_id(models: BundleSource, state: Path, version: str) -> None:
    """Write the version's MLflow run id to where `explain` finds it without the registry.

    Args:
        models: The registry.
        state: The service's state folder.
        version: The version's number.
    """
    if not read_note(state / RUNS_FOLDER / version):
        (state / RUNS_FOLDER).mkdir(exist_ok=True)
        replace_sealed_file(state / RUNS_FOLDER / version, models.find_run_id(version))


def fetch_absent_bundle(settings: Settings, version: str) -> None:
    """Have the bundle of any version here, of one that answers no more, too.

    Args:
        settings: Sections [registry] and [service] are read.
        version: The version's number.

    Raises:
        AbsentBundle: It isn't here, and the registry is none, is away, or doesn't have it whole.
    """
    folder = settings.service.state / BUNDLES_FOLDER / version
    if folder.exists():
        return
    if not settings.registry.tracking:
        raise AbsentBundle(f"the bundle of version {version} is not in {folder}, and there is no registry here")
    models = StoredRegistry(settings.registry)
    try:
        fetch_bundle(models, version, folder, lambda aside: verify_bundle(aside, models.signed_by))
        record_run_id(models, settings.service.state, version)
    except Exception as error:  # MLflow's, or of whichever store the registry has
        said = next(iter(str(error).splitlines()), type(error).__name__)
        raise AbsentBundle(
            f"the bundle of version {version} is not in {folder}, and the registry didn't give it: {said}"
        ) from error
