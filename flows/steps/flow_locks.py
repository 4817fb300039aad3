"""The locks of the flows: who changes the data folder works alone, who reads it works beside other readers.

| flow                | data folder | trainings      |
|---------------------|-------------|----------------|
| ingest              | alone       |                |
| train               | shared      | one at a time  |
| experiment, doctor  | shared      |                |

A flow waits for another that is in its way, and says who that is. Monitor and promotion change neither: they have locks
of their own for as long as they write.
"""

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from penumbra.core.process_tree import end_with_parent
from penumbra.core.settings import Settings, SettingsError, load_settings
from penumbra.storage.work_lock import hold_work_lock

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
        SystemExit: The settings are wrong, or a lock's folder can't be written.
    """
    if "step" in arguments[1:]:
        end_with_parent(os.getppid())
    if not {"run", "resume"} & set(arguments[1:]):
        yield False
        return
    with contextlib.ExitStack() as held:
        try:
            waits = [held.enter_context(lock) for lock in list_work_locks(flow, load_settings())]
        except (SettingsError, OSError) as error:
            sys.exit(str(error))
        yield any(waits)


def list_work_locks(flow: FlowName, settings: Settings) -> list[contextlib.AbstractContextManager[bool]]:
    """List the locks of a flow, in the order in which they are taken.

    Args:
        flow: The flow.
        settings: Sections [data] (`derived`) and [training] (`folder`), which hold the lock files.

    Returns:
        Context managers, see `hold_work_lock`.
    """
    data = hold_work_lock(get_data_lock(settings), flow, shared=flow != "ingest")
    return [hold_work_lock(get_training_lock(settings), flow), data] if flow == "train" else [data]


def get_data_lock(settings: Settings) -> Path:
    """Return the lock file of the data folder of these `settings`."""
    return settings.data.derived / "data.lock"


def get_training_lock(settings: Settings) -> Path:
    """Return the lock file of the trainings with these `settings`."""
    return settings.training.folder / "train.lock"
