import sqlite3
from contextlib import closing

import pytest
from mlflow.exceptions import MlflowException

from benchmarks.faults.corruption.small_state import make_state_settings
from flows.steps.train.settlement import prepare_registry
from penumbra.registry.models import REGISTRY_ERRORS, ModelRegistry
from penumbra.registry.tracking import sqlite_registry
from penumbra.registry.tracking.database import UnusableRegistry
from penumbra.registry.tracking.sqlite_registry import get_database_path


@pytest.fixture
def file(registry):
    return get_database_path(registry.tracking)


@pytest.mark.parametrize("use", [ModelRegistry.aliases, ModelRegistry.require_writable])
def test_a_registry_of_garbage_is_named_in_one_sentence_before_anything_is_done(registry, file, use):
    file.write_bytes(b"garbage" * 2000)
    with pytest.raises(UnusableRegistry, match=r"mlflow.db is damaged .*backup") as refused:
        use(ModelRegistry(registry))
    assert isinstance(refused.value, REGISTRY_ERRORS)
    assert "\n" not in str(refused.value)


def test_a_registry_that_was_cut_off_is_damaged(registry, file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(UnusableRegistry, match="is damaged"):
        ModelRegistry(registry).aliases()


def test_a_locked_registry_is_named_before_minutes_are_spent(registry, file, monkeypatch):
    monkeypatch.setattr(sqlite_registry, "LOCK_WAIT_SECONDS", 0.1)
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(UnusableRegistry, match=r"locked by another process for more than 0\.1 s"):
            ModelRegistry(registry).require_writable()
    ModelRegistry(registry).require_writable()


@pytest.mark.parametrize("use", [ModelRegistry.aliases, prepare_registry])
def test_a_locked_registry_is_waited_for_once(registry, file, tmp_path, monkeypatch, use):
    connect, opened = sqlite3.connect, []
    settings = make_state_settings(tmp_path).model_copy(update={"registry": registry})
    with closing(connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        monkeypatch.setattr(sqlite_registry, "LOCK_WAIT_SECONDS", 0.1)
        monkeypatch.setattr(sqlite3, "connect", lambda *words, **more: opened.append(words) or connect(*words, **more))
        with pytest.raises(UnusableRegistry, match="is locked by another process"):
            use(settings if use is prepare_registry else ModelRegistry(registry))
    assert len(opened) == 1


OTHER_REVISION = "UPDATE alembic_version SET version_num = '0123456789ab'"
OTHER_WORKSPACE = "INSERT INTO registered_models (workspace, name) VALUES ('team', 'm')"


@pytest.mark.parametrize(
    ("change", "words"),
    [(OTHER_REVISION, "out-of-date database schema"), (OTHER_WORKSPACE, "outside the default workspace")],
)
def test_tables_that_mlflow_refuses_are_refused_before_anything_is_fitted(registry, file, tmp_path, change, words):
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        database.execute(change)
    settings = make_state_settings(tmp_path).model_copy(update={"registry": registry})
    with pytest.raises(MlflowException, match=words):
        ModelRegistry(registry).aliases()
    with pytest.raises(MlflowException, match=words):
        ModelRegistry(registry).require_writable()
    with pytest.raises(MlflowException, match=words):
        prepare_registry(settings)


def test_a_registry_that_is_no_file_is_named(registry, file):
    file.unlink()
    file.mkdir()
    with pytest.raises(UnusableRegistry, match="can't be used"):
        ModelRegistry(registry).aliases()


@pytest.mark.parametrize(
    ("artifacts", "words"),
    [
        ("mlflow-artifacts:/x", "the tracking URI must be a valid http or https URI"),
        ("s4://bucket/x", "Could not find a registered artifact repository"),
    ],
)
def test_a_place_where_mlflow_cannot_keep_files_is_named_before_anything_is_done(registry, tmp_path, artifacts, words):
    models = ModelRegistry(registry.model_copy(update={"artifacts": artifacts}))
    with pytest.raises(MlflowException, match=f"registry.artifacts = '{artifacts}' can't be used: .*{words}"):
        models.require_writable()
    assert not list(tmp_path.glob("*artifacts*"))


def test_where_there_is_no_registry_yet_nothing_is_wrong(registry, file):
    file.unlink()
    ModelRegistry(registry).require_writable()
    assert not file.exists()
