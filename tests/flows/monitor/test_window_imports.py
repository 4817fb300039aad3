"""What a pass judges windows with, and reports on them, is imported for its tasks where it will be needed."""

import datetime as dt

import msgspec
import pytest

from monitoring.reports.workspace import ReportWorkspace
from monitoring.windows.window_store import WindowStore
from tests.helpers.models import recorded_windows
from tests.helpers.servers.processes import run_python

pytestmark = pytest.mark.slow

IMPORT = """
import sys
from flows.steps.monitor import report_imports, window_imports
from penumbra.core.system.process_tree import list_lost_threads
print("sklearn.ensemble" in sys.modules, "evidently" in sys.modules, list_lost_threads())
"""
LAST_WEEK = dt.date(2013, 4, 4)
TODAY = LAST_WEEK + dt.timedelta(days=9)


@pytest.fixture
def settings(tmp_path):
    settings = recorded_windows.make_history_settings(tmp_path)
    settings.service.predictions.mkdir(parents=True)
    return settings


def import_for(folder) -> str:
    environ = {**recorded_windows.make_history_environment(folder), "PENUMBRA_DATA__TODAY": str(TODAY)}
    return run_python(IMPORT, environ)[0]


def judge_last_week(settings, judged: dt.date):
    end, midnight = LAST_WEEK + dt.timedelta(days=7), dt.datetime.combine(judged, dt.time(), dt.UTC)
    window = msgspec.structs.replace(recorded_windows.make_window(0), begin=LAST_WEEK, end=end, judged=midnight)
    WindowStore(settings.monitor.folder).write(window)
    return window


def test_where_the_last_window_waits_for_its_verdict_all_is_imported(settings, tmp_path):
    assert import_for(tmp_path) == "True True set()"


def test_where_its_labels_are_due_since_it_was_judged_it_waits_again(settings, tmp_path):
    judge_last_week(settings, TODAY - dt.timedelta(days=2))
    assert import_for(tmp_path) == "True True set()"


def test_where_it_has_a_verdict_but_no_reports_evidently_is_imported_alone(settings, tmp_path):
    judge_last_week(settings, TODAY)
    assert import_for(tmp_path) == "False True set()"


def test_where_it_has_its_reports_nothing_is_imported(settings, tmp_path):
    workspace = ReportWorkspace(settings.monitor.folder, settings.registry.model)
    (settings.monitor.folder / "reports" / str(LAST_WEEK)).mkdir(parents=True)
    workspace.mark_published(judge_last_week(settings, TODAY), [])
    assert import_for(tmp_path) == "False False set()"


def test_where_there_is_no_log_nothing_is_imported(tmp_path):
    assert import_for(tmp_path) == "False False set()"
