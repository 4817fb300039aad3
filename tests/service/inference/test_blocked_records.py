"""Records that end workers are blocked: read off what a dead worker left, and never scored again by that version."""

import contextlib
import datetime as dt
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penumbra.rules import Answer, Between, Refuse, Rule
from problem import schema
from service.http.refusals import RequestRefused
from service.http.requests.record_reader import Contract
from service.inference.blocked_records import (
    HUNG,
    BlockedRecords,
    RecordBlocked,
    RecordEvent,
    SuspectRecord,
    append_event,
    compute_digest,
    fold_events,
    read_events,
    record_crashes,
)
from service.inference.models.live_model import LiveModels
from service.inference.pipeline import InferencePipeline
from service.inference.rules.rule_engine import make_rule_engine_factory
from service.inference.runs.batch_run import RefusedByRules
from service.inference.scoring_marks import MARK_BYTES, WorkerMarks, read_heartbeat
from tests.helpers.servers import local_service

BASELINE = 0.25
ONE, TWO = b'{"x":1}', b'{"x":2}'
LONG = b'"%s"' % (b"y" * MARK_BYTES)
CONTRACT = Contract(schema.Row, schema.CHECKS, schema.EXAMPLE, max_records=100)
RECORD = CONTRACT.parse_one(msgspec.json.encode(schema.EXAMPLE))
OTHER = {**RECORD, "distance": 500}
NOON = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)


def leave_marks(state: Path, work: Callable[[WorkerMarks], None]) -> int:
    """A process that marks what it scores, and is killed at that."""
    pid = os.fork()
    if pid == 0:
        work(WorkerMarks(state))
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    return pid


def block(state: Path, version: str, *lines: bytes) -> None:
    records = [SuspectRecord(version, compute_digest(line), msgspec.Raw(line)) for line in lines]
    append_event(state, "block", "a test", records)


def make_event(event: str, cause: str, *digests: str) -> RecordEvent:
    return RecordEvent(NOON, event, cause, [SuspectRecord("1", digest, msgspec.Raw(b"{}")) for digest in digests])  # type: ignore[arg-type]


def test_a_record_that_a_worker_hung_on_alone_is_blocked_for_its_version(tmp_path: Path) -> None:
    pid = leave_marks(tmp_path, lambda marks: marks.mark_call("7", [ONE]))
    (sentence,) = record_crashes(tmp_path, {pid: HUNG})
    assert sentence == (
        f"worker {pid} (hung) was scoring 1 record(s) by version 7: {compute_digest(ONE)}; "
        "blocked, see `penumbra blocked`"
    )
    blocked = BlockedRecords(tmp_path)
    blocked.require_allowed("8", [ONE])
    with pytest.raises(RecordBlocked, match="blocked for version 7: hung"):
        blocked.require_allowed("7", [TWO, ONE])


@pytest.mark.slow
def test_a_record_is_only_suspect_where_the_worker_was_killed_or_scored_others_too(tmp_path: Path) -> None:
    leave_marks(tmp_path, lambda marks: marks.mark_call("7", [ONE]))
    record_crashes(tmp_path)
    pid = leave_marks(tmp_path, lambda marks: marks.open_thread_call().__enter__()("7", [TWO, b'{"x":3}']))
    record_crashes(tmp_path, {pid: "SIGSEGV"})
    blocked = BlockedRecords(tmp_path)
    blocked.require_allowed("7", [ONE, TWO])
    assert blocked.is_doubtful("7", ONE)
    assert blocked.is_doubtful("7", TWO)
    assert not blocked.is_doubtful("8", TWO)


def test_what_a_worker_left_is_recorded_once_and_that_of_a_living_one_never(tmp_path: Path) -> None:
    alive = WorkerMarks(tmp_path)
    alive.mark_call("7", [TWO])
    leave_marks(tmp_path, lambda marks: marks.mark_call("7", [ONE]))
    assert [len(record_crashes(tmp_path)) for _ in range(2)] == [1, 0]
    alive.close()
    assert [path.name for path in (tmp_path / "workers").iterdir()] == ["lock"]


def test_a_worker_that_ends_between_two_calls_accuses_nobody(tmp_path: Path) -> None:
    def work(marks: WorkerMarks) -> None:
        marks.mark_call("7", [ONE])
        marks.clear_call()
        with marks.open_thread_call() as mark:
            mark("7", [TWO])

    leave_marks(tmp_path, work)
    assert record_crashes(tmp_path) == []
    assert read_events(tmp_path) == []


def test_of_a_call_too_long_for_its_mark_all_records_are_known(tmp_path: Path) -> None:
    leave_marks(tmp_path, lambda marks: marks.mark_call("7", [ONE, TWO, LONG]))
    record_crashes(tmp_path)
    (event,) = read_events(tmp_path)
    assert [bytes(each.record) for each in event.records] == [ONE, TWO, LONG]


def test_a_record_too_long_for_its_mark_is_blocked_like_others(tmp_path: Path) -> None:
    pid = leave_marks(tmp_path, lambda marks: marks.mark_call("7", [LONG]))
    record_crashes(tmp_path, {pid: HUNG})
    blocked, _ = fold_events(read_events(tmp_path))
    assert list(blocked) == [("7", compute_digest(LONG))]


@pytest.mark.parametrize("end", [WorkerMarks.clear_call, lambda marks: marks.mark_call("7", [ONE])])
def test_a_long_call_that_ended_accuses_nobody(tmp_path: Path, end: Callable[[WorkerMarks], None]) -> None:
    def work(marks: WorkerMarks) -> None:
        marks.mark_call("7", [LONG])
        end(marks)

    leave_marks(tmp_path, work)
    record_crashes(tmp_path)
    assert LONG not in [bytes(each.record) for event in read_events(tmp_path) for each in event.records]


def test_a_line_that_a_kill_cut_off_costs_no_other(tmp_path: Path) -> None:
    block(tmp_path, "7", ONE)
    with (tmp_path / "blocked-records.jsonl").open("ab") as file:
        file.write(b'{"time":"2026')
    block(tmp_path, "7", TWO)
    assert [event.event for event in read_events(tmp_path)] == ["block", "block"]


def test_a_worker_follows_what_is_blocked_and_released(tmp_path: Path) -> None:
    blocked = BlockedRecords(tmp_path)
    assert not blocked.is_active
    block(tmp_path, "7", ONE)
    blocked.refresh()
    assert blocked.is_doubtful("7", ONE)
    append_event(tmp_path, "release", "a test", [SuspectRecord("7", compute_digest(ONE), msgspec.Raw(ONE))])
    blocked.refresh()
    assert not blocked.is_active


def test_a_heartbeat_says_how_long_until_the_next(tmp_path: Path) -> None:
    marks = WorkerMarks(tmp_path, patience=3.0)
    assert read_heartbeat(tmp_path, os.getpid()) == (0, 0.0)
    with marks.extend_patience(60.0):
        assert read_heartbeat(tmp_path, os.getpid()) == (1, 60.0)
    assert read_heartbeat(tmp_path, os.getpid()) == (2, 3.0)
    marks.close()
    assert read_heartbeat(tmp_path, os.getpid()) == (0, 0.0)


@pytest.mark.slow
def test_where_no_host_watches_a_timer_ends_a_worker_even_while_native_code_holds_pythons_lock(tmp_path: Path) -> None:
    pid = os.fork()
    if pid == 0:
        WorkerMarks(tmp_path, patience=0.1, has_timer=True).send_heartbeat()
        7**10**8  # for minutes, within one instruction
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGALRM


def test_where_the_state_folder_cant_be_written_marks_are_lost_with_the_worker(tmp_path: Path) -> None:
    (tmp_path / "workers").write_text("no folder")
    marks = WorkerMarks(tmp_path)
    marks.send_heartbeat()
    marks.mark_call("7", [ONE])
    with marks.open_thread_call() as mark:
        mark("7", [ONE])
    marks.close()


@given(st.lists(st.tuples(st.sampled_from([HUNG, "SIGKILL", "SIGSEGV"]), st.lists(st.sampled_from("abc"), min_size=1))))
def test_a_record_is_blocked_by_one_proof_or_two_suspicions(crashes: list[tuple[str, list[str]]]) -> None:
    blocked, suspects = fold_events([make_event("crash", cause, *digests) for cause, digests in crashes])
    for digest in "abc":
        times = [(cause, set(digests)) for cause, digests in crashes if digest in digests]
        times_in_one = max([digests.count(digest) for _, digests in crashes], default=0)
        proven = any(cause != "SIGKILL" and digests == {digest} for cause, digests in times)
        assert (("1", digest) in blocked) == (proven or len(times) > 1 or times_in_one > 1)
        assert (("1", digest) in suspects) == (bool(times) and ("1", digest) not in blocked)


@pytest.fixture
def pipeline(tmp_path: Path) -> InferencePipeline:
    """Version 2 is live, version 1 is the previous one."""
    local_service.deploy_version(tmp_path, "1", baseline=BASELINE)
    local_service.deploy_version(tmp_path, "2", seed=2, baseline=BASELINE)
    live = LiveModels(tmp_path / "state", local_service.PROBLEM)
    live.refresh()
    return InferencePipeline(live, CONTRACT)


def predict_every_way(pipeline: InferencePipeline) -> list[str]:
    """Who answers a record that comes alone, and then one that comes together with another, or in a list with it."""
    scored = [pipeline.predict_one(RECORD), *pipeline.predict_coalesced([OTHER, RECORD])[1:]]
    scored += pipeline.predict_batch([OTHER, RECORD, OTHER])[1:2]
    return [each.model if not isinstance(each, Exception) else repr(each) for each in scored]


def test_a_blocked_record_is_answered_by_the_previous_model_on_every_way(pipeline: InferencePipeline) -> None:
    assert predict_every_way(pipeline) == ["2", "2", "2"]
    block(pipeline.live.state, "2", msgspec.json.encode(RECORD))
    pipeline.blocked.refresh()
    assert predict_every_way(pipeline) == ["1", "1", "1"]
    assert [each.model for each in pipeline.predict_batch([OTHER, RECORD, OTHER])] == ["2", "1", "2"]


def test_where_it_is_blocked_for_that_too_the_baseline_answers_and_then_nobody(pipeline: InferencePipeline) -> None:
    line = msgspec.json.encode(RECORD)
    for version in ("1", "2"):
        block(pipeline.live.state, version, line)
    pipeline.blocked.refresh()
    assert pipeline.predict_one(RECORD).marks == {"fallback": "baseline"}
    block(pipeline.live.state, "baseline", line)
    pipeline.blocked.refresh()
    for predict in (pipeline.predict_one, lambda record: pipeline.predict_batch([record])):
        with pytest.raises(RequestRefused, match="is blocked for version baseline: a test, and no other") as caught:
            predict(RECORD)
        assert caught.value.status == 422


def test_suspects_are_scored_alone_until_they_have_an_answer(
    pipeline: InferencePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    to_frame = CONTRACT.to_frame
    monkeypatch.setattr(CONTRACT, "to_frame", lambda records: calls.append(len(records)) or to_frame(records))
    records = [SuspectRecord("2", compute_digest(line := msgspec.json.encode(RECORD)), msgspec.Raw(line))]
    append_event(pipeline.live.state, "crash", "SIGKILL", records)
    pipeline.blocked.refresh()
    for _ in range(2):
        assert [each.model for each in pipeline.predict_batch([OTHER, RECORD, OTHER])] == ["2", "2", "2"]
    assert calls == [2, 1, 3]
    assert not BlockedRecords(pipeline.live.state).is_active  # in other workers neither, nor in later ones


@pytest.mark.parametrize("action", [Refuse(), Answer()])
def test_a_suspect_that_a_rule_answers_or_refuses_is_none_any_more(tmp_path: Path, action: Refuse | Answer) -> None:
    local_service.deploy_version(tmp_path, "1", baseline=BASELINE)
    rules = make_rule_engine_factory([Rule("far", "x", Between("distance", 0, 10**6), action)], "model")
    live = LiveModels(tmp_path / "state", local_service.PROBLEM, rules)
    live.refresh()
    for number, predict in enumerate(["predict_one", "predict_batch", "predict_each"]):
        record = {**RECORD, "distance": number}
        records = [SuspectRecord("1", compute_digest(line := msgspec.json.encode(record)), msgspec.Raw(line))]
        append_event(live.state, "crash", "SIGKILL", records)
        pipeline = InferencePipeline(live, CONTRACT)
        with contextlib.suppress(RefusedByRules):
            getattr(pipeline, predict)(record if predict == "predict_one" else [record])
        assert not BlockedRecords(live.state).is_active


def test_a_suspect_that_the_model_fails_for_is_none_any_more(pipeline: InferencePipeline) -> None:
    line = msgspec.json.encode(RECORD)
    records = [SuspectRecord(version, compute_digest(line), msgspec.Raw(line)) for version in ("1", "2")]
    append_event(pipeline.live.state, "crash", "SIGKILL", records)
    pipeline.blocked.refresh()
    assert pipeline.live.model
    pipeline.live.model = replace(pipeline.live.model, score_one=lambda record: 1 / 0)
    assert pipeline.predict_one(RECORD).marks == {"fallback": "previous"}
    assert not BlockedRecords(pipeline.live.state).is_active
