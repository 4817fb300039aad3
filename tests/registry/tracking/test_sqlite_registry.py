"""What is read of a registry in SQLite without MLflow, beside what MLflow says of it."""

from pathlib import Path
from typing import Any

import pytest
from mlflow.exceptions import MlflowException

from penumbra.core.settings import RegistrySettings
from penumbra.registry.models import ModelRegistry
from penumbra.registry.tracking.sqlite_registry import get_database_path, needs_mlflow, read_aliases, read_version


@pytest.fixture
def client(registry: RegistrySettings) -> Any:
    return ModelRegistry(registry).client


@pytest.fixture
def database(registry: RegistrySettings) -> Path:
    database = get_database_path(registry.tracking)
    assert database
    return database


def test_a_model_that_is_not_there_has_no_aliases(database: Path) -> None:
    assert read_aliases(database, "m") is None


def test_aliases_are_those_that_mlflow_has_set(client: Any, database: Path, tmp_path: Path) -> None:
    client.create_registered_model("m")
    client.create_registered_model("other")
    assert read_aliases(database, "m") == {}
    for alias, version in (("candidate", "1"), ("live", "2")):
        client.create_model_version("m", str(tmp_path))
        client.set_registered_model_alias("m", alias, version)
    assert read_aliases(database, "m") == {"candidate": "1", "live": "2"}
    client.delete_model_version("m", "1")
    assert read_aliases(database, "m") == {"live": "2"}
    assert client.get_registered_model("m").aliases == {"live": 2}


def test_tags_and_parameters_of_a_version_are_those_that_mlflow_has(
    client: Any, registry: RegistrySettings, database: Path, tmp_path: Path
) -> None:
    run = client.create_run(client.create_experiment("e")).info.run_id
    client.log_param(run, "depth", "3")
    for name in (registry.model, "other"):
        client.create_registered_model(name)
        client.create_model_version(name, str(tmp_path), run, tags={"of": name, "empty": ""})
    models, number = ModelRegistry(registry), "1"
    client.set_model_version_tag(registry.model, number, "of", "new")
    told = client.get_model_version(registry.model, number)
    assert read_version(database, registry.model, number) == (
        *(run, client.get_model_version_download_uri(registry.model, number), told.creation_timestamp),
        *(told.tags, client.get_run(run).data.params),
    )
    assert (models.tags(number), models.params(number)) == ({"of": "new", "empty": ""}, {"depth": "3"})
    client.delete_model_version(registry.model, number)
    assert read_version(database, registry.model, number) is None


def test_a_version_without_a_run_or_that_is_not_there_is_left_to_mlflow(
    client: Any, registry: RegistrySettings, database: Path, tmp_path: Path
) -> None:
    client.create_registered_model(registry.model)
    client.create_model_version(registry.model, str(tmp_path), tags={"a": "b"})
    assert read_version(database, registry.model, "1") is None
    assert ModelRegistry(registry).tags("1") == {"a": "b"}
    with pytest.raises(MlflowException, match="not found"):
        ModelRegistry(registry).tags("2")


@pytest.mark.parametrize("number", ["1.0", " 1", "+1", "1e0", "\u0661"])
def test_what_is_no_number_of_a_version_is_none_of_any(
    client: Any, registry: RegistrySettings, database: Path, tmp_path: Path, number: str
) -> None:
    run = client.create_run(client.create_experiment("e")).info.run_id
    client.create_registered_model(registry.model)
    client.create_model_version(registry.model, str(tmp_path), run)
    assert read_version(database, registry.model, number) is None


def test_mlflow_has_nothing_to_do_with_tables_that_the_pinned_one_has_made(database: Path) -> None:
    assert not needs_mlflow(database)


def test_mlflow_is_needed_as_long_as_a_run_is_under_way(client: Any, database: Path) -> None:
    run = client.create_run(client.create_experiment("e")).info.run_id
    assert needs_mlflow(database)
    client.set_terminated(run)
    assert not needs_mlflow(database)
