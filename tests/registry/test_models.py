import json
import math
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from penumbra.core.settings import PROJECT_ROOT, RegistrySettings
from penumbra.registry.models import ModelRegistry
from penumbra.registry.tracking.run_records import FinishedRun
from penumbra.registry.tracking.sqlite_registry import get_database_path, read_version_by_fingerprint
from tests.helpers.files import read_files


@pytest.fixture(params=["sqlite", "postgres"])
def registry(request):
    """The same promises hold on each database."""
    return request.getfixturevalue(f"{request.param}_registry")


@pytest.fixture
def models(registry):
    return ModelRegistry(registry)


@pytest.fixture
def bundle(tmp_path):
    """Files as a bundle has them, in a folder."""
    folder = tmp_path / "bundle"
    (folder / "tables").mkdir(parents=True)
    (folder / "model.onnx").write_bytes(bytes(range(256)))
    (folder / "tables" / "carrier.json").write_text("{}")
    return folder


def run(name="train", **facts):
    return FinishedRun(name, start=1000.0, end=1001.5, **facts)


def register(models, bundle, fingerprint="f1"):
    return models.register(models.record(run(), artifacts={"bundle": bundle}), "bundle", {"fingerprint": fingerprint})


@pytest.mark.slow
def test_versions_are_numbered_from_1(models, bundle):
    assert [register(models, bundle), register(models, bundle)] == ["1", "2"]


@pytest.mark.slow
def test_the_name_of_a_prompt_is_refused_and_the_prompt_stays_as_it_is(registry, models, bundle):
    client = MlflowClient(registry.tracking, registry.tracking)
    client.register_prompt(registry.model, "Why?")
    client.set_prompt_alias(registry.model, "live", 1)
    for move in (
        models.aliases,
        models.require_writable,
        lambda: register(models, bundle),
        lambda: models.set_alias("live", "1"),
        lambda: models.delete_alias("live"),
        lambda: models.tag("1", "why", "so"),
    ):
        with pytest.raises(MlflowException, match=f"registry.model = '{registry.model}' is the name of a prompt in "):
            move()
    assert client.get_prompt_version_by_alias(registry.model, "live").version == 1
    assert "why" not in client.get_prompt_version(registry.model, 1).tags


@pytest.mark.slow
def test_an_experiment_that_was_deleted_is_refused_before_work_begins_with_what_to_do(models):
    models.record(FinishedRun("train", 0, 1))
    models.client.delete_experiment(models.client.get_experiment_by_name(models.name).experiment_id)
    for use in (models.require_writable, lambda: models.record(FinishedRun("train", 0, 2))):
        with pytest.raises(MlflowException, match="is deleted, and takes no run: restore it in MLflow, or give"):
            use()


def test_an_alias_follows_the_version_that_it_was_pointed_at_last(models, bundle):
    for version in (register(models, bundle), register(models, bundle)):
        models.set_alias("live", version)
    assert models.version("live") == "2"


def test_an_alias_and_a_tag_are_set_without_reading_all_of_the_model(models, bundle, monkeypatch):
    version = register(models, bundle)
    monkeypatch.setattr(MlflowClient, "get_registered_model", None)
    models.set_alias("live", version)
    models.tag(version, "of", "new")
    monkeypatch.undo()
    assert (models.aliases(), models.tags(version)["of"]) == ({"live": version}, "new")


@pytest.mark.slow
def test_aliases_are_independent(models, bundle):
    for alias in ("live", "candidate"):
        models.set_alias(alias, register(models, bundle))
    assert (models.version("live"), models.version("candidate")) == ("1", "2")


def test_there_is_no_version_behind_an_alias_before_there_is_a_database(tmp_path):
    models = ModelRegistry(
        RegistrySettings(tracking=f"sqlite:///{tmp_path}/new/mlflow.db", artifacts="a", model="lateness", signed_by=[])
    )
    assert (models.version("live"), models.find_version_by_fingerprint("f1")) == (None, None)
    assert list(tmp_path.iterdir()) == []


def test_there_is_no_version_behind_an_alias_before_there_is_a_model(models):
    assert (models.version("live"), models.find_version_by_fingerprint("f1")) == (None, None)


def test_there_is_no_version_behind_an_alias_that_was_never_set(models, bundle):
    register(models, bundle)
    assert models.version("live") is None


@pytest.mark.slow
def test_the_newest_version_made_from_the_same_is_found_by_its_fingerprint(models, bundle):
    for fingerprint in ("f1", "f2", "f1", "f3"):
        register(models, bundle, fingerprint)
    assert [models.find_version_by_fingerprint(name) for name in ("f1", "f2", "f4")] == ["3", "2", None]


@pytest.mark.slow
def test_a_version_is_found_by_sql_as_by_mlflow(sqlite_registry, bundle):
    models, file = ModelRegistry(sqlite_registry), get_database_path(sqlite_registry.tracking)
    for fingerprint in ["f1"] * 10 + ["f2", "f3"]:
        register(models, bundle, fingerprint)
    models.client.delete_model_version(models.name, "11")
    by_sql = [read_version_by_fingerprint(file, models.name, name) for name in ("f1", "f2", "f3", "f4")]
    assert by_sql == [models.find_version_by_fingerprint(name) for name in ("f1", "f2", "f3", "f4")]
    assert by_sql == ["10", None, "12", None]


@pytest.mark.slow
def test_the_tenth_version_is_newer_than_the_ninth(models, bundle):
    recorded = models.record(run(), artifacts={"bundle": bundle})
    for _ in range(10):
        models.register(recorded, "bundle", {"fingerprint": "f1"})
    assert models.find_version_by_fingerprint("f1") == "10"


def test_a_downloaded_bundle_has_the_same_files_byte_for_byte(models, bundle, tmp_path):
    models.download(register(models, bundle), tmp_path / "downloaded")
    assert read_files(tmp_path / "downloaded") == read_files(bundle)


FILES = st.dictionaries(
    st.text("abcé -_.", min_size=1, max_size=5).map(lambda name: f"f{name}"), st.binary(max_size=50), min_size=1
)


@pytest.mark.slow
@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(FILES)
def test_whatever_the_files_they_come_back_as_they_were(registry, tmp_path_factory, files):
    models, folder = ModelRegistry(registry), tmp_path_factory.mktemp("bundle")
    for name, data in files.items():
        (folder / name).write_bytes(data)
    back = tmp_path_factory.mktemp("back") / "bundle"
    models.download(register(models, folder), back)
    assert read_files(back) == files


@pytest.mark.slow
def test_each_version_is_downloaded_as_it_was_registered(models, bundle, tmp_path):
    first = register(models, bundle)
    (bundle / "model.onnx").write_bytes(b"second")
    register(models, bundle)
    models.download(first, tmp_path / "downloaded")
    assert (tmp_path / "downloaded" / "model.onnx").read_bytes() == bytes(range(256))


def test_a_run_keeps_params_metrics_tags_and_times(models):
    kept = models.client.get_run(
        models.record(run(params={"split": ["a", "b"]}, metrics={"brier": 0.25}, tags={"revision": "r"}))
    )
    assert (kept.info.run_name, kept.info.start_time, kept.info.end_time) == ("train", 1_000_000, 1_001_500)
    assert (kept.info.status, kept.data.params, kept.data.metrics) == (
        "FINISHED",
        {"split": "['a', 'b']"},
        {"brier": 0.25},
    )
    assert kept.data.tags["revision"] == "r"


def test_what_is_not_finite_is_no_metric_rather_than_the_largest_float(models):
    models.record(run(metrics={"loss": 0.5, "loss_low": -math.inf, "loss_high": math.inf}, tags={"kind": "train"}))
    (kept,) = models.find_latest_runs(1)
    assert kept.metrics == {"loss": 0.5}


def test_the_largest_float_that_was_kept_in_place_of_infinity_is_not_read_as_a_metric(models):
    of = models.record(run(metrics={"loss": 0.5}, tags={"kind": "train"}))
    models.client.log_metric(of, "loss_high", math.inf)
    (kept,) = models.find_latest_runs(1)
    assert kept.metrics == {"loss": 0.5}


DAYS = [f"2024-{number:05}" for number in range(800)]


@pytest.mark.slow
def test_parameters_and_tags_too_long_for_mlflow_are_artifacts_beside_a_digest(models, bundle):
    facts = json.dumps({"train": DAYS})
    recorded = models.record(
        run(params={"train": DAYS, "test": ["a"]}, tags={"facts": facts, "kind": "train"}), artifacts={"bundle": bundle}
    )
    kept = models.client.get_run(recorded).data
    assert kept.params["train"].startswith("['2024-00000', '2024-00001',")
    assert kept.params["train"].endswith(", whole in long/params/train.txt)")
    assert max(map(len, [*kept.params.values(), *kept.tags.values()])) < 200
    version = models.register(recorded, "bundle", {})
    assert models.params(version) == {"train": str(DAYS), "test": "['a']"}
    (found,) = models.find_latest_runs(1)
    assert (found.tags["facts"], found.tags["kind"]) == (facts, "train")


def test_a_run_names_the_data_version_that_it_used(models):
    (used,) = models.client.get_run(models.record(run(), data_version="abc.dir")).inputs.dataset_inputs
    assert (used.dataset.digest, used.dataset.source_type) == ("abc.dir", "dvc")


def test_the_run_of_a_candidate_is_a_child_of_the_training_run(models):
    parent = models.record(run())
    child = models.client.get_run(models.record(run("forest"), parent=parent))
    assert child.data.tags["mlflow.parentRunId"] == parent


def test_a_single_file_is_kept_as_an_artifact_too(models, tmp_path):
    (tmp_path / "data.dvc").write_text("outs:")
    recorded = models.record(run(), artifacts={"data": tmp_path / "data.dvc"})
    assert [file.path for file in models.client.list_artifacts(recorded, "data")] == ["data/data.dvc"]


def test_artifacts_are_where_the_settings_say(models, bundle, registry):
    register(models, bundle)
    assert len(list(Path(registry.artifacts).glob("*/artifacts/bundle/model.onnx"))) == 1


@pytest.mark.slow
def test_a_version_belongs_to_the_run_that_made_it(models, bundle):
    recorded = models.record(run(), artifacts={"bundle": bundle})
    version = models.register(recorded, "bundle", {"data_version": "abc.dir"})
    kept = models.client.get_model_version(models.name, version)
    assert (kept.run_id, kept.tags) == (recorded, {"data_version": "abc.dir"})


@pytest.mark.slow
def test_models_of_different_names_share_a_database(models, registry, bundle):
    register(models, bundle)
    other = ModelRegistry(registry.model_copy(update={"model": "cancellation"}))
    assert register(other, bundle) == "1"


OPEN = """
import sys
from penumbra.core.settings import RegistrySettings
from penumbra.registry.models import ModelRegistry
registry = RegistrySettings(tracking=sys.argv[1], artifacts="a", model="m", signed_by=[])
ModelRegistry(registry).client.search_experiments()
"""


@pytest.mark.slow
def test_two_processes_that_open_a_new_database_at_once_both_succeed(tmp_path):
    uri = f"sqlite:///{tmp_path}/new/mlflow.db"
    both = [
        subprocess.Popen([sys.executable, "-c", OPEN, uri], cwd=PROJECT_ROOT, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    errors = [process.communicate(timeout=120)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], errors
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"mlflow.db", "mlflow.lock"}


@pytest.mark.slow
def test_a_new_database_is_made_where_a_killed_process_left_a_half_made_one(tmp_path):
    (tmp_path / "mlflow.new").write_bytes(b"half")
    models = ModelRegistry(
        RegistrySettings(tracking=f"sqlite:///{tmp_path}/mlflow.db", artifacts=str(tmp_path), model="m", signed_by=[])
    )
    assert models.record(run())


def test_a_relative_place_is_meant_from_the_working_directory(tmp_path, migrated_database, monkeypatch, bundle):
    monkeypatch.chdir(tmp_path)
    shutil.copy(migrated_database, "here.db")
    register(
        ModelRegistry(RegistrySettings(tracking="sqlite:///here.db", artifacts="artifacts", model="m", signed_by=[])),
        bundle,
    )
    with sqlite3.connect("here.db") as database:
        (source,) = database.execute("select source from model_versions").fetchone()
    database.close()
    assert Path(source).is_relative_to(tmp_path)


@pytest.mark.slow
def test_the_latest_runs_of_a_kind_come_newest_first_without_their_children(models):
    first = models.record(run("a", tags={"kind": "experiment"}))
    models.record(run("child", tags={}), parent=first)
    models.record(
        FinishedRun("b", start=2000.0, end=2001.0, metrics={"loss": 0.5}, tags={"kind": "train", "facts": "{}"})
    )
    newest, oldest = models.find_latest_runs(5)
    assert (newest.metrics["loss"], newest.tags["facts"], newest.start, oldest.id) == (0.5, "{}", 2000.0, first)
    assert [latest.start for latest in models.find_latest_runs(1)] == [2000.0]


def test_there_are_no_latest_runs_before_there_is_a_database(tmp_path):
    models = ModelRegistry(
        RegistrySettings(tracking=f"sqlite:///{tmp_path}/new/mlflow.db", artifacts="a", model="lateness", signed_by=[])
    )
    assert models.find_latest_runs(5) == []
