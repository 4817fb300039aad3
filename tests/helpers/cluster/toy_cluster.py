"""A whole cluster on this machine: object store, PostgreSQL, MLflow's server, Argo with compiled flows, and replicas.

The problem is the made-up orders, of three months with few rows a day.
"""

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from penumbra.cli.processes import NO_CALLS_HOME
from penumbra.cluster.compilation import compile_flows
from penumbra.core.settings import load_settings
from penumbra.core.system.http_client import find_free_port
from tests.helpers.checkout import FLIGHTS
from tests.helpers.cluster.pods import Argo, Process, build_image, start_pod
from tests.helpers.problems.orders import write_orders
from tests.helpers.servers.local_service import wait_until
from tests.helpers.servers.mlflow_server import launch_mlflow
from tests.helpers.servers.object_stores import MotoServer, launch_moto, make_bucket
from tests.helpers.servers.postgres_server import launch_postgres

IMAGE, OLD_IMAGE = "registry.example/penumbra:2", "registry.example/penumbra:1"
MAX_START_SECONDS = 300.0
EXAMPLE = {"at": "2024-03-01T12:00:00", "region": "west", "amount": 20.5, "age": 40, "member": True}
BATCHES = ("2024-01", "2024-02", "2024-03")
ORDERS_SETTINGS = {
    "PENUMBRA_DATA__TODAY": "2024-04-02",
    "PENUMBRA_TRAINING__CANDIDATES": "boosting",
    "PENUMBRA_REGISTRY__MODEL": "orders",
    "PENUMBRA_CLUSTER__PARALLEL_PODS": "1",
}
EXAMPLE_SETTINGS = {"PENUMBRA_CLUSTER__PARALLEL_PODS": "2"}  # as many as run at once on this machine
SOURCE = [("ROWS_PER_DAY = 60", "ROWS_PER_DAY = 30"), ("MONTHS = 6", "MONTHS = 4")]


@dataclass
class ToyCluster:
    """What the tests of a cluster work with.

    Attributes:
        argo: Runs flows.
        manifests: The folder of the compiled flows.
        store: The object store.
        bucket: Its bucket, such as "s3://b1c2".
        variables: The environment variables of the pods, as the manifests have them.
    """

    argo: Argo
    manifests: Path
    store: MotoServer
    bucket: str
    variables: dict[str, str]


class Replica:
    """A pod of the service, on a volume of its own."""

    def __init__(self, cluster: ToyCluster, folder: Path, image: str) -> None:
        """Start it.

        Args:
            cluster: The cluster.
            folder: Has its volume.
            image: The name of its image.
        """
        self.cluster, self.folder, self.image, self.port = cluster, folder, image, find_free_port()
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", trust_env=False, timeout=30)
        self.process = self.start()

    def start(self) -> Process:
        """Run the service, and wait until it answers."""
        port = {"PENUMBRA_SERVICE__PORT": str(self.port)}
        self.process = self.run("-m", "service", **port)
        wait_until(self.is_ready, MAX_START_SECONDS)
        return self.process

    def run(self, *words: str, **variables: str) -> Process:
        """Run Python in a pod with the same volume; what it prints is in the file "log" beside that."""
        self.folder.mkdir(exist_ok=True)
        with (self.folder / "log").open("ab") as log:
            images, environment = self.cluster.argo.images, {**self.cluster.variables, **variables}
            return start_pod(images[self.image], self.folder, ["python", *words], environment, log)

    def kill(self) -> None:
        """Kill its pod."""
        self.process.kill()
        self.process.wait()

    def is_ready(self) -> bool:
        """Say whether it answers requests for predictions."""
        assert self.process.poll() is None, (self.folder / "log").read_text()[-4000:]
        try:
            return self.http.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def predict(self, number: int) -> dict[str, Any]:
        """Send a record; returns the answer."""
        answer = self.http.post("/predict", json={**EXAMPLE, "order_id": number})
        return dict(answer.raise_for_status().json())


@contextlib.contextmanager
def launch_cluster(folder: Path, problem: Path | None = None) -> Iterator[ToyCluster]:
    """Run a cluster for the block.

    Args:
        folder: An empty folder.
        problem: What stands for `problem/`, with settings.toml; the orders by default.

    Yields:
        The cluster, in which no flow has run yet. This process has the settings of its pods.
    """
    variables = dict(EXAMPLE_SETTINGS if problem else ORDERS_SETTINGS)
    problem = problem or _write_problem(folder / "problem")
    images = {name: build_image(folder / f"image{name[-1]}", problem, name[-1] * 40) for name in (IMAGE, OLD_IMAGE)}
    with contextlib.ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        store = stack.enter_context(launch_moto())
        bucket = make_bucket(store, patch)
        database = stack.enter_context(launch_postgres()).create_database("mlflow")
        tracking = stack.enter_context(launch_mlflow(database)).address
        variables |= {
            "PENUMBRA_CLUSTER__STATE": f"{bucket}/state",
            "PENUMBRA_CLUSTER__IMAGE": IMAGE,
            "PENUMBRA_CLUSTER__RETRY_SECONDS": "0.1",
            "PENUMBRA_CLUSTER__SHIP_MINUTES": "0.05",
            "PENUMBRA_SHADOW__NICENESS": "0",  # beside other tests it would get no processor
            "PENUMBRA_DATA__REMOTE": f"{bucket}/data",
            "PENUMBRA_REGISTRY__TRACKING": tracking,
            "PENUMBRA_REGISTRY__ARTIFACTS": f"{bucket}/models",
        }
        for name, value in variables.items():
            patch.setenv(name, value)
        compile_flows(
            load_settings(), folder / "k8s", NO_CALLS_HOME, ["ingest", "train", "monitor", "promote", "score"]
        )
        argo = Argo(folder / "pods", images, store.environ, store.requests)
        yield ToyCluster(argo, folder / "k8s", store, bucket, {**store.environ, **variables})


def _write_problem(folder: Path) -> Path:
    write_orders(folder, source=SOURCE)
    shutil.copy(FLIGHTS / "settings.toml", folder)
    return folder
