"""A deployed version that knows where it came from, its service, and a prediction of it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from penumbra.registry.bundles.manifest import read_manifest, write_manifest
from problem.schema import EXAMPLE
from tests.helpers.servers import local_service

FACTS = {
    "candidate": "forest",
    "metrics": {"log_loss": 0.48},
    "settings": {"registry": {"tracking": "postgresql://me:secret@host/db"}},
    "revision": "3f1c2a90",
    "data_version": "afdb6797.dir",
    "train": ["2013-01"],
    "validation": ["2013-02"],
    "test": ["2013-03"],
}


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a deployed version 1 that knows where it came from."""
    folder = tmp_path_factory.mktemp("explain")
    bundle = local_service.make_bundle(folder / "registry/1")
    write_manifest(bundle, {**read_manifest(bundle), **FACTS})
    local_service.deploy_version(folder, "1")
    return folder


@pytest.fixture(scope="module")
def client(deployed: Path) -> Iterator[Any]:
    with local_service.open_test_client(deployed) as http:
        yield http


@pytest.fixture
def name(client: Any) -> str:
    """The id of a new prediction."""
    return str(client.post("/predict", json=EXAMPLE).json()["prediction_id"])
