"""The matrix: problems of every task that aren't the example, each through the whole loop over real processes.

OWN_DATA in the environment names some of them, with commas between; otherwise all are run.
"""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from benchmarks.own_data.__main__ import AT_ONCE
from benchmarks.own_data.loop import NAMES, run_loop

CHOSEN = [name for name in os.environ.get("OWN_DATA", "").split(",") if name] or NAMES

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def loops(tmp_path_factory: pytest.TempPathFactory):
    """By the name of a problem: the targets of its loop."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(pool.map(lambda name: (name, run_loop(name, tmp_path_factory.mktemp(name) / "project")), CHOSEN))


@pytest.mark.parametrize("name", CHOSEN)
def test_the_whole_loop_runs_on_a_problem_that_is_not_the_example(loops, name):
    faults = [f"{target.name}: {target.fault}" for target in loops[name] if target.fault]
    assert not faults, "\n\n".join(faults)
