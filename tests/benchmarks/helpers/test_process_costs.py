"""What a command costs is measured with all that it starts."""

import json

import pytest

from tests.helpers.servers.processes import run_python

OUTLIVED = """
import os, time
out, into = os.pipe()
if os.fork():
    os.read(out, 1)
else:
    while time.process_time() < 0.3:
        pass
    os.write(into, b".")
    time.sleep(60)
"""


@pytest.mark.slow
def test_a_process_that_outlives_the_command_is_counted_and_ended():
    code = "import json, sys; from benchmarks.helpers.process_costs import measure_command as m; "
    code += f"cost = m([sys.executable, '-c', {OUTLIVED!r}]); print(json.dumps([cost.seconds, cost.cpu_seconds]))"
    seconds, cpu_seconds = json.loads(run_python(code)[-1])
    assert cpu_seconds >= 0.3
    assert seconds < 60
