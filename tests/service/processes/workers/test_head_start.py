"""What the worker host loads before it forks: what workers need, nothing large in vain, no thread that they miss."""

import os
import signal
import subprocess
import sys

import pytest

from penumbra.core.settings import PROJECT_ROOT
from service.processes.workers.head_start import WaitingHost
from service.processes.workers.supervisor import signal_group
from tests.helpers.servers.processes import run_python

pytestmark = pytest.mark.slow

CODE = """
from service.processes.workers import head_start
head_start.load_libraries()
import sys, service.service_factory
from penumbra.core.system.process_tree import list_lost_threads
print(sorted({'aiohttp', 'circus', 'opentelemetry', 'problem', 'sqlalchemy'} & set(sys.modules)), list_lost_threads())
"""


def test_the_host_loads_nothing_in_vain_and_starts_no_thread_that_a_worker_would_miss() -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(PROJECT_ROOT)}
    command = [sys.executable, "-W", "ignore", "-c", CODE]
    done = subprocess.run(command, env=environment, cwd=PROJECT_ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] set()"


def test_schemas_in_workers_make_tables_of_databases() -> None:
    code = """
import dataframely
class Row(dataframely.Schema):
    a = dataframely.Int64()
import sqlalchemy
print(repr(Row.to_sqlalchemy_columns(sqlalchemy.create_engine("sqlite://").dialect)[0].type))
"""
    assert run_python(CODE + code)[-1] == "BigInteger()"


def test_a_host_that_does_not_read_a_large_environment_holds_nobody_up() -> None:
    host = WaitingHost()
    signal_group(host._process, signal.SIGSTOP)
    process = host.release({"LARGE": "x" * 5_000_000}, [0, 0])
    assert process.poll() is None
    signal_group(process, signal.SIGKILL)
    host._process.wait()
