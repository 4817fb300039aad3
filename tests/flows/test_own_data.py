"""The matrix: problems of every task that aren't the example, each through the whole loop over real processes.

One of each task is run; OWN_DATA in the environment names others, with commas between, or is `all`.
"""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from benchmarks.projects.own_data.__main__ import AT_ONCE
from benchmarks.projects.own_data.loop import NAMES, run_loop
from tests.helpers.programs.forking import find_python

ONE_OF_EACH_TASK = "cancer,tickets,tips"
NAMED = os.environ.get("OWN_DATA") or ONE_OF_EACH_TASK
CHOSEN = NAMES if NAMED == "all" else NAMED.split(",")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def loops(tmp_path_factory: pytest.TempPathFactory):
    """By the name of a problem: the targets of its loop."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        folders = [tmp_path_factory.mktemp(name) / "project" for name in CHOSEN]
        targets = pool.map(run_loop, CHOSEN, folders, [find_python()] * len(CHOSEN))
        return dict(zip(CHOSEN, targets, strict=True))


@pytest.mark.parametrize("name", CHOSEN)
def test_the_whole_loop_runs_on_a_problem_that_is_not_the_example(loops, name):
    faults = [f"{target.name}: {target.fault}" for target in loops[name] if target.fault]
    assert not faults, "\n\n".join(faults)
