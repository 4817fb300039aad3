"""The harness that kills each operation at every step, on the operation that takes least."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.faults.crashes.killed_operation import OPERATIONS
from penumbra.core.settings import PROJECT_ROOT


@pytest.mark.slow
@pytest.mark.parametrize(
    ("operation", "moments", "fewest"),
    [("rollback_alone", {"before replace", "after write"}, 20), ("index", {"before commit", "after commit"}, 2)],
)
def test_what_is_killed_anywhere_is_finished_by_the_next_process(
    operation: str, moments: set[str], fewest: int, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "benchmarks.faults.crashes.killed_operation", operation, tmp_path / "made", "1"]
    done = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    assert (found["lost"], found["twice"]) == ([], [])
    assert len(found["kills"]) >= fewest
    assert moments <= {name.split(", ")[1] for name in found["kills"]}


def test_every_step_of_the_loop_is_among_the_operations() -> None:
    steps = {"ingest", "train", "promote", "approve", "rollback", "archive", "index", "pick", "answer"}
    assert steps | {"monitor", "monitor_backlog"} <= OPERATIONS.keys()
