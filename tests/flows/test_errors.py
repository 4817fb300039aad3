"""How flows stop on an expected error."""

import pytest
from metaflow.exception import MetaflowException

from flows.steps import REASON_VARIABLE
from flows.steps.errors import FlowStopped, stop_with_one_sentence


def test_an_expected_error_stops_a_flow_with_its_sentence_alone():
    with pytest.raises(FlowStopped, match=r"^the source is away$") as stopped, stop_with_one_sentence(OSError):
        raise OSError("the source is away")
    assert isinstance(stopped.value, MetaflowException)


def test_an_unexpected_error_keeps_its_traceback():
    with pytest.raises(KeyError), stop_with_one_sentence(OSError):
        raise KeyError("x")


def test_whoever_started_the_flow_finds_the_sentence_in_the_file_that_it_named(tmp_path, monkeypatch):
    monkeypatch.setenv(REASON_VARIABLE, str(tmp_path / "reason.txt"))
    with pytest.raises(FlowStopped), stop_with_one_sentence(OSError):
        raise OSError("the source is away")
    assert (tmp_path / "reason.txt").read_text() == "the source is away"
