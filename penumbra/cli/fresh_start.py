"""Setting aside what another problem left: its data, models, logs and ledger, so that a new one begins with none."""

import contextlib
import datetime as dt
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from flows.steps.processes.flow_locks import get_data_lock, get_training_lock
from monitoring.dashboard.places import DASHBOARD_LOCK
from penumbra.core.settings import Settings
from penumbra.core.text.masking import mask_address
from penumbra.data.versioning.versions import get_dvc_file
from penumbra.registry.aliases import ALIASES_LOCK
from penumbra.registry.pointers import SERVICE_LOCK_FILE
from penumbra.storage.locks import acquire_lock
from penumbra.storage.work_lock import WorkInProgress, hold_work_lock

STATE_FOLDER = Path("var")
BEFORE_PREFIX = "before-"
KEPT = ("remote",)  # DVC's store names contents by their checksums: it can serve several problems


class StartOverRefused(RuntimeError):
    """Nothing was set aside; says why."""


def start_over(settings: Settings) -> str:
    """Move the data folder, its .dvc file and everything below var/ into a new folder below var/.

    Args:
        settings: All sections with folders are read.

    Returns:
        What was moved where, and what the settings keep elsewhere.

    Raises:
        StartOverRefused: A service or a dashboard runs, somebody is at work, or there is nothing to move.
    """
    with exclude_work(settings):
        if not _list_state(settings):
            raise StartOverRefused("there is neither data nor state: nothing was to be set aside")
        return "\n".join([set_aside(settings), "Next: penumbra ingest"])


@contextlib.contextmanager
def exclude_work(settings: Settings) -> Iterator[None]:
    """Keep all other work on data, models, logs and ledger out, as a context manager.

    Args:
        settings: All sections with folders are read.

    Raises:
        StartOverRefused: A service or a dashboard runs, on whatever port, or somebody is at work.
    """
    with contextlib.ExitStack() as held:
        for path in _list_service_locks(settings):
            try:
                held.callback(os.close, acquire_lock(path))
            except BlockingIOError:
                raise StartOverRefused(f"a service works in {path.parent}: end it first") from None
        for path in filter(lambda path: path.exists(), _list_lock_files(settings)):
            try:
                held.enter_context(hold_work_lock(path, "start-over", wait=False))
            except WorkInProgress as other:
                raise StartOverRefused(f"{other}: end it or wait for it first") from None
        yield


def _list_service_locks(settings: Settings) -> list[Path]:
    """The files that services lock: a second one may have a state folder of its own below var/."""
    found = {*STATE_FOLDER.rglob(SERVICE_LOCK_FILE), settings.service.state / SERVICE_LOCK_FILE}
    return sorted(path for path in found if path.exists())


def _list_lock_files(settings: Settings) -> list[Path]:
    """The files that are locked while data, models, logs or ledger are being changed."""
    passes = [settings.monitor.folder / f"{name}.lock" for name in ("watch", "retrain", DASHBOARD_LOCK)]
    archiver = settings.service.predictions / "archive.lock"
    return [
        get_data_lock(settings),
        get_training_lock(settings),
        *passes,
        archiver,
        settings.ledger.folder / f"{ALIASES_LOCK}.lock",
    ]


def set_aside(settings: Settings, others: Sequence[Path] = ()) -> str:
    """Move the data folder, its .dvc file, everything below var/ and other paths into a new folder below var/.

    Args:
        settings: Sections [data], [registry] and [cluster] are read.
        others: Files and folders of the project to move as well.

    Returns:
        What was moved where, and what the settings keep elsewhere.
    """
    paths = [*_list_state(settings), *(path for path in others if path.exists())]
    aside = STATE_FOLDER / f"{BEFORE_PREFIX}{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%S%f}"
    aside.mkdir(parents=True)
    for path in paths:
        target = aside / (path if path.parent == STATE_FOLDER else path.name)
        target.parent.mkdir(exist_ok=True)
        os.replace(path, target)
    moved = ", ".join(map(str, paths))
    return "\n".join([f"moved into {aside}: {moved}", *_describe_elsewhere(settings)])


def _list_state(settings: Settings) -> list[Path]:
    found = sorted(STATE_FOLDER.iterdir()) if STATE_FOLDER.is_dir() else []
    state = [path for path in found if path.name not in KEPT and not path.name.startswith(BEFORE_PREFIX)]
    return [path for path in (settings.data.folder, get_dvc_file(settings.data), *state) if path.exists()]


def _describe_elsewhere(settings: Settings) -> list[str]:
    state = [f"cluster.state = {settings.cluster.state!r} was left as it is: give the new problem another one"]
    shared, tracking = state if settings.cluster.state else [], mask_address(settings.registry.tracking)
    if tracking.startswith(f"sqlite:///{STATE_FOLDER}/"):
        return shared
    return [*shared, f"registry.tracking = {tracking!r} was left as it is: give the new problem another registry.model"]
