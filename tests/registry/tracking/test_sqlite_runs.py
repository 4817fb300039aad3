"""Runs that are written and read by SQL, beside those of MLflow's client."""

import linecache
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penumbra.core.settings import RegistrySettings
from penumbra.registry.models import ModelRegistry
from penumbra.registry.tracking import mlflow_runs, sqlite_runs
from penumbra.registry.tracking.run_records import BegunRun, FinishedRun, build_update
from penumbra.registry.tracking.sqlite_registry import get_database_path
from tests.helpers.files import read_files

TABLES = ("runs", "tags", "params", "metrics", "latest_metrics", "inputs", "datasets", "experiment_tags")
NAMES = st.text("abé_1 .:-(/€)", min_size=1, max_size=12).map(lambda name: f"a{name}")
RUNS = st.builds(
    FinishedRun,
    name=st.sampled_from(["window 2013-04-04", "n" * 5001]),
    start=st.floats(1, 2e9),
    end=st.floats(1, 2e9),
    params=st.dictionaries(st.sampled_from(["depth", "leaf size"]), st.integers() | st.just("x" * 5001)),
    metrics=st.dictionaries(NAMES, st.floats()),
    tags=st.dictionaries(st.sampled_from(["window", "penumbra.kind"]), st.text(max_size=5) | st.just("y" * 9000)),
)


@pytest.fixture
def models(registry: RegistrySettings) -> ModelRegistry:
    """A registry with the experiment that the first run makes."""
    models = ModelRegistry(registry)
    models.record(FinishedRun("first", 0, 1))
    return models


@pytest.fixture
def database(registry: RegistrySettings) -> Path:
    database = get_database_path(registry.tracking)
    assert database
    return database


@contextmanager
def interrupt_after(statement: str) -> Iterator[None]:
    """Interrupt this thread, as Ctrl-C does, when a line that executes an SQL statement is done with it."""

    def watch(frame: FrameType, event: str, called: Any) -> None:
        if event == "c_return" and called.__name__ == "execute":
            line = linecache.getline(frame.f_code.co_filename, frame.f_lineno)
            if f'execute("{statement}")' in line:
                sys.setprofile(None)
                raise KeyboardInterrupt

    sys.setprofile(watch)
    try:
        yield
    finally:
        sys.setprofile(None)


def begin(run: FinishedRun, key: str = "", parent: str = "", data_version: str = "", **artifacts: Path) -> BegunRun:
    return BegunRun(run, parent, key, artifacts, data_version)


def record_by_mlflow(models: ModelRegistry, begun: BegunRun) -> str:
    experiment = models.client.get_experiment_by_name(models.name).experiment_id
    return mlflow_runs.record_run(models.client, experiment, begun)


def read_rows(database: Path, run: str) -> dict[str, list[Any]]:
    """All rows that have to do with a run, without its id and the second in which it was recorded."""
    with closing(sqlite3.connect(database)) as db:
        db.row_factory = sqlite3.Row
        found = {table: [dict(row) for row in db.execute(f"SELECT * FROM {table}")] for table in TABLES}
    return {table: sorted(_select_own(rows, run), key=repr) for table, rows in found.items()}


def _select_own(rows: list[dict[str, Any]], run: str) -> Iterator[dict[str, Any]]:
    for row in rows:
        if run in row.values() and row.get("key") != "penumbra.begun":
            yield {name: str(value).replace(run, "ID") for name, value in row.items()}


@pytest.mark.slow
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(RUNS, st.sampled_from(["", "0123abc"]))
def test_the_rows_and_files_of_a_run_are_those_that_mlflow_writes(
    models: ModelRegistry, database: Path, tmp_path_factory: pytest.TempPathFactory, run: FinishedRun, parent: str
) -> None:
    pages = tmp_path_factory.mktemp("pages")
    (pages / "below").mkdir()
    (pages / "below" / "page.html").write_text("page")
    begun = begin(run, parent=parent, reports=pages, one=pages / "below" / "page.html")
    by_sql = sqlite_runs.insert_run(database, models.name, begun)
    by_mlflow = record_by_mlflow(models, begun)
    assert by_sql is not None
    assert read_rows(database, by_sql) == read_rows(database, by_mlflow)
    folders = [sqlite_runs.find_artifact_folder(database, each) for each in (by_sql, by_mlflow)]
    assert all(folders)
    files = [read_files(folder) for folder in folders if folder]
    assert files[0] == files[1] != {}


@pytest.mark.slow
def test_other_values_of_a_recorded_run_are_the_rows_that_mlflow_writes(models: ModelRegistry, database: Path) -> None:
    run = FinishedRun("window", 1, 2, metrics={"drift": 0.5, "rows": 3.0}, tags={"verdict": "ok", "window": "1"})
    by_sql, by_mlflow = (models.record(run) for _ in range(2))
    later = build_update({"drift": 0.7, "rows": 3.0, "loss (EUR)": 0.4}, {"verdict": "wait"})
    assert sqlite_runs.replace_values(database, by_sql, later, 3000)
    mlflow_runs.log_values(models.client, by_mlflow, later, 3000)
    assert read_rows(database, by_sql) == read_rows(database, by_mlflow)
    assert len(read_rows(database, by_sql)["metrics"]) == 4


def test_a_run_that_is_gone_gets_no_other_values_by_sql(models: ModelRegistry, database: Path) -> None:
    assert sqlite_runs.replace_values(database, "0123abc", build_update({"loss": 0.4}, {}), 3000) is None


def test_a_run_is_read_as_mlflow_has_it(models: ModelRegistry, database: Path) -> None:
    run = models.record(FinishedRun("train", 1000.5, 1001, metrics={"loss": 0.25}, tags={"kind": "train"}))
    kept, found = models.client.get_run(run), sqlite_runs.read_run(database, run)
    assert found
    assert (found.id, found.start, found.metrics, found.tags) == (run, 1000.5, {"loss": 0.25}, kept.data.tags)
    assert sqlite_runs.read_run(database, "no such run") is None


def test_a_run_with_a_key_is_recorded_once(models: ModelRegistry, database: Path) -> None:
    begun = begin(FinishedRun("train", 0, 1), key="a")
    first = sqlite_runs.insert_run(database, models.name, begun)
    assert [record_by_mlflow(models, begun), sqlite_runs.insert_run(database, models.name, begun)] == [first, first]


def test_of_a_run_whose_artifacts_cannot_be_written_nothing_is_recorded(
    models: ModelRegistry, database: Path, tmp_path: Path
) -> None:
    pages = {name: tmp_path / f"{name}.html" for name in ("page", "missing")}
    pages["page"].write_text("page")
    before = read_files(Path(models.artifacts))
    with pytest.raises(FileNotFoundError):
        sqlite_runs.insert_run(database, models.name, begin(FinishedRun("train", 0, 1), **pages))
    assert len(models.find_latest_runs(5, "")) == 1  # the one that has made the experiment
    assert read_files(Path(models.artifacts)) == before


def test_an_interrupt_after_the_commit_leaves_the_run_with_its_artifacts(
    models: ModelRegistry, database: Path, tmp_path: Path
) -> None:
    (tmp_path / "page.html").write_text("page")
    begun = begin(FinishedRun("train", 0, 1), key="a", page=tmp_path / "page.html")
    with interrupt_after("COMMIT"), pytest.raises(KeyboardInterrupt):
        sqlite_runs.insert_run(database, models.name, begun)
    run = sqlite_runs.insert_run(database, models.name, begun)
    assert run
    assert (folder := sqlite_runs.find_artifact_folder(database, run))
    assert read_files(folder).keys() == {"page/page.html"}


@pytest.mark.slow
def test_a_run_that_a_killed_process_has_begun_is_left_to_mlflow_which_completes_it(
    models: ModelRegistry, database: Path, tmp_path: Path
) -> None:
    missing = begin(FinishedRun("train", 0, 1, metrics={"loss": 1.0}), key="a", page=tmp_path / "page.html")
    with pytest.raises(FileNotFoundError):
        record_by_mlflow(models, missing)
    assert sqlite_runs.insert_run(database, models.name, missing) is None
    (tmp_path / "page.html").write_text("page")
    later = FinishedRun("train", 0, 2, metrics={"loss": 1.5, "rows": 3.0})
    run = models.record(later, key="a", artifacts={"page": tmp_path / "page.html"})
    assert models.client.get_run(run).info.status == "FINISHED"
    assert [[each.value for each in models.client.get_metric_history(run, name)] for name in ("loss", "rows")] == [
        [1.0],
        [3.0],
    ]
    assert len(models.find_latest_runs(5, "")) == 2  # with the one that has made the experiment


@pytest.mark.parametrize(
    "begun",
    [
        begin(FinishedRun("train", 0, 1), data_version="abc.dir"),
        begin(FinishedRun("train", 0, 1, params={"../up": 1})),
        begin(FinishedRun("train", 0, 1, tags={"t" * 251: "long"})),
    ],
    ids=["data version", "parameter", "tag"],
)
def test_what_mlflow_looks_at_is_left_to_it(models: ModelRegistry, database: Path, begun: BegunRun) -> None:
    assert sqlite_runs.insert_run(database, models.name, begun) is None
    assert sqlite_runs.insert_run(database, "no such experiment", begin(begun.run)) is None
    assert len(models.find_latest_runs(5, "")) == 1


def test_the_latest_finished_run_with_a_tag_is_found(models: ModelRegistry, database: Path) -> None:
    runs = [models.record(FinishedRun("w", start, 9, tags={"window": "2013-04-04"})) for start in (1, 3, 2)]
    assert models.find_finished_run("window", "2013-04-04") == runs[1]
    models.client.set_terminated(runs[1], status="KILLED")
    assert models.find_finished_run("window", "2013-04-04") == runs[2]
    models.client.delete_run(runs[2])
    assert sqlite_runs.find_finished_run(database, models.name, "window", "2013-04-04") == runs[0]
    assert (models.find_finished_run("window", "2013-04-11"), models.find_finished_run("w", "2013-04-04")) == ("", "")


def test_files_are_logged_again_and_read_back(models: ModelRegistry, tmp_path: Path) -> None:
    run, page = models.record(FinishedRun("w", 0, 1)), tmp_path / "page.html"
    for text in ("first", "second"):
        page.write_text(text)
        models.log_files(run, [page], "reports")
    assert models.download_artifact(run, "reports/page.html", tmp_path / "..").read_text() == "second"
    assert [each.path for each in models.client.list_artifacts(run, "reports")] == ["reports/page.html"]
