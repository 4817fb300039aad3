"""Publication of reports: when Evidently is imported, how it fails, and that nothing stays patched."""

import time

import pytest
from mlflow import MlflowClient

from flows.steps.monitor import reports
from monitoring.windows.window_store import WindowStore
from penumbra.registry.models import ModelRegistry
from penumbra.registry.tracking import sqlite_runs
from tests.helpers.models import recorded_windows
from tests.helpers.servers.processes import run_python

IMPORT_ALL = """
import gc, importlib, pathlib
from evidently.metrics import column_statistics
own = column_statistics.distribution
for path in pathlib.Path("monitoring/reports").glob("[a-z]*.py"):
    importlib.import_module(f"monitoring.reports.{path.stem}")
print(column_statistics.distribution is own, gc.isenabled(), gc.get_freeze_count())
"""

PUBLISH_NOTHING = """
import sys
from flows.steps.monitor import reports
from penumbra.core.settings import load_settings
print(reports.publish_reports(load_settings()), "evidently" in sys.modules)
"""

MAKE_REPORT = """
import datetime, re, sys
import polars as pl
from monitoring.reports import evidently_reports
from monitoring.reports.columns import ReportSides, build_report_frame
from monitoring.reports.window_figures import ReportFigure
from penumbra.core.columns import LABEL_COLUMN
from penumbra.core.task import Task
print({"litestar", "nltk", "evidently.ui.workspace", "plotly.express"} & sys.modules.keys(),
      {"scipy.stats", "sklearn.linear_model", "sklearn.feature_extraction"} & sys.modules.keys())
rows = pl.DataFrame({"temp": [1.5, 2.5, 3.5] * 8, "carrier": ["AA", "UA", "UA"] * 8, "said": [0.2, 0.7, 0.4] * 8,
                     LABEL_COLUMN: [0, 1, 1, 1] * 6})
frame = build_report_frame(rows, "said", 0.5, Task("binary"))
sides = ReportSides(frame, frame[6:], Task("binary"), {"temp": pl.Float64(), "carrier": pl.String()}, 0.5)
figures = [ReportFigure("loss", "mean", 0.4)]
when = {"timestamp": datetime.datetime(2013, 4, 4)}
made = [evidently_reports.build_data_report(sides, {"temp": (0.3, 0.2)}, figures, {"drift": "of temp"}, **when),
        evidently_reports.build_quality_report(sides, **when)]
for snapshot in made:
    print(re.sub("[0-9a-f]{8}-[0-9a-f-]{27}", "id", snapshot.dumps()))
"""

IMPORT_MLFLOW = """
import importlib, sys
flow = importlib.import_module("flows.FLOW")
for name in (*flow.IMPORTED_AHEAD, *getattr(flow, "IMPORTED_LATER", ())):
    importlib.import_module(name)
print("mlflow.tracking.client" in sys.modules, "fastapi" in sys.modules)
import mlflow
from mlflow.genai import evaluate
from mlflow.models import Model, infer_signature
print(mlflow.MlflowClient.__name__, mlflow.models.ModelSignature.__name__, evaluate.__name__, infer_signature.__name__)
"""


@pytest.mark.slow
def test_where_every_window_has_its_reports_evidently_is_not_imported(tmp_path):
    environ = recorded_windows.make_history_environment(tmp_path)
    assert run_python(PUBLISH_NOTHING, environ) == ["[] False"]


@pytest.fixture
def settings(tmp_path):
    """A window without reports, and nothing to make them of."""
    settings = recorded_windows.make_history_settings(tmp_path)
    WindowStore(settings.monitor.folder).write(recorded_windows.make_window(0))
    return settings


@pytest.mark.slow
def test_an_error_in_a_report_is_one_sentence_that_says_where(settings):
    with pytest.raises(reports.ReportsFailed, match=r"\Ano reports: \w+: .*\.py:\d+\)\Z"):
        reports.publish_reports(settings)


@pytest.mark.slow
def test_importing_the_reports_changes_neither_evidently_nor_the_garbage_collector():
    assert run_python(IMPORT_ALL) == ["True True 0"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flow", "registry", "loaded"),
    [
        ("monitor", "sqlite:///mlflow.db", "False"),
        ("monitor", "postgresql://localhost/mlflow", "True"),
        ("promote", "sqlite:///mlflow.db", "True"),
        ("train", "sqlite:///mlflow.db", "True"),
    ],
)
def test_a_flow_loads_the_parts_of_mlflow_that_it_needs_and_finds_the_others(flow, registry, loaded):
    assert run_python(IMPORT_MLFLOW.replace("FLOW", flow), {"PENUMBRA_REGISTRY__TRACKING": registry}) == [
        f"{loaded} False",
        "MlflowClient ModelSignature evaluate infer_signature",
    ]


@pytest.mark.slow
def test_a_report_is_the_same_without_the_parts_of_evidently_that_it_does_not_need():
    environ = {"PYTHONHASHSEED": "0"}
    needed, *made = run_python(MAKE_REPORT, environ)
    everything, *expected = run_python("import evidently, evidently.ui.workspace\n" + MAKE_REPORT, environ)
    assert (needed, everything != needed) == ("set() set()", True)
    assert made == expected


@pytest.mark.slow
@pytest.mark.parametrize("registry", ["sqlite_registry", "postgres_registry"], indirect=True)
def test_the_run_of_a_window_that_was_cut_short_is_finished_by_the_next_pass(registry, tmp_path, monkeypatch):
    from flows.steps.monitor.window_reports import log_window_run

    window, models = recorded_windows.make_window(0), ModelRegistry(registry)
    page = tmp_path / "pages" / "page.html"
    page.parent.mkdir()
    page.write_text("page")
    with monkeypatch.context() as patched:
        patched.setattr(MlflowClient, "set_terminated", None)
        patched.setattr(sqlite_runs, "copy_artifact", None)
        with pytest.raises(TypeError):
            log_window_run(models, window, {"page": page}, time.time())
    finished = [log_window_run(models, window, {"page": page}, time.time()) for _ in range(2)]
    (run,) = models.find_latest_runs(5, "")
    assert (finished, models.client.get_run(run.id).info.status) == ([run.id, run.id], "FINISHED")


@pytest.mark.slow
@pytest.mark.parametrize("registry", ["sqlite_registry", "postgres_registry"], indirect=True)
def test_a_window_that_is_judged_again_with_its_labels_has_its_loss_and_verdict_in_its_run(registry, tmp_path):
    from flows.steps.monitor.window_reports import log_window_run

    models = ModelRegistry(registry)
    page = tmp_path / "pages" / "page.html"
    page.parent.mkdir()
    page.write_text("page")
    without, judged = recorded_windows.make_window(0, loss=None), recorded_windows.make_window(0, "retrain", 1.6)
    first, again = (log_window_run(models, window, {"page": page}, time.time()) for window in (without, judged))
    run = models.client.get_run(again)
    assert first == again
    assert run.data.metrics["loss mean"] == pytest.approx(0.55)
    assert run.data.tags["verdict"] == "retrain"
