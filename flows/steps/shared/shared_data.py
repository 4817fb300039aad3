"""Data on a machine whose work folder is empty: the pointer file of its run, and the batches that it names.

Where this machine has everything (`cluster.state = ""`), none of this does anything.
"""

import shutil
from typing import TYPE_CHECKING

from flows.steps.shared.shared_folders import (
    SharingFlow,
    fetch_folders,
    list_partition_folders,
)
from penumbra.core.project_root import is_git_checkout
from penumbra.core.settings import Settings
from penumbra.data.versioning import versions
from penumbra.data.versioning.restoring import RestoreFailed, pull_data
from penumbra.storage.shared.state import SharedState

if TYPE_CHECKING:
    from penumbra.data.versioning.shared_pointer import SharedPointer

RUN_POINTER_FILE = "data-version.yaml"  # in a run's folder: its pointer file, under a name that DVC doesn't look for


def fetch_pointer(settings: Settings, flow: SharingFlow, run: str) -> None:
    """Bring the pointer file here: of a training the one that its run began with, else the latest.

    In a git checkout git has the pointer file; only an ingest, which goes on from there, brings the latest.

    Args:
        settings: With `cluster.state` set.
        flow: The flow.
        run: The name of the run's folder.

    Raises:
        StoreError: The store refuses, or is away.
        OSError: The file can't be written.
    """
    pointer = versions.get_dvc_file(settings.data)
    begun = settings.training.folder / run / RUN_POINTER_FILE
    if flow == "train" and begun.exists():
        shutil.copyfile(begun, pointer)
        return
    is_in_git = flow != "ingest" and is_git_checkout(pointer.absolute().parent)
    if not is_in_git and (shared := _open_pointer(settings)):
        shared.fetch()
    if flow == "train" and pointer.exists():
        begun.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(pointer, begun)


def publish_pointer(settings: Settings, before: bytes) -> None:
    """Let other machines find the data version that the pointer file names.

    Args:
        settings: Sections [cluster] and [data] are read.
        before: The content of the pointer file that the new one follows; empty for none.

    Raises:
        PointerMoved: Another ingest has recorded a version meanwhile.
        StoreError: The store refuses, or is away.
    """
    if shared := _open_pointer(settings):
        shared.publish(before)


def fill_data_folder(settings: Settings) -> None:
    """Bring the batches that the pointer file names into the data folder, and what was derived of them beside it.

    Args:
        settings: Sections [cluster] and [data] are read.

    Raises:
        RestoreFailed: The remote lacks the version.
        StoreError: The store refuses, or is away.
    """
    if not settings.cluster.state:
        return
    data = settings.data
    version = versions.read_recorded_version(data)
    if not version or version == versions.compute_data_version(data):
        return
    if problem := pull_data(data):
        raise RestoreFailed(
            f"data version {version}, which {versions.get_dvc_file(data)} names, can't be brought here: {problem}; "
            "machines that share their state need data.remote, where each of them finds the data"
        )
    fetch_folders(list_partition_folders(settings))


def _open_pointer(settings: Settings) -> "SharedPointer | None":
    """The pointer file that machines share; None where they share no state."""
    if (state := SharedState.from_settings(settings)) is None:
        return None
    from penumbra.data.versioning.shared_pointer import SharedPointer

    return SharedPointer(versions.get_dvc_file(settings.data), state.locate("data-version"))
