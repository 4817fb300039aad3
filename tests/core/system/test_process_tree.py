import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from penumbra.core.system.process_tree import kill_process_tree, list_lost_threads
from tests.helpers.servers.processes import is_alive

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

# Starts two processes that go to sessions of their own, one of which loses its parent, and prints their ids.
PARENT_SCRIPT = """
import os, time
from penumbra.core.system import process_tree

def start(name, orphaned):
    if child := os.fork():
        return child
    os.setsid()
    if orphaned and os.fork():
        os._exit(0)
    print(name, os.getpid(), flush=True)
    os.write(told, b"1")
    time.sleep(60)

tells, told = os.pipe()
process_tree.adopt_orphans()
kept = start("child", False)
os.waitpid(start("orphan", True), 0)
os.read(tells, 1), os.read(tells, 1)
{then}
time.sleep(60)
"""


@contextlib.contextmanager
def start_parent(then: str = "") -> Iterator[tuple[subprocess.Popen[str], dict[str, int]]]:
    command = [sys.executable, "-c", PARENT_SCRIPT.format(then=then)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        started = dict[str, int]()
        try:  # what fails on the way ends them, too: a test would wait for the parent
            assert parent.stdout
            for name, pid in (parent.stdout.readline().split() for _ in range(2)):
                started[name] = int(pid)
            yield parent, started
        finally:
            for pid in (parent.pid, *started.values()):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def wait_until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_process_ends_with_what_it_started_in_whatever_session() -> None:
    with start_parent() as (parent, started):
        assert kill_process_tree(parent) == -signal.SIGKILL
        wait_until(lambda: not any(map(is_alive, started.values())))


def test_adopted_orphans_are_ended_and_own_children_kept() -> None:
    with start_parent("process_tree.end_orphans([kept])") as (_, started):
        wait_until(lambda: not is_alive(started["orphan"]))
        assert is_alive(started["child"])


@pytest.mark.slow
def test_threads_that_end_while_they_are_listed_are_left_out():
    over = threading.Event()

    def start_short_threads() -> None:
        while not over.is_set():
            threading.Thread(target=int).start()

    starter = threading.Thread(target=start_short_threads)
    starter.start()
    try:
        for _ in range(2_000):
            list_lost_threads()
    finally:
        over.set()
        starter.join()
