"""The frame of a flow's step where each step works on a machine of its own; see shared_folders.py."""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from flows.steps.errors import FlowTakenOver, stop_with_one_sentence
from penumbra.core.settings import Settings, SettingsError, load_settings

if TYPE_CHECKING:
    from flows.steps.shared.shared_folders import SharingFlow


@contextlib.contextmanager
def share_work(flow: "SharingFlow", run: str = "") -> Iterator[None]:
    """Fetch what earlier steps left, and leave what this one made, also where it fails, as a context manager.

    A step that is done again, because its machine was lost, finds what the others left, and replaces its own by the
    same. One that has lost its lease to another machine leaves nothing. Where machines share no state nothing is done.

    Args:
        flow: The flow; "train" for an experiment, too.
        run: The name of the run's folder, of flows whose runs have one.

    Raises:
        FlowStopped: The settings are wrong, the store refuses or is away, or it doesn't have what the run needs.
    """
    with stop_with_one_sentence(SettingsError):
        settings = load_settings()
    if not settings.cluster.state:
        yield
        return
    with _share_folders(settings, flow, run):
        yield


@contextlib.contextmanager
def _share_folders(settings: Settings, flow: "SharingFlow", run: str) -> Iterator[None]:
    from flows.steps.shared.shared_data import fetch_pointer
    from flows.steps.shared.shared_folders import fetch_folders, list_flow_folders, list_partition_folders, push_folders
    from penumbra.data.versioning.restoring import RestoreFailed
    from penumbra.data.versioning.shared_pointer import PointerMoved
    from penumbra.storage.shared.store_failures import StoreError

    with stop_with_one_sentence(RestoreFailed, PointerMoved):
        folders = list_flow_folders(settings, flow, run)
        made = {**folders, **list_partition_folders(settings)}
        fetch_folders(folders)
        fetch_pointer(settings, flow, run)
        try:
            yield
        except FlowTakenOver:
            raise
        except BaseException:
            try:
                push_folders(made)
            except StoreError as error:
                print(f"what this step made before it failed is lost: {error}")
            raise
        push_folders(made)
