"""A backlog of windows: several tasks of the flow measure them side by side, and one judges them in the order of time.

A window is judged together with the seven before it, so each task has neighbouring windows, and enough of them. Where
each task works on a machine of its own, it finds what the pass has counted of the logs, and counts the rest.
"""

import datetime as dt
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from flows.steps.monitor import due_windows
from flows.steps.monitor.due_windows import DueWindows
from flows.steps.monitor.measures.window_measures import MeasuredWindow
from flows.steps.monitor.monitor_pass import begin_monitor_pass
from flows.steps.processes.parallel import split_jobs
from penumbra.core.problem import Problem
from penumbra.core.settings import Settings
from penumbra.logs.daily.profiles import PROFILES_FILE
from penumbra.logs.queries.lookup import INDEX_FILE
from penumbra.storage.shared.object_store import ObjectStore
from penumbra.storage.shared.state import SharedState
from penumbra.storage.sqlite import copy_database

MIN_WINDOWS_OF_A_TASK = 8


@dataclass(frozen=True)
class Backlog:
    """What a pass leaves to the tasks that measure its windows, or has judged by itself.

    Attributes:
        due: The windows that were due when it began.
        shares: The first days of the windows of each task; none where the pass has judged them.
        alarms: What `judge_due_windows` returns, where it has.
    """

    due: DueWindows
    shares: list[list[dt.date]]
    alarms: list[str]


def begin_backlog(settings: Settings, problem: Problem, run: str, tasks: int) -> Backlog:
    """Judge the windows that are due, or share them out where they are many.

    Args:
        settings: The settings.
        problem: The user's problem.
        run: The id of the flow's run.
        tasks: How many tasks run at once.

    Returns:
        The backlog.

    Raises:
        PassInProgress: Another pass is running.
        BrokenBundle: The bundle of a window's model is damaged.
        BrokenLedger: The ledger is damaged, or the live model's past isn't here.
        MlflowException: The registry can't be read.
    """
    with due_windows.hold_windows(settings):
        monitor_pass, due = due_windows.find_due_windows(settings, problem)
        shares = share_windows(due.begins, tasks)
        if shares:
            _leave_counts(settings, run)
            return Backlog(due, shares, [])
        measured = due_windows.measure_windows(monitor_pass, due.rows, due.begins)
        return Backlog(due, [], due_windows.judge_measured_windows(settings, problem, due, measured))


def share_windows(begins: Sequence[dt.date], tasks: int) -> list[list[dt.date]]:
    """Share windows out to tasks.

    Args:
        begins: The windows' first days, the earliest first.
        tasks: How many tasks run at once.

    Returns:
        The neighbouring windows of each task, at least two tasks; none where they are too few for that.
    """
    lanes = min(tasks, len(begins) // MIN_WINDOWS_OF_A_TASK)
    return split_jobs(begins, lanes) if lanes > 1 else []


def measure_share(
    settings: Settings, problem: Problem, backlog: Backlog, share: Sequence[dt.date], run: str
) -> list[tuple[dt.date, MeasuredWindow | str]]:
    """Measure the windows of a task.

    Args:
        settings: The settings.
        problem: The user's problem.
        backlog: The backlog.
        share: The first days of the task's windows.
        run: The id of the flow's run.

    Returns:
        The first day of each, and its measures or why there are none.

    Raises:
        BrokenBundle: The bundle of a window's model is damaged.
        MlflowException: The registry can't be read.
        StoreError: What machines share refuses, or is away.
    """
    _fetch_counts(settings, run)
    monitor_pass = replace(begin_monitor_pass(settings, problem), now=backlog.due.now)
    return list(due_windows.measure_windows(monitor_pass, backlog.due.rows, share))


def judge_backlog(
    settings: Settings, problem: Problem, backlog: Backlog, measured: Sequence[tuple[dt.date, MeasuredWindow | str]]
) -> list[str]:
    """Judge the windows that the tasks have measured.

    Args:
        settings: The settings.
        problem: The user's problem.
        backlog: The backlog.
        measured: What `measure_share` has returned of all of them, in any order.

    Returns:
        What `judge_due_windows` returns.

    Raises:
        PassInProgress: Another pass is running.
        BrokenLedger: The ledger is damaged.
        StoreError: What machines share refuses, or is away.
    """
    with due_windows.hold_windows(settings):
        ordered = sorted(measured, key=lambda each: each[0])
        return due_windows.judge_measured_windows(settings, problem, backlog.due, ordered)


def _leave_counts(settings: Settings, run: str) -> None:
    """Leave index and profiles where the tasks' machines find them; those of an earlier attempt will do as well."""
    if state := SharedState.from_settings(settings):
        store = ObjectStore(state.locate("passes", run))
        with tempfile.TemporaryDirectory(dir=settings.monitor.folder) as folder:
            for path in _list_counts(settings):
                copy_database(path, copy := Path(folder) / path.name)
                store.upload(copy, path.name, before=None)


def _fetch_counts(settings: Settings, run: str) -> None:
    """Fetch index and profiles to a machine that has none. Without them they are made of the logs again."""
    if state := SharedState.from_settings(settings):
        store = ObjectStore(state.locate("passes", run))
        for path in _list_counts(settings):
            with suppress(FileNotFoundError):
                if not path.exists():
                    store.download(path.name, path)


def _list_counts(settings: Settings) -> list[Path]:
    return [settings.labels.folder / INDEX_FILE, settings.monitor.folder / PROFILES_FILE]
