"""The locks of the flows: who changes the data folder works alone, who reads it works beside other readers.

| flow                | data folder | trainings      |
|---------------------|-------------|----------------|
| ingest              | alone       |                |
| train               | shared      | one at a time  |
| experiment, doctor  | shared      |                |

A flow waits for another that is in its way, and says who that is. Monitor and promotion change neither: they have locks
of their own for as long as they write.

Where machines share their state, only one at a time ingests, and only one trains: readers of another machine have a
data folder of their own. Steps that are pods hold no such lease: their workflow runs one at a time.
"""

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from penumbra.core.settings import Settings, SettingsError, load_settings
from penumbra.core.system.process_tree import end_with_parent
from penumbra.storage.shared.lease import LeaseLost
from penumbra.storage.shared.state import exclude_machines
from penumbra.storage.work_lock import PassInProgress, WorkInProgress, hold_pass_lock, hold_work_lock

FlowName = Literal["ingest", "train", "experiment", "doctor"]


@contextlib.contextmanager
def hold_flow_locks(flow: FlowName, arguments: Sequence[str]) -> Iterator[bool]:
    """Hold the locks of a flow while this process runs it, as a context manager.

    The tasks of a run are processes of their own, which work under the locks of the process that started them, and end
    with it.

    Args:
        flow: The flow.
        arguments: The command line; the locks are taken for Metaflow's commands `run` and `resume`.

    Yields:
        Whether it has waited for another process.

    Raises:
        SystemExit: The settings are wrong, a lock's folder can't be written, or another machine took over, as this one
            was silent for too long.
    """
    if "step" in arguments[1:]:
        end_with_parent(os.getppid())
    if not {"run", "resume"} & set(arguments[1:]):
        yield False
        return
    try:
        with contextlib.ExitStack() as held:
            try:
                waits = [held.enter_context(lock) for lock in list_work_locks(flow, load_settings())]
            except (SettingsError, OSError) as error:
                sys.exit(str(error))
            yield any(waits)
    except LeaseLost as error:
        sys.exit(str(error))


def list_work_locks(flow: FlowName, settings: Settings) -> list[contextlib.AbstractContextManager[bool]]:
    """List the locks of a flow, in the order in which they are taken.

    Args:
        flow: The flow.
        settings: Sections [data] (`derived`) and [training] (`folder`), which hold the lock files, and [cluster].

    Returns:
        Context managers, see `hold_work_lock`.
    """
    data = hold_work_lock(get_data_lock(settings), flow, shared=flow != "ingest")
    if flow == "train":
        return [hold_work_lock(get_training_lock(settings), flow), exclude_machines(settings, flow), data]
    return [exclude_machines(settings, flow), data] if flow == "ingest" else [data]


@contextlib.contextmanager
def hold_monitor_pass(settings: Settings, name: Literal["watch", "retrain"]) -> Iterator[None]:
    """Let nobody else make the same pass for the block, on this machine or on another that shares its state.

    Args:
        settings: Sections [monitor] (`folder`, which holds the lock file) and [cluster].
        name: The pass.

    Yields:
        Nothing.

    Raises:
        PassInProgress: Another process is at it.
        LeaseLost: At the end of the block: this machine was silent for too long, and another one is at it now.
        StoreError: The store of what machines share refuses, or is away.
    """
    with hold_pass_lock(settings.monitor.folder, name), contextlib.ExitStack() as held:
        try:
            held.enter_context(exclude_machines(settings, name, wait=False))
        except WorkInProgress as other:
            message = f"another machine's pass is at it: {other}; this one has nothing to do"
            raise PassInProgress(message) from None
        yield


def get_data_lock(settings: Settings) -> Path:
    """Return the lock file of the data folder of these `settings`."""
    return settings.data.derived / "data.lock"


def get_training_lock(settings: Settings) -> Path:
    """Return the lock file of the trainings with these `settings`."""
    return settings.training.folder / "train.lock"
