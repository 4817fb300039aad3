"""Publication of the reports of a monitor pass. Evidently is imported where a window has none yet, and nowhere else.

The flow's step for it is a process that does nothing else, so Evidently and the garbage collector can be adapted to it.
"""

import contextlib
import gc
import importlib
import os
import traceback
from collections.abc import Iterator
from pathlib import Path

from monitoring.reports.workspace import ReportWorkspace
from penumbra.core.loading.problem_loading import load_problem
from penumbra.core.settings import Settings
from penumbra.core.system.garbage import pause_garbage_collection
from penumbra.core.text.errors import describe_error

REPORTED_PARTS = ("schema", "source", "features")  # of the problem


class ReportsFailed(RuntimeError):
    """The reports of a window couldn't be made; says why in one sentence."""


def publish_reports(settings: Settings) -> list[Path]:
    """Publish the reports of each window whose record has none yet; imports Evidently where there is one.

    Args:
        settings: The settings: logs, registry, bundles and the monitor's folder are read.

    Returns:
        The pages that were written.

    Raises:
        ReportsFailed: The reports of a window couldn't be made. Those of earlier windows stay published, and the next
            call makes the others.
        DamagedWindow: A window's record is damaged.
    """
    workspace = ReportWorkspace(settings.monitor.folder, settings.registry.model)
    for sentence in workspace.unpublish_damaged():
        print(sentence)
    if not workspace.list_unpublished():
        return []
    try:
        with keep_garbage():
            import_evidently()
            from flows.steps.monitor import window_reports

            gc.freeze()
            return list(window_reports.publish_waiting_windows(settings, load_problem(REPORTED_PARTS)))
    except Exception as error:  # whatever it is: the windows are judged, and their reports can be made later
        place = traceback.extract_tb(error.__traceback__)[-1]
        raise ReportsFailed(f"no reports: {describe_error(error)} ({place.filename}:{place.lineno})") from error


def import_evidently() -> None:
    """Import Evidently with all that makes reports, so that it sends nobody what is done with it."""
    os.environ.setdefault("DO_NOT_TRACK", "1")
    importlib.import_module("flows.steps.monitor.window_reports")


@contextlib.contextmanager
def keep_garbage() -> Iterator[None]:
    """Collect no garbage by itself in the block, as a context manager.

    Evidently's thousands of classes all stay alive: searching them is a fifth of the work, in vain. What the block
    freezes is found again afterwards, unless the process is a fork in which something was frozen before.

    Yields:
        Nothing.
    """
    is_fork = gc.get_freeze_count() > 0
    with pause_garbage_collection():
        try:
            yield
        finally:
            if not is_fork:
                gc.unfreeze()
