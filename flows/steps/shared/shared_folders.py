"""What the steps of flows share where each works on a machine of its own: what is behind `cluster.state`, nothing else.

<state>/data-version/…                       the pointer file data.dvc, see penumbra/data/versioning/shared_pointer.py
<state>/data/staged/<run>/…                  batches that an ingest has checked and not admitted yet
<state>/data/<rows, quarantine, faults>      what was derived of batches
<state>/train/<run>/…                        matrices, results and bundle of a training or an experiment
<state>/receipts, <state>/failures           what trainings leave for later ones
<state>/monitor/<folder>/…                   windows, reports, and sums of days
<state>/score/<job>/…                        receipts of tables that are scored, and parts of those that aren't yet

Files appear whole. Of them only parts of tables are removed, once these are scored or refused: objects below
`train` and `data/staged` may be once their runs are over. Where this machine has everything (`cluster.state = ""`),
none of this is read or written.
"""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from penumbra.core.settings import Settings, load_settings
from penumbra.data.batches import FAULTS_FOLDER, QUARANTINE_FOLDER, ROWS_FOLDER
from penumbra.data.staging import get_staging_folder
from penumbra.storage.cache import RECEIPTS_FOLDER
from penumbra.storage.shared.state import SharedState
from penumbra.storage.window_files import WINDOWS_FOLDER

SharingFlow = Literal["ingest", "train", "monitor", "promote", "score"]
FolderUrls = Mapping[Path, str]
LAST_FILES = ("attempts/*", "*/published.json*", "*/facts.json")  # those that make others count: they are pushed last
MONITOR_FOLDERS = (WINDOWS_FOLDER, "reports", "evidently", "settled", "scored")


def list_flow_folders(settings: Settings, flow: SharingFlow, run: str) -> FolderUrls:
    """List the folders that the steps of a run share.

    Args:
        settings: Sections [cluster], [data], [monitor] and [training] are read.
        flow: The flow; "train" for an experiment, too.
        run: The name of the run's folder, "" for flows whose runs have none.

    Returns:
        The URL of each local folder; none where machines share no state.
    """
    if (state := SharedState.from_settings(settings)) is None:
        return {}
    data, training, of_trainings = settings.data, settings.training, list_training_folders(settings)
    folders: dict[SharingFlow, FolderUrls] = {
        "ingest": {
            get_staging_folder(data.folder): state.locate("data", "staged", run),
            training.failures: state.locate("failures"),
        },
        "train": {training.folder / run: state.locate("train", run), **of_trainings},
        "monitor": {
            **{settings.monitor.folder / name: state.locate("monitor", name) for name in MONITOR_FOLDERS},
            **of_trainings,
        },
        "promote": {},
        "score": {settings.score.folder / run: state.locate("score", run)},
    }
    return folders[flow]


def list_training_folders(settings: Settings) -> FolderUrls:
    """List the folders of what trainings leave for later ones.

    Args:
        settings: Sections [cluster] and [training] are read.

    Returns:
        The URL of each local folder; none where machines share no state.
    """
    if (state := SharedState.from_settings(settings)) is None:
        return {}
    training = settings.training
    return {training.folder / RECEIPTS_FOLDER: state.locate("receipts"), training.failures: state.locate("failures")}


def list_partition_folders(settings: Settings) -> FolderUrls:
    """List the folders of what was derived of batches.

    Args:
        settings: Sections [cluster] and [data] are read.

    Returns:
        The URL of each local folder; none where machines share no state.
    """
    if (state := SharedState.from_settings(settings)) is None:
        return {}
    derived = (ROWS_FOLDER, QUARANTINE_FOLDER, FAULTS_FOLDER)
    return {settings.data.derived / name: state.locate("data", name) for name in derived}


def fetch_folders(folders: FolderUrls) -> None:
    """Bring what is new or has changed into the local folders.

    Args:
        folders: The URL of each.

    Raises:
        StoreError: The store refuses, or is away.
        OSError: A file can't be written.
    """
    from penumbra.storage.shared.mirror import Mirror

    for folder, url in folders.items():
        Mirror(folder, url, LAST_FILES).fetch()


def push_folders(folders: FolderUrls) -> None:
    """Bring what is new or has changed in the local folders to where other machines find it.

    Args:
        folders: The URL of each; those that don't exist are left out.

    Raises:
        StoreError: The store refuses, or is away.
        OSError: A file can't be read.
    """
    from penumbra.storage.shared.mirror import Mirror

    for folder, url in folders.items():
        if folder.is_dir():
            Mirror(folder, url, LAST_FILES).push()


@contextlib.contextmanager
def share_judged_windows(settings: Settings) -> Iterator[None]:
    """Fetch the windows that other machines have judged, and push those that the block judges, as a context manager.

    Used while nobody else makes a pass, so that none is judged by two machines.

    Args:
        settings: Sections [cluster], [data], [monitor] and [training] are read.

    Yields:
        Nothing.

    Raises:
        StoreError: The store refuses, or is away.
        OSError: A file can't be read or written.
    """
    every = list_flow_folders(settings, "monitor", "")
    windows = {folder: url for folder, url in every.items() if folder.name == WINDOWS_FOLDER}
    fetch_folders(windows)
    yield
    push_folders(windows)


def leave_attempt(folder: Path, is_over: bool) -> None:
    """Leave what a training has so far, so that a retry on another machine finds which attempts were made.

    That an attempt is under way is left from the first retry on: a machine may be lost for any reason once, but that
    twice is taken for the attempt's fault. Where machines share no state nothing is done.

    Args:
        folder: The run's folder.
        is_over: Whether an attempt is over, or else has only begun.

    Raises:
        StoreError: The store refuses, or is away.
    """
    state = SharedState.from_settings(load_settings())
    if state and (is_over or _is_retry()):
        push_folders({folder: state.locate("train", folder.name)})


def _is_retry() -> bool:
    from metaflow import current

    return bool(getattr(current, "retry_count", 0))
