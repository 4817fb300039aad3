"""`penumbra report-change` writes a report whatever happens; its exit code tells faults from what is out of reach."""

from pathlib import Path
from typing import Any, NoReturn

import pytest

from penumbra.cli import change_run
from penumbra.data.source_reader import SourceFailed
from penumbra.training.rejection import TrainingRefused
from tests.helpers.command_line import run_command_line


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Lets the trial end with an error."""

    def end_with(error: Exception, cause: Exception | None = None) -> None:
        def fail(*_: object) -> NoReturn:
            raise error from cause

        monkeypatch.setattr(change_run, "try_change", fail)

    return end_with


def test_a_source_out_of_reach_is_reported_and_no_failure(refuse: Any, tmp_path: Path) -> None:
    refuse(SourceFailed("batches() fails: no password"), ConnectionError())
    done = run_command_line("report-change", "--out", str(tmp_path / "new/report.md"))
    assert (done.exit_code, done.stdout) == (0, "")
    assert "the source can't be asked from here" in (tmp_path / "new/report.md").read_text()


def test_what_cannot_be_trained_is_reported_and_a_failure(refuse: Any, tmp_path: Path) -> None:
    refuse(TrainingRefused("all rows have the outcome False; see db://me:secret@host/x"))
    done = run_command_line("report-change", "--out", str(tmp_path / "report.md"))
    assert (done.exit_code, done.stderr.splitlines()[-1]) == (
        1,
        "all rows have the outcome False; see db://me:***@host/x",
    )
    assert "**This can't be trained**" in (tmp_path / "report.md").read_text()


def test_a_candidate_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = run_command_line("report-change", "--candidate", "oracle")
    assert done.exit_code == 1
    assert "--candidate names oracle: problem/candidates.py has " in done.stdout


def test_an_unknown_candidate_of_the_settings_is_told_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENUMBRA_TRAINING__CANDIDATES", "oracle")
    done = run_command_line("report-change")
    assert "training.candidates names oracle: problem/candidates.py has " in done.stdout


def test_a_file_that_cannot_be_written_is_said_before_anything_is_trained(refuse: Any, tmp_path: Path) -> None:
    refuse(AssertionError("nothing is tried"))
    (tmp_path / "file").touch()
    done = run_command_line("report-change", "--out", str(tmp_path / "file/report.md"))
    assert (done.exit_code, "Exists" in done.stderr or "exists" in done.stderr) == (1, True)


def test_a_file_that_may_not_be_written_is_said_before_anything_is_trained(refuse: Any) -> None:
    refuse(AssertionError("nothing is tried"))
    done = run_command_line("report-change", "--out", "/proc/report.md")
    assert (done.exit_code, "/proc/report.md" in done.stderr) == (1, True)


def test_an_error_that_nobody_foresaw_has_its_report_too(refuse: Any, tmp_path: Path) -> None:
    refuse(ZeroDivisionError("db://me:secret@host/x"))
    done = run_command_line("report-change", "--out", str(tmp_path / "report.md"))
    reason = "ZeroDivisionError: db://me:***@host/x (the traceback is in the output of the command)"
    assert (done.exit_code, done.stderr.splitlines()[-1]) == (1, reason)
    assert ("Traceback (most recent call last)" in done.stderr, "secret" in done.stderr) == (True, False)
    assert reason in (tmp_path / "report.md").read_text()


def test_only_a_file_can_be_posted() -> None:
    done = run_command_line("report-change", "--post")
    assert (done.exit_code, "--post needs --out" in done.stderr) == (2, True)
