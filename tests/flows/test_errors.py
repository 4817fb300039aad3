"""How flows stop on an expected error."""

import sys

import pytest
from metaflow.exception import METAFLOW_EXIT_DISALLOW_RETRY, MetaflowException

from flows.steps import REASON_VARIABLE
from flows.steps.errors import FlowRefused, FlowStopped, end_refused_pods, stop_with_one_sentence
from penumbra.core.problem import ProblemError
from penumbra.core.settings import SettingsError
from penumbra.training.rejection import TrainingRefused
from tests.helpers.flow_workspace import Workspace


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


@pytest.mark.parametrize("refusal", [SettingsError, ProblemError, TrainingRefused])
def test_what_another_attempt_does_not_mend_is_told_from_what_it_may(refusal):
    with pytest.raises(FlowRefused, match=r"^no$"), stop_with_one_sentence(ValueError):
        raise refusal("no")
    with pytest.raises(FlowStopped) as stopped, stop_with_one_sentence(ValueError):
        raise ValueError("away")
    assert not isinstance(stopped.value, FlowRefused)


def end_process(error):
    """End as Metaflow does after an error."""
    with end_refused_pods():
        try:
            raise error
        except MetaflowException:
            sys.exit(1)


@pytest.mark.parametrize(
    ("error", "is_pod", "code"),
    [
        (FlowRefused("no"), True, METAFLOW_EXIT_DISALLOW_RETRY),
        (FlowRefused("no"), False, 1),
        (FlowStopped("away"), True, 1),
    ],
)
def test_the_pod_of_a_refused_step_ends_by_a_code_of_its_own(monkeypatch, error, is_pod, code):
    if is_pod:
        monkeypatch.setenv("ARGO_WORKFLOW_NAME", "penumbra-train-1")
    with pytest.raises(SystemExit) as end:
        end_process(error)
    assert end.value.code == code


@pytest.mark.slow
def test_the_task_of_a_flow_with_a_wrong_setting_ends_by_that_code(tmp_path, monkeypatch):
    monkeypatch.setenv("ARGO_WORKFLOW_NAME", "penumbra-promote-1")
    space = Workspace(tmp_path)
    said, code = space.run_unchecked(*space.flow("promote"), promotion__loss="guess")
    assert "promotion.loss" in said
    assert ("This failed task will not be retried." in said, code) == (True, 1)
