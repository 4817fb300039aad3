"""MLflow, with a database in SQLite."""

import math

import pytest
from mlflow.exceptions import MlflowException

from penumbra.registry.models import ModelRegistry


@pytest.fixture
def client(registry):
    return ModelRegistry(registry).client


@pytest.fixture
def run(client):
    return client.create_run(client.create_experiment("guesses")).info.run_id


def test_mlflow_cuts_a_long_parameter_without_a_word(client, run):
    client.log_param(run, "batches", "x" * 6001)
    assert len(client.get_run(run).data.params["batches"]) == 6000


def test_mlflow_cuts_a_long_tag_without_a_word(client, run):
    client.set_tag(run, "batches", "x" * 8001)
    assert len(client.get_run(run).data.tags["batches"]) == 8000


def test_mlflow_calls_the_larger_of_two_values_at_one_time_the_latest(client, run):
    for value in (2.0, 1.0):
        client.log_metric(run, "loss", value, timestamp=1_700_000_000_000, step=0)
    assert client.get_run(run).data.metrics["loss"] == 2.0


def test_mlflow_turns_infinity_into_the_largest_number(client, run):
    client.log_metric(run, "loss", math.inf)
    assert client.get_run(run).data.metrics["loss"] == pytest.approx(1.797e308, rel=1e-3)


@pytest.fixture
def two_versions(client, tmp_path):
    client.create_registered_model("m")
    for version in ("1", "2"):
        client.create_model_version("m", str(tmp_path))
        client.set_registered_model_alias("m", "live", version)


@pytest.mark.usefixtures("two_versions")
def test_mlflow_moves_an_alias_whatever_it_named_before(client):
    assert str(client.get_model_version_by_alias("m", "live").version) == "2"


@pytest.mark.usefixtures("two_versions")
def test_mlflow_takes_the_alias_away_with_the_version(client):
    client.delete_model_version("m", "2")
    with pytest.raises(MlflowException, match="alias live not found"):
        client.get_model_version_by_alias("m", "live")


@pytest.mark.usefixtures("two_versions")
def test_mlflow_never_gives_the_number_of_a_deleted_version_again(client, tmp_path):
    client.delete_model_version("m", "1")
    assert str(client.create_model_version("m", str(tmp_path)).version) == "3"
