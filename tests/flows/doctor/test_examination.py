"""The doctor's examination of a whole project: the example, with faults and without."""

import re
import shutil
from types import SimpleNamespace

import polars as pl
import pytest

from flows.steps.doctor import examination, skew
from penumbra.core.loading.problem_loading import load_problem
from penumbra.core.settings import PROJECT_ROOT, load_settings
from penumbra.registry.models import ModelRegistry
from penumbra.registry.tracking.run_records import FinishedRun
from penumbra.training.doctor.checks import Finding
from tests.helpers.flow_workspace import NEW_PYTHON, Workspace


def test_a_live_bundle_that_cannot_be_served_is_found(tmp_path, monkeypatch):
    from tests.helpers.servers import local_service

    (local_service.make_bundle(tmp_path / "1") / "model.onnx").write_bytes(b"damaged")
    monkeypatch.setattr(
        "penumbra.registry.models.ModelRegistry", lambda registry: local_service.FolderRegistry(tmp_path, live="1")
    )
    (tmp_path / "mlflow.db").touch()
    registry = load_settings().registry.model_copy(update={"tracking": f"sqlite:///{tmp_path}/mlflow.db"})
    found = skew.examine_live_skew(pl.DataFrame(), registry, load_problem())
    assert [finding.column for finding in found] == ["version 1"]
    assert "damaged or replaced" in found[0].evidence


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    made = Workspace(tmp_path_factory.mktemp("examination"))
    made.ingest()
    return made


@pytest.fixture
def change(space):
    """A function that adds code to a file of `problem/` for this test only."""

    def add(path, code):
        space.append_to_source("")
        with (space.overlay / path).open("a") as file:
            file.write(code)

    yield add
    shutil.rmtree(space.overlay)


def examine(space, **overrides):
    """The exit code, and what was found: title -> columns."""
    output, code = space.run_unchecked("-m", "flows.steps.doctor.examination", **overrides)
    assert "Traceback" not in output, output
    blocks = re.split(r"^  (?=ok|FOUND|accepted|skipped|note)", output, flags=re.M)
    found = {block.splitlines()[0]: re.findall(r"^ {11}(\S.*)$", block, re.M) for block in blocks[1:]}
    return SimpleNamespace(
        output=output, code=code, found={title[9:-1]: c for title, c in found.items() if title[:1] == "F"}
    )


@pytest.mark.slow
def test_the_example_comes_out_clean(space):
    examined = examine(space)
    assert (examined.code, examined.found) == (0, {})
    assert examined.output.count("  ok  ") == 12
    assert "skipped  the service gives training's predictions: there is no live model yet" in examined.output
    assert "Nothing to repair in 15 features and 80,789 rows (77,911 with an outcome)" in examined.output


@pytest.mark.slow
def test_before_the_first_training_the_doctor_loads_no_registry(space, monkeypatch):
    monkeypatch.setattr(space, "python", NEW_PYTHON)
    code = (
        "import sys; from flows.steps.doctor import examination; examination.main(with_files=False)\n"
        "print(sorted({'mlflow', 'pandas', 'sklearn'} & set(sys.modules)))"
    )
    assert space.run("-c", code).splitlines()[-1] == "[]"


@pytest.mark.parametrize("key", [[], ["order_id"]])
def test_checks_of_a_key_are_skipped_where_there_is_none(key, capsys):
    empty = pl.DataFrame(schema={"order_id": pl.Int64, "penumbra.batch": pl.String})
    parts = ("columns", "has_outcome", "label", "inputs", "outcomes", "features", "days", "times")
    data = SimpleNamespace(key=key, rows=empty, rejected=empty, outcome_columns=["paid"], **dict.fromkeys(parts))
    data.features_read = ()
    data.inputs = data.outcomes = empty
    checked = examination.Examination()
    for title, check in examination._list_checks(data):
        if "key" in title:
            checked.run(title, check)
    said = capsys.readouterr().out
    assert checked.skipped == ([] if key else ["every key is unique across batches", "every label has a key"])
    assert said.count("Row has no primary key") == (0 if key else 2)
    assert said.count("  ok  ") == (2 if key else 0)


def test_what_is_accepted_is_said_to_be_so_in_place_of_a_remedy(capsys):
    late, early = (Finding("leakage", column, "it knows the outcome", "leave it out") for column in ("late", "early"))
    examined = examination.Examination(accepted=("late",))
    examined.run("no feature knows the outcome", lambda: [late])
    assert "  accepted  no feature knows the outcome:\n" in (said := capsys.readouterr().out)
    assert "accepted  by gate.accept in settings.toml" in said
    assert "remedy" not in said
    examined.run("no feature knows the outcome", lambda: [late, early])
    assert "  FOUND    no feature" in (said := capsys.readouterr().out)
    assert said.count("remedy    leave it out") == 1
    assert examined.list_unaccepted() == [early]


def test_what_is_found_of_the_live_model_alone_is_said_to_stop_no_training():
    assert "no training stops at it" in examination._advise(is_live_model=True)
    assert "the first training stops at it" in examination._advise(is_live_model=False)


FAULTY_FEATURES = """
import polars as pl
from penumbra.features import Expression
from problem.schema import Labelled
def add(name, expression):
    return Expression(name, expression, Labelled)
FEATURES += (
    add("early", pl.when(pl.col("arr_delay") < -5).then(None).otherwise(pl.col("arr_delay")).abs()),
    add("half", pl.col("arr_delay") * 0.5 - pl.col("distance")),
    add("late", (pl.col("arr_delay") > 15).cast(pl.Float64)),
    add("still", pl.col("distance") * 0.0),
)
"""


@pytest.mark.slow
def test_faulty_features_are_found_each_in_its_place(space, change):
    change("problem/features.py", FAULTY_FEATURES)
    examined = examine(space)
    assert examined.code == 3
    assert examined.found["every feature reads only what a request has"] == ["early", "half", "late"]
    assert examined.found["no feature is missing just where the outcome is"] == ["arr_delay", "half", "late"]
    assert examined.found["no feature alone predicts the target"] == ["early", "late"]
    assert examined.found["no features add up to the target"] == ["distance, half", "late"]
    assert examined.found["no feature is constant or nearly empty"] == ["still"]
    assert "note     early is a free polars expression" in examined.output
    assert "`penumbra train --skip-doctor`" in examined.output


FAULTY_BATCH = """
_fetch = fetch
def fetch(batch):
    files = _fetch("2013-01" if batch == "2013-02" else batch)
    lines = files["flights.csv"].split(b"\\n")
    columns = lines[1].split(b",")
    columns[lines[0].split(b",").index(b"carrier")] = b"NA"
    return {**files, "flights.csv": b"\\n".join([lines[0], b",".join(columns), *lines[2:]])}
"""


@pytest.mark.slow
def test_faulty_batches_are_found(tmp_path):
    space = Workspace(tmp_path / "faulty")
    space.append_to_source(FAULTY_BATCH)
    space.ingest()
    examined = examine(space)
    assert examined.code == 3
    assert examined.found == {
        "every key is unique across batches": ["carrier, flight, time_hour"],
        "every batch lies after the one before": ["time_hour"],
        "every label has a key": ["carrier"],
    }


@pytest.mark.slow
def test_without_data_the_doctor_asks_for_it_in_one_sentence(tmp_path):
    examined = examine(Workspace(tmp_path / "empty"))
    assert (examined.code, examined.output) == (
        1,
        "There is no data in data/ to examine: run `penumbra ingest` first.\n",
    )


@pytest.fixture(scope="module")
def live(space, migrated_database):
    """The workspace's settings for a registry in which a model is live that reads the clock times often."""
    from tests.helpers.servers import local_service

    tracking = f"sqlite:///{space.folder}/live.db"
    (space.folder / "live.db").write_bytes(migrated_database.read_bytes())
    places = {"tracking": tracking, "artifacts": str(space.folder / "live")}
    registry = load_settings().registry.model_copy(update=places)
    models = ModelRegistry(registry)
    deep = local_service.make_bundle(space.folder / "bundle", depth=None)
    run = models.record(FinishedRun("deep", 0, 1), artifacts={"bundle": deep})
    models.set_alias("live", models.register(run, "bundle", {}))
    return {"registry__tracking": tracking}


@pytest.mark.slow
def test_the_service_gives_the_predictions_of_training_time(space, live):
    before = list_log_files(space)
    examined = examine(space, **live)
    assert (examined.code, examined.found) == (0, {})
    assert "  ok       the service gives training's predictions" in examined.output
    assert list_log_files(space) == before  # its rows are nobody's predictions


def list_log_files(space):
    """The service's files with their sizes and times of change; the labels are those that came with the batches."""
    folders = [space.folder / "var" / name for name in ("service", "predictions", "labels")]
    files = [file for folder in folders for file in folder.rglob("*") if file.is_file()]
    return {file: (file.stat().st_size, file.stat().st_mtime_ns) for file in files}


@pytest.mark.slow
def test_a_scalar_form_that_differs_is_skew_in_the_column_that_it_makes(space, live):
    """The service's processes look for modules where they are started first."""
    right = (PROJECT_ROOT / "penumbra/features/kinds.py").read_text()
    hiding = space.folder / "penumbra"
    hiding.mkdir()
    (hiding / "__init__.py").write_text("from pkgutil import extend_path\n__path__ = extend_path(__path__, __name__)\n")
    shutil.copytree(PROJECT_ROOT / "penumbra/features", hiding / "features")
    (hiding / "features/kinds.py").write_text(right.replace("float(clock // 100 * 60 + clock % 100)", "float(clock)"))
    examined = examine(space, **live)
    shutil.rmtree(hiding)
    assert examined.code == 3
    assert examined.found == {
        "the service gives training's predictions": ["sched_dep_time_minutes, sched_arr_time_minutes"]
    }


@pytest.mark.slow
def test_a_live_model_that_was_made_with_other_features_is_examined_with_those(space, live, change):
    change("problem/features.py", "FEATURES = FEATURES[:-1]\n")
    examined = examine(space, **live)
    assert (examined.code, examined.found) == (0, {})
    assert "ok       the service gives training's predictions" in examined.output
