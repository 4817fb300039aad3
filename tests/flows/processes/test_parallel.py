"""Jobs dealt to tasks that run side by side."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.steps.processes.parallel import distribute_jobs, split_jobs
from tests.helpers.servers.processes import run_python

LIST_THREADS = """
import MODULE
from penumbra.core.system.process_tree import list_lost_threads
print(sorted(list_lost_threads()))
"""


def test_the_slowest_is_dealt_with_the_fastest():
    assert distribute_jobs(["forest", "deep", "shallow", "linear"], 2) == [["forest", "linear"], ["deep", "shallow"]]


@given(st.lists(st.text(), unique=True), st.integers(1, 8))
def test_every_name_is_dealt_once_and_no_lane_is_empty(names, lanes):
    dealt = distribute_jobs(names, lanes)
    assert sorted(name for lane in dealt for name in lane) == sorted(names)
    assert all(dealt)


@given(st.lists(st.text(), unique=True), st.integers(1, 8))
def test_lanes_differ_by_at_most_one_name(names, lanes):
    sizes = [len(lane) for lane in distribute_jobs(names, lanes)] or [0]
    assert max(sizes) - min(sizes) <= 1


@given(st.lists(st.text(), unique=True, min_size=8), st.integers(1, 8))
def test_neighbours_stay_together_where_jobs_are_split(jobs, lanes):
    split = split_jobs(jobs, lanes)
    assert [job for lane in split for job in lane] == jobs
    assert len(split) == lanes
    assert max(map(len, split)) - min(map(len, split)) <= 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "module",
    [
        "flows.steps.score.process_pool",
        "penumbra.simulation.backtest.trials",
        "benchmarks.faults.corruption.flipped_bytes",
    ],
)
def test_a_module_that_is_imported_once_for_forks_starts_no_thread_that_they_would_miss(module):
    assert run_python(LIST_THREADS.replace("MODULE", module)) == ["[]"]
