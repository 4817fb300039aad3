"""What the service reads of the registry, beside what MLflow says of it, and when MLflow is imported for it."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException

from penumbra.core.settings import RegistrySettings
from penumbra.registry.models import ModelRegistry
from penumbra.registry.stored_registry import StoredRegistry
from penumbra.registry.tracking.run_records import FinishedRun
from penumbra.registry.tracking.sqlite_registry import get_database_path
from tests.helpers.servers.processes import run_python

READ_ALL = """
import sys
from pathlib import Path
from penumbra.core.settings import load_settings
from penumbra.registry.stored_registry import StoredRegistry
models = StoredRegistry(load_settings().registry)
models.download(models.version("live"), Path("PLACE"))
print(models.aliases(), models.version("other"), len(models.find_run_id("1")), models.tags("1"))
print("mlflow" in sys.modules)
"""


def register_version(registry: RegistrySettings, folder: Path) -> str:
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_text("model")
    models = ModelRegistry(registry)
    run = models.record(FinishedRun("train", 0, 1), artifacts={"bundle": folder})
    version = models.register(run, "bundle", {"of": "flights"})
    models.set_alias("live", version)
    return version


def list_facts(models: ModelRegistry | StoredRegistry, folder: Path) -> list[object]:
    """Everything that both registries tell of version 1, with the files of its bundle."""
    models.download("1", folder)
    files = {path.name: path.read_text() for path in folder.iterdir()}
    return [models.aliases(), models.version("live"), models.find_run_id("1"), models.tags("1"), files]


@pytest.mark.slow
def test_a_version_is_deployed_out_of_an_sqlite_file_without_mlflow(registry: RegistrySettings, tmp_path: Path) -> None:
    register_version(registry, tmp_path / "bundle")
    environ = {"PENUMBRA_REGISTRY__TRACKING": registry.tracking, "PENUMBRA_REGISTRY__MODEL": registry.model}
    told = run_python(READ_ALL.replace("PLACE", str(tmp_path / "place")), environ)
    assert told == ["{'live': '1'} None 32 {'of': 'flights'}", "False"]
    assert (tmp_path / "place/model.onnx").read_text() == "model"


@pytest.mark.parametrize("registry", ["sqlite_registry", "postgres_registry"], indirect=True)
@pytest.mark.parametrize("name", ["bundles", "a b", "a%20b", "a#b"])
def test_it_says_what_mlflow_says_wherever_bundles_are_kept(
    registry: RegistrySettings, tmp_path: Path, name: str
) -> None:
    registry = registry.model_copy(update={"artifacts": str(tmp_path / name)})
    register_version(registry, tmp_path / "bundle")
    told = list_facts(StoredRegistry(registry), tmp_path / "theirs")
    assert told == list_facts(ModelRegistry(registry), tmp_path / "ours")


def test_without_a_database_there_is_no_version_and_none_is_made(registry: RegistrySettings, tmp_path: Path) -> None:
    absent = registry.model_copy(update={"tracking": f"sqlite:///{tmp_path}/none.db"})
    models = StoredRegistry(absent)
    assert (models.aliases(), models.version("live")) == (None, None)
    assert not (tmp_path / "none.db").exists()


@pytest.mark.parametrize(
    "ask",
    [
        lambda models, folder: models.find_run_id("2"),
        lambda models, folder: models.tags("2"),
        lambda models, folder: models.download("2", folder),
    ],
)
def test_a_version_that_is_not_there_is_mlflow_s_error(
    registry: RegistrySettings, tmp_path: Path, ask: Callable[[StoredRegistry, Path], object]
) -> None:
    register_version(registry, tmp_path / "bundle")
    with pytest.raises(MlflowException, match="not found"):
        ask(StoredRegistry(registry), tmp_path / "place")


def test_a_damaged_database_is_told_in_one_sentence(registry: RegistrySettings, tmp_path: Path) -> None:
    register_version(registry, tmp_path / "bundle")
    (database,) = filter(None, [get_database_path(registry.tracking)])
    database.write_bytes(b"no database" * 1000)
    with pytest.raises(MlflowException, match=r"is damaged .*bring it back from a backup"):
        StoredRegistry(registry).aliases()


def test_a_database_that_has_not_changed_is_not_read_again_and_each_change_is_seen(
    registry: RegistrySettings, tmp_path: Path
) -> None:
    version, models = register_version(registry, tmp_path / "bundle"), StoredRegistry(registry)
    (database,) = filter(None, [get_database_path(registry.tracking)])
    assert models.aliases() == {"live": version}
    ModelRegistry(registry).set_alias("candidate", version)
    assert models.aliases() == {"candidate": version, "live": version}
    os.utime(database, (10**9, 10**9))
    assert models.aliases() == {"candidate": version, "live": version}
    content = database.read_bytes()
    database.write_bytes(bytes(len(content)))
    os.utime(database, (10**9, 10**9))
    assert models.aliases() == {"candidate": version, "live": version}
    database.write_bytes(content)
    ModelRegistry(registry).delete_alias("candidate")
    assert models.aliases() == {"live": version}


def test_what_it_changes_mlflow_has_changed(registry: RegistrySettings, tmp_path: Path) -> None:
    register_version(registry, tmp_path / "bundle")
    models = StoredRegistry(registry)
    models.set_alias("candidate", "1")
    models.delete_alias("live")
    models.tag("1", "of", "weather")
    assert (ModelRegistry(registry).aliases(), models.tags("1")) == ({"candidate": "1"}, {"of": "weather"})


def test_a_bundle_that_is_gone_is_an_error_and_no_folder(registry: RegistrySettings, tmp_path: Path) -> None:
    register_version(registry, tmp_path / "bundle")
    shutil.rmtree(ModelRegistry(registry).get_bundle_address("1"))
    with pytest.raises(Exception, match="bundle"):
        StoredRegistry(registry).download("1", tmp_path / "place")
    assert not (tmp_path / "place").exists()
