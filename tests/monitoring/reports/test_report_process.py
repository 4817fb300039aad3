"""The report process: what goes in and out, how it fails, and that nothing is patched outside of it."""

import contextlib
import os
import subprocess
import sys

import polars as pl
import pytest

from flows.steps.monitor import reports
from monitoring.reports import client
from monitoring.reports.columns import ReportSides
from monitoring.reports.requests import load_sides, store_sides
from penumbra.core.settings import PROJECT_ROOT
from penumbra.core.task import Task
from tests.helpers import recorded_windows

ROWS = pl.DataFrame({"temp": [1.0, 2.0], "prediction": [0.2, 0.7], "decision": [False, True], "label": [True, False]})
SIDES = ReportSides(ROWS, ROWS, Task("binary"), {"temp": pl.Float64()}, 0.5)
IMPORT_ALL = """
import gc, importlib, pathlib
from evidently.metrics import column_statistics
own = column_statistics.distribution
for path in pathlib.Path("monitoring/reports").glob("[a-z]*.py"):
    importlib.import_module(f"monitoring.reports.{path.stem}")
print(column_statistics.distribution is own, gc.isenabled(), gc.get_freeze_count())
"""
PUBLISH = """
import gc, sys
from flows.steps.monitor import reports
from penumbra.core.settings import load_settings
pages = reports.publish_reports(load_settings())
print(len(pages), "evidently" in sys.modules, gc.isenabled(), gc.get_freeze_count())
from evidently.metrics import column_statistics
print(column_statistics.distribution.__module__.partition(".")[0])
"""


def run_python(code, environment=()):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=PROJECT_ROOT,
        env={**os.environ, **dict(environment), "PYTHONPATH": str(PROJECT_ROOT)},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.splitlines()


def test_rows_arrive_in_the_report_process_with_their_dtypes(tmp_path):
    dtypes = {"carrier": pl.Enum(["UA", "AA"]), "distance": pl.Int16(), "share": pl.Array(pl.Float64, 2)}
    rows = pl.DataFrame({"carrier": ["UA", None], "distance": [1, 2], "share": [[0.1, 0.9], [0.3, 0.7]]}, dtypes)
    sides = ReportSides(rows, rows.clear(), Task("multiclass", ("clear", "rain")), dtypes, None)
    found = load_sides(store_sides(sides, tmp_path / "live"))
    assert found.current.equals(rows)
    assert found.reference.schema == rows.schema
    assert (found.task, found.declared, found.threshold) == (sides.task, dtypes, None)


def test_where_every_window_has_its_reports_no_process_is_started(tmp_path, monkeypatch):
    monkeypatch.setattr(client.subprocess, "Popen", None)
    assert reports.publish_reports(recorded_windows.make_history_settings(tmp_path)) == []


def test_a_report_process_that_ends_is_one_sentence_with_its_last_words(tmp_path, monkeypatch):
    monkeypatch.setattr(client, "PROCESS_MODULE", "monitoring.no_such_module")
    with (
        client.start_report_process(tmp_path, "lateness") as process,
        pytest.raises(client.ReportProcessFailed) as failure,
    ):
        process.write_reports(recorded_windows.make_window(0), SIDES, None)
    assert str(failure.value).startswith("no reports on the window from 2013-04-01: the report process ended with exit")
    assert str(failure.value).endswith("No module named monitoring.no_such_module")
    assert "\n" not in str(failure.value)


def test_a_report_process_that_is_killed_is_named_with_the_signal(tmp_path):
    with client.start_report_process(tmp_path, "lateness") as process:
        process.process.kill()
        process.process.wait()
        with pytest.raises(client.ReportProcessFailed, match="2013-04-01: the report process ended with signal 9"):
            process.write_reports(recorded_windows.make_window(0), SIDES, None)


def test_a_pass_that_is_interrupted_leaves_no_process_behind(tmp_path):
    with contextlib.suppress(KeyboardInterrupt), client.start_report_process(tmp_path, "lateness") as process:
        raise KeyboardInterrupt
    assert process.process.returncode == -9
    assert not process.folder.exists()


@pytest.mark.slow
def test_a_report_that_cannot_be_written_is_one_sentence_and_the_process_goes_on(tmp_path):
    (tmp_path / "evidently").write_text("no folder")
    window = recorded_windows.make_window(0)
    with client.start_report_process(tmp_path, "lateness") as process:
        with pytest.raises(
            client.ReportProcessFailed, match=r"2013-04-01: (FileExists|NotADirectory)Error: .*evidently"
        ):
            process.write_reports(window, SIDES, None)
        (tmp_path / "evidently").unlink()
        assert set(process.write_reports(window, SIDES, SIDES)) == {"data", "candidate"}


@pytest.mark.slow
def test_importing_the_reports_changes_neither_evidently_nor_the_garbage_collector():
    assert run_python(IMPORT_ALL) == ["True True 0"]


@pytest.mark.slow
def test_a_pass_with_reports_changes_neither_evidently_nor_the_garbage_collector(tmp_path, database):
    recorded_windows.make_monitored_history(tmp_path, database, weeks=1)
    printed = run_python(PUBLISH, recorded_windows.make_history_environment(tmp_path))
    assert printed == ["4 False True 0", "evidently"]
