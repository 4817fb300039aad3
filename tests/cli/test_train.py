"""`penumbra train` and `penumbra experiment`: which parts run, in which order."""

import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from penumbra.cli import processes
from penumbra.cli.commands import training
from problem.candidates import CANDIDATES
from tests.helpers.command_line import run_command_line

Steps = list[tuple[str, ...]]


@pytest.fixture
def steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Steps:
    """The parts that ran; each is a stand-in."""
    from flows.steps.doctor import examination
    from flows.steps.train import experiment_run

    ran: Steps = []
    monkeypatch.setenv("PENUMBRA_TRAINING__FOLDER", str(tmp_path))
    monkeypatch.setenv("PENUMBRA_DATA__DERIVED", str(tmp_path))

    def run(flow: str, *options: str, runner: object = None, variables: Mapping[str, str] | None = None) -> str:
        ran.append((flow, *options))
        if flow != "ingest":
            (tmp_path / "receipts").mkdir(exist_ok=True)
            (tmp_path / "receipts/latest.txt").write_text("what another run ended with\n")
        return "" if flow == "ingest" else "version 1 is live\n"

    monkeypatch.setattr(training, "run_flow_process", run)
    monkeypatch.setattr(processes, "run_flow_process", run)
    monkeypatch.setattr(training, "_is_ingested", lambda: False)
    monkeypatch.setattr(training, "_is_trained", lambda settings: False)
    monkeypatch.setattr(examination, "main", lambda with_files: ran.append(("doctor",)))
    monkeypatch.setattr(
        experiment_run, "prepare_ahead", lambda settings, problem, name, folder: ran.append(("prepare", name))
    )
    return ran


def test_the_first_training_is_examined_before_and_no_other(steps: Steps) -> None:
    result = run_command_line("train")
    assert (result.exit_code, result.stdout) == (0, "\nversion 1 is live\n")
    assert steps == [("ingest",), ("doctor",), ("train",)]
    steps.clear()
    run_command_line("train")
    assert steps == [("ingest",), ("train",)]


def test_a_finding_stops_the_first_training(steps: Steps, monkeypatch: pytest.MonkeyPatch) -> None:
    from flows.steps.doctor import examination

    monkeypatch.setattr(examination, "main", lambda with_files: sys.exit(examination.EXIT_FINDINGS))
    assert run_command_line("train").exit_code == 3
    assert steps == [("ingest",)]


def test_a_skipped_doctor_is_told_to_the_flow(steps: Steps) -> None:
    assert run_command_line("train", "--skip-doctor", "--reason", "a trial").exit_code == 0
    assert steps == [("ingest",), ("train", "--doctor=skipped: --skip-doctor", "--reason=a trial")]


def test_what_was_trained_before_is_not_trained_again(steps: Steps, monkeypatch: pytest.MonkeyPatch) -> None:
    run_command_line("train")
    steps.clear()
    monkeypatch.setattr(training, "_is_trained", lambda settings: True)
    assert run_command_line("train").stdout == "\nwhat another run ended with\n"
    assert steps == [("ingest",)]


def test_where_nothing_is_new_no_flow_runs(steps: Steps, monkeypatch: pytest.MonkeyPatch) -> None:
    run_command_line("train")
    steps.clear()
    monkeypatch.setattr(training, "_is_ingested", lambda: True)
    monkeypatch.setattr(training, "_is_trained", lambda settings: True)
    assert (run_command_line("train").exit_code, steps) == (0, [])


def test_an_experiment_with_a_candidate_that_there_is_not_is_refused_before_a_flow_starts(steps: Steps) -> None:
    result = run_command_line("experiment", "no_such")
    assert (result.exit_code, steps) == (1, [])
    assert result.stderr == f"there is no candidate 'no_such': problem/candidates.py has {', '.join(CANDIDATES)}\n"


def test_what_a_killed_experiment_had_prepared_is_removed_by_the_next_one(steps: Steps, tmp_path: Path) -> None:
    left = tmp_path / ".prepared-of-a-killed-one"
    left.mkdir()
    (left / "lock").touch()
    assert run_command_line("experiment", next(iter(CANDIDATES))).exit_code == 0
    assert not [*tmp_path.glob(".prepared-*")]


def test_an_experiment_is_run_with_the_candidate_that_is_named(steps: Steps) -> None:
    name = next(iter(CANDIDATES))
    assert run_command_line("experiment", name).exit_code == 0
    assert steps == [("ingest",), ("prepare", name), ("experiment", f"--only={name}")]


@pytest.mark.parametrize("words", [("train",), ("experiment", next(iter(CANDIDATES)))])
def test_a_command_prints_what_its_own_run_ended_with_though_another_ended_later(
    steps: Steps, words: tuple[str, ...]
) -> None:
    assert run_command_line(*words).stdout == "\nversion 1 is live\n"


def test_where_machines_share_their_state_an_experiment_is_prepared_by_its_flow(
    steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PENUMBRA_CLUSTER__STATE", "s3://bucket/state")
    name = next(iter(CANDIDATES))
    assert run_command_line("experiment", name).exit_code == 0
    assert steps == [("ingest",), ("experiment", f"--only={name}")]


@pytest.mark.parametrize("words", [("train",), ("experiment", next(iter(CANDIDATES)))])
def test_a_loss_that_does_not_fit_the_target_is_refused_before_a_flow_starts(
    steps: Steps, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setenv("PENUMBRA_PROMOTION__LOSS", "absolute_error")
    result = run_command_line(*words)
    assert (result.exit_code, steps) == (1, [])
    assert result.stderr == (
        "environment variable PENUMBRA_PROMOTION__LOSS: promotion.loss = 'absolute_error': the target of "
        "problem/schema.py is classes: expected auto, log_loss or brier\n"
    )
