"""What the flows share."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from metaflow.exception import MetaflowException

from flows.steps.common import FlowStopped, distribute_jobs, stop_flow_on


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


def test_an_expected_error_stops_a_flow_with_its_sentence_alone():
    with pytest.raises(FlowStopped, match=r"^the source is away$") as stopped, stop_flow_on(OSError):
        raise OSError("the source is away")
    assert isinstance(stopped.value, MetaflowException)


def test_an_unexpected_error_keeps_its_traceback():
    with pytest.raises(KeyError), stop_flow_on(OSError):
        raise KeyError("x")
