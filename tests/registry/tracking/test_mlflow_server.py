"""The registry of a cluster: MLflow's server on a real PostgreSQL, its artifacts in a store of S3."""

import datetime as dt
import threading
from pathlib import Path

import pytest

from penumbra.core.loading.problem_loading import load_problem
from penumbra.core.settings import RegistrySettings
from penumbra.registry import REGISTRY_ENVIRONMENT, aliases, pointers
from penumbra.registry.history.ledger import Ledger
from penumbra.registry.models import REGISTRY_ERRORS, ModelRegistry
from penumbra.registry.tracking.database import create_database
from penumbra.registry.tracking.run_records import FinishedRun
from service.processes.deployment.version_deployment import deploy_live
from tests.helpers.files import read_files
from tests.helpers.servers import local_service
from tests.helpers.servers.mlflow_server import launch_mlflow

pytestmark = pytest.mark.slow
LONG_LIST = [f"2024-{number:05}" for number in range(800)]


@pytest.fixture(scope="module")
def server(postgres):
    database = postgres.create_database("served")
    create_database(database)
    with launch_mlflow(database) as launched:
        launched.wait_until_ready()
        yield launched


@pytest.fixture
def models(server, bucket):
    """A registry with two versions of different bundles."""
    name = bucket.rpartition("/")[2]
    registry = RegistrySettings(tracking=server.address, artifacts=f"{bucket}/models", model=name, signed_by=[])
    return ModelRegistry(registry)


@pytest.fixture
def versions(models, tmp_path):
    return [register(models, tmp_path, seed) for seed in (1, 2)]


def register(models: ModelRegistry, folder: Path, seed: int) -> str:
    bundle = local_service.make_bundle(folder / f"bundle-{seed}", seed)
    run = FinishedRun("train", 1000.0, 1001.5, {"train": LONG_LIST}, {"loss": 0.5}, {"kind": "train"})
    recorded = models.record(run, artifacts={"bundle": bundle}, data_version="d.dir", key=f"k{seed}")
    return models.register(recorded, "bundle", {"fingerprint": f"f{seed}"})


def test_what_is_recorded_and_registered_through_a_server_comes_back_from_the_store(models, versions, tmp_path):
    models.require_writable()
    assert versions == ["1", "2"]
    models.download("2", tmp_path / "back")
    assert read_files(tmp_path / "back") == read_files(tmp_path / "bundle-2")
    assert models.get_bundle_address("2").startswith("s3://")
    assert (models.params("1")["train"], models.find_version_by_fingerprint("f1")) == (str(LONG_LIST), "1")
    assert models.find_version_by_run(models.find_run_id("2")) == "2"


def test_aliases_are_moved_by_a_promotion_and_back_by_a_rollback_through_a_server(models, versions, tmp_path):
    aliases.move_aliases(models, {}, {"live": "1", "candidate": "2"})
    aliases.move_aliases(models, {"live": "1", "candidate": "2"}, {"live": "2", "previous": "1"})
    assert models.aliases() == {"live": "2", "previous": "1"}
    state, ledger = tmp_path / "state", Ledger(tmp_path / "ledger")
    state.mkdir()
    pointers.roll_back_pointers(state, pointers.RollbackPin("1", "2", dt.datetime.now(dt.UTC)))
    aliases.sync_registry(models, state, ledger)
    assert models.aliases() == {"live": "1", "previous": "2"}
    assert pointers.read_rollback_pin(state) is None


def test_while_a_server_is_away_the_service_keeps_what_it_has_and_a_training_waits_to_record_its_run_once(
    server, models, versions, tmp_path, monkeypatch
):
    state, problem = tmp_path / "state", load_problem()
    models.set_alias("live", "1")
    assert deploy_live(models, state, problem) == "1"
    server.stop()
    with monkeypatch.context() as patched:
        for name, value in REGISTRY_ENVIRONMENT.items():
            patched.setenv(name, value)
        with pytest.raises(REGISTRY_ERRORS, match=rf"port={server.port}"):
            deploy_live(models, state, problem)
    assert pointers.read_pointer(state) == "1"
    for name in REGISTRY_ENVIRONMENT:  # commands that other tests have run in this process set it
        monkeypatch.delenv(name, raising=False)
    back = threading.Timer(3.0, server.start)
    back.start()
    recorded = models.record(FinishedRun("train", 0, 1), key="later")
    back.join()
    assert [run.id for run in models.find_latest_runs(5, "tags.`penumbra.key` = 'later'")] == [recorded]
    assert models.client.get_run(recorded).info.status == "FINISHED"
    models.set_alias("live", "2")
    assert deploy_live(models, state, problem) == "2"
