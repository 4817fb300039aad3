"""A monitor pass over two weeks of answers whose outcomes are the opposite of the likely ones."""

import datetime as dt
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.faults.operations.operation import MLFLOW_MODULES, Operation, describe_ledger, make_settings

PRELOADED = (*MLFLOW_MODULES, "flows.steps.monitor.due_windows")
TODAY = dt.date(2013, 4, 19)


def prepare_answers(folder: Path) -> None:
    """Log the answers of a live model."""
    from tests.helpers import monitored_model, registered_versions

    monitored_model.make_live_model(folder, registered_versions.register_versions(folder / "registered", "a"))
    monitored_model.log_monitored_days(folder, 14, wrong=True)


def run_monitor(folder: Path) -> None:
    """Judge the windows that are over."""
    from flows.steps.monitor import due_windows
    from penumbra.core.loading.problem_loading import load_problem

    print(*due_windows.judge_due_windows(_make_settings(folder), load_problem()), sep="\n")


def describe_windows(folder: Path) -> Iterator[str]:
    """Yield a text for each window, entry of the ledger, and day of the profiles."""
    import msgspec

    from monitoring.windows.window_store import WindowStore

    for window in WindowStore(folder / "monitor").read():
        yield f"window: {msgspec.structs.replace(window, judged=dt.datetime.min)}"
    yield from describe_ledger(_make_settings(folder))
    with sqlite3.connect(folder / "monitor/profiles.db") as db:
        yield from (f"profile: {row}" for row in db.execute("SELECT model, part, day, rows, counts FROM profiles"))


def _make_settings(folder: Path) -> Any:
    return make_settings(folder, data__today=TODAY, monitor__every_days=0)


OPERATIONS = {"monitor": Operation(prepare_answers, run_monitor, describe_windows, "window: ", PRELOADED)}
