"""Records that end the process that scores, or never return: the others get their answers, and the next run ends."""

import os
import shutil
import signal
from pathlib import Path

import polars as pl
import pytest

from flows.steps.score.replaced_processes import PART_PATIENCE, CallTimer, PartTimer, ProcessEnds
from flows.steps.score.score_order import ScoreOrder, begin_tables
from flows.steps.score.scoring import score_share
from penumbra.core.settings import PROJECT_ROOT
from service.inference.blocked_records import fold_events, read_events, record_crashes
from service.inference.scoring_marks import SCORERS_FOLDER
from tests.flows.score.scored_flights import make_flights, make_problem, make_score_settings, read_logged, write_flights
from tests.flows.score.test_score_flow import make_places
from tests.helpers.flow_workspace import Workspace

FATAL_ROW = 77
RULES = '''"""A rule that one record ends its process with."""
import os, signal, time
from penumbra.rules import Review, Rule

class Fatal:
    words = "the flight is 4,321 miles long"
    def test(self, known):
        def test(record, prediction):
            while record["distance"] == 4321:
                {action}
            return False
        return test

RULES = (Rule("fatal", "nobody knows", Fatal(), Review()),)
OBSERVED_DECISIONS = ()
'''


def write_fatal(folder: Path, action: str) -> Path:
    """A table with a row that a rule of the problem in `overlay` does an action for, again and again."""
    shutil.copytree(PROJECT_ROOT / "problem", folder / "workspace/overlay/problem")
    (folder / "workspace/overlay/problem/rules.py").write_text(RULES.format(action=action))
    distance = pl.when(pl.int_range(400) == FATAL_ROW).then(4321).otherwise(700)
    return write_flights(folder / "in.parquet", make_flights(400).with_columns(distance=distance))


def require_blocked(folder: Path, cause: str) -> None:
    """Of the table 399 rows have answers, and the other one's record is blocked for all that could answer it."""
    ((row, (reason,)),) = pl.read_parquet(folder / "out.rejected.parquet")[:, :2].rows()
    assert row == FATAL_ROW
    assert "is blocked for version" in reason
    blocked, _ = fold_events(read_events(folder / "state"))
    assert {each.cause for each in blocked.values()} == {cause}
    assert {version for version, _ in blocked} == {"1", "baseline"}
    assert len(read_logged(folder)) == 399
    assert not [path for path in (folder / "state" / SCORERS_FOLDER).iterdir() if path.name != "lock"]


@pytest.mark.slow
def test_a_record_that_never_returns_is_blocked_and_the_others_are_answered(tmp_path: Path) -> None:
    places, workspace = make_places(tmp_path), Workspace(tmp_path / "workspace")
    write_fatal(tmp_path, "time.sleep(9)")
    command = *workspace.command("score"), str(tmp_path / "in.parquet"), "--out", str(tmp_path / "out.parquet")
    settings = {"score__part_rows": "40", "service__hang_seconds": "0.5"}
    assert "399 of 400 rows answered by version 1" in workspace.run(*command, "--processes=1", **places, **settings)
    require_blocked(tmp_path, "hung")
    assert "all rows are scored" in workspace.run(*command, "--again", **places, **settings)


@pytest.mark.slow
@pytest.mark.parametrize("shares", [1, os.cpu_count()], ids=["several processes", "one process"])
def test_a_record_that_ends_its_process_is_blocked_and_the_others_are_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shares: int
) -> None:
    for name, value in make_places(tmp_path).items():
        monkeypatch.setenv(f"PENUMBRA_{name.upper()}", value)
    source = write_fatal(tmp_path, "os.kill(os.getpid(), signal.SIGSEGV)")
    monkeypatch.syspath_prepend(tmp_path / "workspace/overlay")
    settings = make_score_settings(tmp_path)
    settings = settings.model_copy(update={"registry": settings.registry.model_copy(update={"tracking": ""})})
    asked = ScoreOrder(str(source), str(tmp_path / "out.parquet"))
    scored, refused = score_share(settings, make_problem(), asked, begin_tables(settings, asked), shares)
    assert (scored[0][0].facts.answered, refused) == (399, [])
    require_blocked(tmp_path, "SIGSEGV")


def test_parts_that_are_slow_let_later_ones_take_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    timer, clock = PartTimer(hang_seconds=3), iter([0, 100, 200, 201])
    monkeypatch.setattr("flows.steps.score.replaced_processes.time.monotonic", lambda: next(clock))
    limits = []
    for _ in range(2):
        with timer.limit():
            limits.append(round(signal.getitimer(signal.ITIMER_REAL)[0]))
    assert limits == [PART_PATIENCE * 3, 1000]
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def mark_call(state: Path, record: bytes) -> int:
    """What a process leaves that ended while it scored a record; returns its id."""
    if not (pid := os.fork()):
        CallTimer(state, 60).mark_call("1", [record])
        os._exit(0)
    os.waitpid(pid, 0)
    return pid


@pytest.mark.slow
def test_of_processes_that_end_together_those_that_are_ended_as_another_one_was_have_no_suspects(
    tmp_path: Path,
) -> None:
    ends = ProcessEnds(tmp_path)
    codes = {mark_call(tmp_path, b'{"x":1}'): -signal.SIGSEGV, mark_call(tmp_path, b'{"x":2}'): -signal.SIGTERM}
    assert ends.learn(codes)
    blocked, suspects = fold_events(read_events(tmp_path))
    assert ([bytes(each.record) for each in blocked.values()], suspects) == ([b'{"x":1}'], {})


@pytest.mark.slow
def test_what_runs_leave_that_were_killed_accuses_no_record_whoever_ends_later(tmp_path: Path) -> None:
    ends = ProcessEnds(tmp_path)
    left = [mark_call(tmp_path, b'{"x":1}') for _ in range(2)]
    assert ends.learn({mark_call(tmp_path, b'{"x":2}'): -signal.SIGSEGV})
    assert record_crashes(tmp_path) == []  # as the service does
    assert ProcessEnds(tmp_path).learn(dict.fromkeys(left, -signal.SIGALRM))
    assert [bytes(each.record) for event in read_events(tmp_path) for each in event.records] == [b'{"x":2}']


@pytest.mark.slow
def test_a_process_that_is_killed_from_outside_is_not_replaced_and_neither_are_many_of_which_nothing_is_learnt(
    tmp_path: Path,
) -> None:
    assert not ProcessEnds(tmp_path).learn({mark_call(tmp_path, b'{"x":1}'): -signal.SIGKILL})
    assert not read_events(tmp_path)
    ends = ProcessEnds(tmp_path / "other")
    assert [ends.learn({1: -signal.SIGSEGV}) for _ in range(3)] == [True, True, False]
