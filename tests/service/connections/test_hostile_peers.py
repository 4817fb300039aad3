"""A sample of `benchmarks/faults/connections/hostile_peers.py`: every kind of hostile peer, a few at a time."""

import asyncio
from pathlib import Path
from typing import Any

import psutil
import pytest

from benchmarks.faults.connections import hostile_peers, hostile_seats
from tests.helpers.servers import local_service
from tests.helpers.servers.raw_http import KEY, PATIENCE, run_impatient_server

SEATS, SECONDS = 70, 3.0

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # BentoML's use of pydantic


@pytest.mark.slow
@pytest.mark.alone
def test_hostile_peers_take_nothing_from_probes_and_good_clients(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(hostile_seats, "DRIP_SECONDS", PATIENCE / 10)
    local_service.deploy_version(tmp_path, "1")
    with run_impatient_server(tmp_path, max_connections=100, keep_alive_seconds=30) as port:
        watch, held = asyncio.run(attack_and_watch(port))
    assert watch.failures == []
    assert all(watch.milliseconds[kind] for kind in ("probe", "record", "list"))
    assert set(held) == set(hostile_seats.MISDEEDS)
    assert all(connections > SEATS // 7 for connections, _ in held.values())
    assert max(longest for _, longest in held.values()) < SECONDS


async def attack_and_watch(port: int) -> tuple[hostile_peers.Watch, dict[str, tuple[int, float]]]:
    return await asyncio.gather(
        hostile_peers.watch_service(port, psutil.Process(), SECONDS, KEY),
        hostile_seats.take_seats(port, SEATS, SECONDS),
    )
