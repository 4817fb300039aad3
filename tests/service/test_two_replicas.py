"""Two real services with folders of their own, and a store that they share."""

import datetime as dt
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from penumbra.core.settings import load_settings
from penumbra.logs.replicas.log_union import find_logged_prediction, read_coverage
from penumbra.registry.rollback import roll_back_live
from problem.schema import EXAMPLE
from tests.helpers.logs.replica_logs import make_replica, read_union
from tests.helpers.servers import local_service
from tests.helpers.servers.local_service import deploy_version, make_service_environment, wait_until

pytestmark = pytest.mark.slow
SHIP_MINUTES = "0.02"  # of the second of two replicas, 60: it ships nothing before it ends


def start(folder: Path, state: str, ship_minutes: str) -> Any:
    """A service that has had versions 1 and 2, whose registry is away."""
    settings = {"cluster__state": state, "cluster__ship_minutes": ship_minutes, "shadow__enabled": "false"}
    return local_service.start_server(folder, registry__tracking="http://127.0.0.1:9", **settings)


@pytest.fixture
def replicas(tmp_path: Path, bucket: str) -> Iterator[list[tuple[Any, httpx.Client]]]:
    for name in "ab":
        deploy_version(tmp_path / name, "1")
        deploy_version(tmp_path / name, "2", seed=2)
    with start(tmp_path / "a", bucket, SHIP_MINUTES) as one, start(tmp_path / "b", bucket, "60") as other:
        for _, http in (one, other):
            wait_until(lambda http=http: http.get("/readyz").status_code == 200, 30)  # type: ignore[misc]
        yield [one, other]


def ask(http: httpx.Client, count: int) -> list[str]:
    return [http.post("/predict", json=EXAMPLE).json()["prediction_id"] for _ in range(count)]


def test_nothing_is_lost_of_two_replicas_of_which_one_is_killed_and_a_rollback_reaches_both(
    tmp_path: Path, bucket: str, replicas: list[tuple[Any, httpx.Client]]
) -> None:
    (_, one), (second, other) = replicas
    reader = make_replica(tmp_path / "reader", bucket)
    shipped, kept = ask(one, 5), ask(other, 7)
    wait_until(lambda: set(shipped) <= set(read_union(reader)), 60)
    assert not set(kept) & set(read_union(reader))
    assert other.post("/feedback", json={"prediction_id": shipped[0], "arr_delay": 3}).status_code == 200

    environ = make_service_environment(tmp_path / "a")
    settings = load_settings(environ={**environ, "PENUMBRA_CLUSTER__STATE": bucket})
    began = time.monotonic()
    roll_back_live(settings, "it errs")
    wait_until(lambda: other.post("/predict", json=EXAMPLE).json()["model_version"] == "1", 20)
    assert time.monotonic() - began < 5

    answered = ask(other, 20)
    wait_until(lambda: any(each.unshipped.get("predictions", 0) >= 28 for each in read_coverage(reader).heartbeats), 60)  # type: ignore[union-attr]
    second.send_signal(signal.SIGKILL)
    second.wait(30)
    later = read_coverage(reader, dt.datetime.now(dt.UTC) + dt.timedelta(hours=4))
    assert later
    (lost,) = [each for each in later.list_lost() if each.unshipped.get("predictions", 0) >= 28]
    assert "on its volume only" in later.list_alarms()[0]
    with start(tmp_path / "b", bucket, SHIP_MINUTES):  # on its volume
        wait_until(lambda: {*kept, *answered} <= set(read_union(reader)), 60)
    assert find_logged_prediction(reader, kept[0])
    assert lost.replica not in [each.replica for each in read_coverage(reader).heartbeats]  # type: ignore[union-attr]
