"""A monitor pass over answers whose outcomes are the opposite of the likely ones, alone or shared by tasks."""

import datetime as dt
import itertools
import sqlite3
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.faults.crashes.operations.operation import MLFLOW_MODULES, Operation, describe_ledger, make_settings

PRELOADED = (*MLFLOW_MODULES, "flows.steps.monitor.backlog")
DAYS_OF_LABELS = 1  # for which a window is waited for, once it is over
TASKS = 2  # that measure windows side by side
RUN = "1"  # of the flow


def prepare_answers(folder: Path, days: int) -> None:
    """Log the answers of a live model on so many days."""
    from tests.helpers.models import monitored_model, registered_versions

    monitored_model.make_live_model(folder, registered_versions.register_versions(folder / "registered", "a"))
    monitored_model.log_monitored_days(folder, days, wrong=True)


def run_monitor(folder: Path, **settings: Any) -> None:
    """Call what the flow's steps call, in their order: judge the windows, or share them out, measure and judge them."""
    from flows.steps.monitor import backlog
    from penumbra.core.loading.problem_loading import load_problem

    made, problem = make_settings(folder, **settings), load_problem()
    begun = backlog.begin_backlog(made, problem, RUN, TASKS)
    alarms = begun.alarms
    if begun.shares:
        measured = [backlog.measure_share(made, problem, begun, share, RUN) for share in begun.shares]
        alarms = backlog.judge_backlog(made, problem, begun, list(itertools.chain(*measured)))
    print(*alarms, sep="\n")


def describe_windows(folder: Path, **settings: Any) -> Iterator[str]:
    """Yield a text for each window, entry of the ledger, and day of the profiles, and one for the number of windows."""
    import msgspec

    from monitoring.windows.window_store import WindowStore

    windows = WindowStore(folder / "monitor").read()
    yield f"{len(windows)} windows"
    yield from (f"window: {msgspec.structs.replace(window, judged=dt.datetime.min)}" for window in windows)
    yield from describe_ledger(make_settings(folder, **settings))
    with sqlite3.connect(folder / "monitor/profiles.db") as db:
        yield from (f"profile: {row}" for row in db.execute("SELECT model, part, day, rows, counts FROM profiles"))


def _make_operation(windows: int, window_days: int, **monitor: int) -> Operation:
    """An operation on windows of so many days, of which all are due, with these settings of [monitor]."""
    days = windows * window_days
    today = dt.date(2013, 4, 4) + dt.timedelta(days=days + DAYS_OF_LABELS)
    changed = {f"monitor__{name}": value for name, value in {"window_days": window_days, **monitor}.items()}
    settings = {"data__today": today, **changed}
    prepare, run = partial(prepare_answers, days=days), partial(run_monitor, **settings)
    return Operation(prepare, run, partial(describe_windows, **settings), f"{windows} windows", PRELOADED)


OPERATIONS = {
    "monitor": _make_operation(2, window_days=7, every_days=0),
    "monitor_backlog": _make_operation(
        16, window_days=1, every_days=1, cooldown_days=3
    ),  # so that some are due for a training
}
