"""What the worker host loads before it forks: what workers need, nothing large in vain, no thread that they miss."""

import os
import subprocess
import sys

import pytest

from penumbra.core.settings import PROJECT_ROOT

pytestmark = pytest.mark.slow

CODE = """
from service.processes import head_start
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
