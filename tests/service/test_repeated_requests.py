"""Requests with idempotency keys while workers are killed: whatever clients send again, each is logged once."""

import contextlib
import random
import threading
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from operator import itemgetter
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from penumbra.logs.append_log import read_entries
from problem.schema import EXAMPLE
from tests.helpers.servers import local_service

N_KEYS, N_RECORDS, SECONDS, ANSWERS_PER_KILL, MIN_KILLS = 200, 40, 120.0, 30, 3


def ask_until_answered(address: str, number: int) -> Any:
    """Send a record, or each fifth time a list, from several connections until there is an answer; returns it."""
    body: Any = [EXAMPLE] * N_RECORDS if number % 5 == 0 else EXAMPLE
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        try:
            with httpx.Client(base_url=address, trust_env=False, timeout=10, verify=False) as http:
                answer = http.post("/predict", json=body, headers={"idempotency-key": f"request {number}"})
        except httpx.TransportError:
            continue
        if answer.status_code == 200:
            return answer.json()
        assert answer.status_code in (409, 503), answer.text
    pytest.fail("no answer in time")


def kill_workers(pid: int, is_over: threading.Event, answers: list[Any], killed: list[int]) -> None:
    """Kill one each time that so many more requests are answered: on a slow machine workers answer some, too."""
    while not is_over.wait(0.01):
        if len(answers) >= ANSWERS_PER_KILL * (len(killed) + 1):
            with contextlib.suppress(psutil.NoSuchProcess, IndexError):
                worker = random.choice(local_service.find_workers(pid))
                worker.kill()
                killed.append(worker.pid)


@pytest.mark.slow
def test_whatever_is_killed_each_request_is_logged_once_and_each_client_gets_that_answer(tmp_path: Path) -> None:
    local_service.deploy_version(tmp_path, "1", baseline=0.2)
    is_over, killed, answers = threading.Event(), list[int](), list[tuple[int, Any]]()
    with local_service.start_server(tmp_path, service__workers=2) as (process, http):
        local_service.wait_until(lambda: http.get("/readyz").status_code == 200, seconds=60)
        address = str(http.base_url)
        killer = threading.Thread(target=kill_workers, args=(process.pid, is_over, answers, killed))
        killer.start()
        try:
            with ThreadPoolExecutor(8) as threads:
                asked = [number for number in range(N_KEYS) for _ in range(2)]  # twice, at about the same time
                done = threads.map(lambda number: answers.append((number, ask_until_answered(address, number))), asked)
                assert len(list(done)) == len(asked)
        finally:
            is_over.set()
            killer.join()
    logged = defaultdict(list)
    for entry in read_entries(tmp_path / "predictions"):
        key, _, position = entry["request"].partition("/")
        logged[key].append((int(position), entry["id"]))
    assert (len(logged), len(killed) >= MIN_KILLS) == (N_KEYS, True)
    by_request = [[name for _, name in sorted(entries)] for entries in logged.values()]
    assert all(len(set(dict(entries))) == len(entries) for entries in logged.values())
    given = [
        [each["prediction_id"] for each in (answer if isinstance(answer, list) else [answer])]
        for _, answer in sorted(answers, key=itemgetter(0))
    ]
    assert given[::2] == given[1::2]
    assert sorted(given[::2]) == sorted(by_request)
