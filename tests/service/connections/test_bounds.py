"""How many connections a worker takes, by its settings and by the file handles that it may have."""

import subprocess
import sys

import pytest

from penumbra.core.settings import PROJECT_ROOT

SCRIPT = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
from penumbra.core.settings import load_settings
from service.connections.bounds import ConnectionBounds
made = ConnectionBounds.from_settings(load_settings().service)
print(made.max_connections, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


@pytest.mark.slow
@pytest.mark.parametrize(("soft", "hard", "connections"), [(64, 4000, 1000), (64, 500, 154), (64, 64, 16)])
def test_the_limit_of_handles_is_raised_and_bounds_the_connections(soft: int, hard: int, connections: int) -> None:
    command = [sys.executable, "-c", SCRIPT.format(soft=soft, hard=hard)]
    done = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(connections), str(hard)]
