"""The client's limits, with a real process of 16 threads at the other end: tests/helpers/servers/threaded_scorer.py."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from penumbra.core.settings import ShadowSettings, load_settings
from service.processes.workers.process_control import IDLE_NICENESS
from service.shadow import scorer_client
from service.shadow.scorer_client import ScorerClient, ScoreRequest, ScorerTimeout
from tests.helpers.servers import threaded_scorer
from tests.helpers.servers.local_service import wait_until
from tests.helpers.servers.processes import is_alive

pytestmark = pytest.mark.slow
LIMIT = 0.3  # seconds for a request


@pytest.fixture(params=[0])
def limits(request: pytest.FixtureRequest) -> ShadowSettings:
    shadow = load_settings(environ={}).shadow
    return shadow.model_copy(update={"timeout_seconds": LIMIT, "memory_mb": 100, "niceness": request.param})


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limits: ShadowSettings) -> Iterator[ScorerClient]:
    monkeypatch.setattr(scorer_client, "SCORER_MODULE", threaded_scorer.__name__)
    made = ScorerClient(tmp_path / "pid", limits)
    wait_until(made.is_ready, 30)
    yield made
    made.close()


@contextlib.contextmanager
def keep_busy(core: int) -> Iterator[None]:
    command = f"import os\nos.sched_setaffinity(0, [{core}])\nwhile True: pass"
    with subprocess.Popen([sys.executable, "-c", command]) as hog:
        try:
            yield
        finally:
            hog.kill()


@pytest.mark.parametrize("fault", [threaded_scorer.BURN, threaded_scorer.HANG])
def test_16_threads_that_burn_or_hang_are_timed_out_by_the_clock(client: ScorerClient, fault: int) -> None:
    began = time.monotonic()
    client.send_request(ScoreRequest("", fault, 0))
    with pytest.raises(ScorerTimeout, match=r"it took \d+\.\d s, at most 0.3 s are allowed"):
        wait_until(client.poll_results, 30)
    assert LIMIT < time.monotonic() - began < 10


def test_a_model_that_hangs_while_it_loads_is_timed_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limits: ShadowSettings
) -> None:
    monkeypatch.setattr(scorer_client, "SCORER_MODULE", threaded_scorer.__name__)
    monkeypatch.setattr(scorer_client, "LOAD_TIMEOUT_SECONDS", LIMIT)
    client = ScorerClient(tmp_path / "pid", limits)
    os.kill(client.pid, signal.SIGSTOP)
    with pytest.raises(ScorerTimeout):
        wait_until(client.is_ready, 30)
    assert not is_alive(client.pid)


@pytest.mark.alone
@pytest.mark.parametrize("limits", [IDLE_NICENESS], indirect=True, ids=["idle"])
def test_waiting_for_a_processor_at_the_lowest_priority_is_no_fault_of_16_threads(client: ScorerClient) -> None:
    core = min(os.sched_getaffinity(0))
    os.sched_setaffinity(client.pid, [core])
    with keep_busy(core):
        client.send_request(ScoreRequest("", threaded_scorer.WORK, 0))
        end, results = time.monotonic() + 5 * LIMIT, None
        while time.monotonic() < end and not results:
            results = client.poll_results()
            time.sleep(0.02)
    wait_until(lambda: results or client.poll_results(), 30)


def test_a_process_that_left_group_and_session_ends_with_the_model_that_started_it(
    client: ScorerClient, tmp_path: Path
) -> None:
    client.send_request(ScoreRequest("", threaded_scorer.FORK, 0))
    wait_until(client.poll_results)
    wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    client.close()
    assert not is_alive(int((tmp_path / "pid").read_text()))


@pytest.mark.parametrize(
    ("limits", "policy"), [(0, "OTHER"), (5, "OTHER"), (IDLE_NICENESS, "IDLE")], indirect=["limits"]
)
def test_a_model_gives_way_as_far_as_it_is_set_and_at_19_to_all(
    tmp_path: Path, limits: ShadowSettings, policy: str
) -> None:
    client = ScorerClient(tmp_path, limits)
    try:
        assert os.getpriority(os.PRIO_PROCESS, client.pid) == limits.niceness
        assert os.sched_getscheduler(client.pid) == getattr(os, f"SCHED_{policy}")
    finally:
        client.close()
