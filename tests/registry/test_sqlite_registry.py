"""What is read of a registry in SQLite without MLflow, beside what MLflow says of it."""

from pathlib import Path
from typing import Any

import pytest

from penumbra.core.settings import RegistrySettings
from penumbra.registry.models import ModelRegistry
from penumbra.registry.sqlite_registry import get_database_path, needs_mlflow, read_aliases


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


def test_mlflow_has_nothing_to_do_with_tables_that_the_pinned_one_has_made(database: Path) -> None:
    assert not needs_mlflow(database)


def test_mlflow_is_needed_as_long_as_a_run_is_under_way(client: Any, database: Path) -> None:
    run = client.create_run(client.create_experiment("e")).info.run_id
    assert needs_mlflow(database)
    client.set_terminated(run)
    assert not needs_mlflow(database)
