"""Evidently reports on windows: whatever a window's columns are like, kept once, with what a reader needs to see."""

import json
import re

import numpy as np
import polars as pl
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from flows.steps.monitor import reports as reporting
from monitoring.reports import window_figures
from monitoring.reports.columns import ReportSides
from monitoring.reports.foreign_pages import render_snapshot
from monitoring.reports.window_figures import ReportFigure
from monitoring.reports.workspace import DASHBOARD_PANELS, ReportWorkspace
from monitoring.windows.window_store import WindowStore
from penumbra.core.columns import DECISION_COLUMN, LABEL_COLUMN, PREDICTION_COLUMN, name_class_column
from penumbra.core.task import Task
from penumbra.registry.models import ModelRegistry
from tests.helpers.models import recorded_windows
from tests.helpers.servers.processes import run_python

pytestmark = pytest.mark.slow  # the import alone takes some seconds

PUBLISH = """
import gc, sys
from flows.steps.monitor import reports
from penumbra.core.settings import load_settings
pages = reports.publish_reports(load_settings())
print(len(pages), "evidently" in sys.modules, gc.isenabled(), gc.get_freeze_count())
from evidently.metrics import column_statistics
print(column_statistics.distribution.__module__.partition(".")[0])
"""

ROWS = 30
PART_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|metric_[0-9a-f]{32}")
DECLARED = {"temp": pl.Float64(), "carrier": pl.String(), "distance": pl.Int16()}
PREDICTION, DECISION, LABEL = PREDICTION_COLUMN, DECISION_COLUMN, LABEL_COLUMN
BINARY, NUMBER = Task("binary"), Task("regression")
WEATHER, YES_OR_NO = Task("multiclass", ("clear", "cloudy", "rain")), Task("multiclass", ("no", "yes"))


@pytest.fixture(scope="module")
def reports():
    from monitoring.reports import evidently_reports

    return evidently_reports


@pytest.fixture(scope="module")
def spared_work():
    from monitoring.reports import spared_work

    return spared_work


@pytest.fixture(scope="module")
def history(tmp_path_factory, database):
    """The settings of a model with two windows, and what a process printed that made their reports."""
    folder = tmp_path_factory.mktemp("watched")
    settings = recorded_windows.make_monitored_history(folder, database, weeks=2)
    return settings, run_python(PUBLISH, recorded_windows.make_history_environment(folder))


@pytest.fixture(scope="module")
def published(history):
    """The settings of a folder with the reports of two windows."""
    return history[0]


def rows(seed: int, task: Task = BINARY) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pl.DataFrame(
        {
            "temp": rng.normal(60, 10, ROWS),
            "carrier": rng.choice(["UA", "AA", "DL"], ROWS).tolist(),
            "distance": rng.integers(100, 900, ROWS),
        }
    )
    said = rng.uniform(0, 1, ROWS)
    if task.kind == "binary":
        labels = rng.random(ROWS) < 0.5
        return frame.with_columns(**{PREDICTION: said, DECISION: pl.Series(said > 0.5), LABEL: pl.Series(labels)})
    if task.kind == "regression":
        return frame.with_columns(**{PREDICTION: said, DECISION: said, LABEL: said + rng.normal(0, 1, ROWS)})
    chances = rng.dirichlet(np.ones(len(task.classes)), ROWS)
    best = pl.Series([task.classes[place] for place in chances.argmax(axis=1)])
    labels = pl.Series(rng.choice(task.classes, ROWS).tolist())
    columns = {name_class_column(name): chances[:, place] for place, name in enumerate(task.classes)}
    return frame.with_columns(**{PREDICTION: best, DECISION: best, LABEL: labels}, **columns)


def values(snapshot) -> dict[str, object]:
    return {metric["metric_name"]: metric["value"] for metric in snapshot.dict()["metrics"]}


DAMAGES = {
    "nulls": lambda frame, name: frame.with_columns(pl.lit(None, frame.schema[name]).alias(name)),
    "one value": lambda frame, name: frame.with_columns(pl.lit(frame[name][0], frame.schema[name]).alias(name)),
    "text": lambda frame, name: frame.with_columns(pl.lit("?").alias(name)),
    "numbers": lambda frame, name: frame.with_columns(pl.lit(1.5).alias(name)),
    "infinite": lambda frame, name: frame.with_columns(pl.lit(float("inf")).alias(name)),
    "one known": lambda frame, name: frame.with_columns(
        pl.when(pl.int_range(pl.len()) == 3).then(pl.col(name)).alias(name)
    ),
    "missing": lambda frame, name: frame.drop(name),
    "no rows": lambda frame, name: frame.clear(),
}
damages = st.tuples(st.sampled_from(list(DAMAGES)), st.sampled_from([*DECLARED, PREDICTION]), st.booleans())


@settings(max_examples=12, phases=[Phase.generate])
@given(st.lists(damages, max_size=3))
def test_whatever_is_wrong_with_its_columns_a_report_is_made_and_names_what_is_left_out(reports, damaged):
    sides = [rows(1), rows(2)]
    for damage, name, of_reference in damaged:
        if name in sides[of_reference].columns:
            sides[of_reference] = DAMAGES[damage](sides[of_reference], name)
    made = ReportSides(*sides, BINARY, DECLARED, 0.5)
    snapshot = reports.build_data_report(made, {}, [ReportFigure("rows", "rows", 30.0)], {})
    assert values(snapshot)["Exact(group=rows,series=rows)"] == 30.0
    page = snapshot.dumps()
    assert all(f"left out: {name}" in page for name in made.columns().left_out)


def test_drift_is_what_the_monitor_says_not_what_the_library_would_say(reports):
    sides = ReportSides(rows(1), rows(1), BINARY, DECLARED)
    found = values(reports.build_data_report(sides, {"temp": (0.3, 0.1), "carrier": (0.1, 0.2)}, [], {}))
    drifted = next(value for name, value in found.items() if name.startswith("DriftedColumnsCount"))
    assert drifted["count"] == 1
    scores = {name.split("column=")[1].split(",")[0]: v for name, v in found.items() if name.startswith("ValueDrift")}
    assert scores == {"temp": 0.3, "carrier": 0.1}


def test_the_distribution_of_a_column_is_drawn_once(reports, spared_work):
    with spared_work.spare_needless_work(BINARY):
        page = reports.build_data_report(ReportSides(rows(1), rows(2), BINARY, DECLARED), {}, [], {}).dumps()
    for column in ("temp", "distance", PREDICTION):
        titles = {name: f"{name} value of '{column}': current" for name in ("Minimal", "Maximum", "Mean", "Std")}
        drawn = [name for name, title in titles.items() if title in page]
        assert drawn == ["Minimal"]
        assert f"Quantile 0.5 of '{column}': current" not in page


@pytest.mark.parametrize("task", [BINARY, NUMBER, WEATHER])
def test_work_that_is_spared_changes_nothing_on_a_page(reports, spared_work, task):
    sides = ReportSides(rows(1, task), rows(2, task), task, DECLARED, 0.3)
    pages = [draw_pages(reports, sides)]
    with spared_work.spare_needless_work(task):
        pages.append(draw_pages(reports, sides))
    assert pages[0] == pages[1] == draw_pages(reports, sides)


def draw_pages(reports, sides: ReportSides) -> list[str]:
    """The pages of both reports, with the ids of their parts, which are other ones each time, by their places."""
    distances = {"temp": (0.3, 0.1), "carrier": (0.1, 0.2)}
    made = reports.build_data_report(sides, distances, [], {}), reports.build_quality_report(sides)
    known = dict[str, str]()
    return [PART_ID.sub(lambda found: known.setdefault(found[0], str(len(known))), render_snapshot(m)) for m in made]


@pytest.mark.parametrize("task", [BINARY, NUMBER, WEATHER, YES_OR_NO])
def test_the_quality_of_predictions_is_reported_for_each_kind_of_task(reports, task):
    made = reports.build_quality_report(ReportSides(rows(1, task), rows(2, task), task, {}, 0.5))
    names = {"binary": "RocAuc", "multiclass": "F1ByLabel", "regression": "RMSE"}
    assert any(name.startswith(names[task.kind]) for name in values(made))


@pytest.mark.parametrize(
    ("task", "names"), [(BINARY, ("label", "amount (EUR)", "x" * 300)), (WEATHER, ("clear", "prediction", "{a.b}"))]
)
def test_reports_say_the_same_whatever_the_columns_are_called(reports, task, names):
    called = dict(zip(DECLARED, names, strict=True))
    plain = ReportSides(rows(1, task), rows(2, task), task, DECLARED, 0.5)
    declared = {called[name]: dtype for name, dtype in DECLARED.items()}
    named = ReportSides(plain.current.rename(called), plain.reference.rename(called), task, declared, 0.5)
    found, expected = (
        values(reports.build_data_report(sides, dict.fromkeys(sides.declared, (0.1, 0.2)), [], {}))
        for sides in (named, plain)
    )
    assert {f"ValueDrift(column={name},method=over all rows,threshold=0.2)" for name in names} <= found.keys()
    assert list(map(str, found.values())) == list(map(str, expected.values()))
    np.testing.assert_equal(*(values(reports.build_quality_report(sides)) for sides in (named, plain)))


@pytest.mark.parametrize(
    "odd",
    [
        rows(1).with_columns(pl.when(pl.int_range(ROWS) % 2 == 0).then(np.nan).otherwise(PREDICTION).alias(PREDICTION)),
        rows(1).with_columns(3 * pl.col(PREDICTION)),
        rows(1).with_columns(**{PREDICTION: 0.0, DECISION: False}),
        rows(1, WEATHER).with_columns(pl.col(LABEL).replace("rain", "clear")),
        rows(1, WEATHER).with_columns(
            **{name_class_column(name): float(name == "rain") for name in WEATHER.classes},
            **{PREDICTION: pl.lit("rain"), DECISION: pl.lit("rain")},
        ),
        rows(1, NUMBER).with_columns(pl.when(pl.int_range(ROWS) < 15).then(PREDICTION).alias(PREDICTION)),
    ],
    ids=["NaN", "no probabilities", "one decision", "a class is missing", "one class predicted", "nulls"],
)
def test_odd_predictions_and_labels_break_no_report_on_quality(reports, odd):
    task = next(task for task in (WEATHER, BINARY, NUMBER) if rows(1, task)[LABEL].dtype == odd[LABEL].dtype)
    assert reports.build_quality_report(ReportSides(odd, rows(2, task), task, {}, 0.5)) is not None


@pytest.mark.parametrize("number", [0.0, float("inf"), float("nan")])
def test_numbers_that_are_all_the_same_or_none_at_all_make_no_report(reports, number):
    same = rows(1, NUMBER).with_columns(pl.lit(number).alias(LABEL))
    assert reports.build_quality_report(ReportSides(same, rows(2, NUMBER), NUMBER, {})) is None


def test_a_class_that_the_reference_never_had_makes_no_report(reports):
    without = rows(2, WEATHER).with_columns(pl.col(LABEL).replace("rain", "clear"))
    assert reports.build_quality_report(ReportSides(rows(1, WEATHER), without, WEATHER, {})) is None


@pytest.mark.parametrize(
    "reference", [rows(2, WEATHER), rows(2, WEATHER).filter((pl.col(LABEL) != "rain") & (pl.col(DECISION) != "rain"))]
)
def test_two_of_three_classes_make_no_report(reports, reference):
    two = rows(1, WEATHER).with_columns(pl.col(LABEL, PREDICTION, DECISION).replace("rain", "clear"))
    assert reports.build_quality_report(ReportSides(two, reference, WEATHER, {})) is None


@pytest.mark.parametrize(
    "lacking",
    [
        rows(1).with_columns(pl.lit(None, pl.Boolean).alias(LABEL)),
        rows(1).with_columns(pl.lit(True).alias(LABEL)),
        rows(1).drop(LABEL),
        rows(1).clear(),
    ],
)
def test_without_labels_of_two_classes_there_is_no_quality_to_report(reports, lacking):
    assert reports.build_quality_report(ReportSides(lacking, rows(2), BINARY, {}, 0.5)) is None


def test_a_pass_with_reports_changes_neither_evidently_nor_the_garbage_collector(history):
    assert history[1] == ["8 True True 0", "evidently"]


def test_a_pass_makes_the_reports_of_every_window_and_the_next_has_nothing_to_do(published):
    kept = ReportWorkspace(published.monitor.folder, published.registry.model)
    names = {"data", "quality", "candidate", "candidate-quality"}
    assert [set(kept.pages(window)) for window in WindowStore(published.monitor.folder).read()] == [names, names]
    assert reporting.publish_reports(published) == []


def test_a_window_that_is_judged_again_gets_new_reports_in_place_of_the_old_ones(published):
    kept = ReportWorkspace(published.monitor.folder, published.registry.model)
    snapshots = set(kept.workspace.rglob("snapshots/*.json"))
    runs = {run.id for run in ModelRegistry(published.registry).find_latest_runs(9, "tags.window LIKE '%'")}
    WindowStore(published.monitor.folder).write(recorded_windows.make_window(1, "retrain", ratio=1.4))
    assert len(reporting.publish_reports(published)) == 4
    assert set(kept.workspace.rglob("snapshots/*.json")) == snapshots
    assert {run.id for run in ModelRegistry(published.registry).find_latest_runs(9, "tags.window LIKE '%'")} == runs


def test_pages_are_logged_to_a_run_of_the_window(published, tmp_path):
    models = ModelRegistry(published.registry)
    (run,) = models.find_latest_runs(1, "tags.window = '2013-04-01'")
    assert run.metrics["loss mean"] == pytest.approx(0.49)
    assert len(list(models.download_artifact(run.id, "reports", tmp_path).glob("*.html"))) == 4


def test_every_group_of_figures_has_its_panel_and_the_other_way_round():
    groups = {figure.group for figure in window_figures.build_figures(recorded_windows.make_window(0), 0)}
    assert groups == {panel.group for panel in DASHBOARD_PANELS}


def test_the_dashboard_begins_with_the_latest_verdict_in_words(published):
    kept = ReportWorkspace(published.monitor.folder, published.registry.model)
    dashboard = json.loads((kept.workspace / str(kept.project) / "dashboard.json").read_text())
    assert dashboard["panels"][0]["title"].startswith("The latest window, 2013-04-08 to 2013-04-14: ")
    assert len(dashboard["panels"]) == len(DASHBOARD_PANELS) + 1
