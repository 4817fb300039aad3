import os
import signal
import time
from pathlib import Path

import pytest

from penumbra.logs import append_log
from penumbra.logs.lag import METRICS_FILE
from service.shadow import metrics_file, process, role_worker
from service.shadow.backlog import read_next_job
from tests.helpers.logs.local_shadow import (
    TRIGGER_VALUES,
    compute_expected_scores,
    log_entries,
    make_completion_check,
    make_entry,
    point_role,
    read_logged_ids,
    read_rows_by_id,
    start_role_worker,
    step_until,
)
from tests.helpers.servers import local_service
from tests.helpers.servers.processes import start_module

DISTANCES = [100, 200, 300, 400]


def test_without_a_model_in_the_shadow_nothing_happens(tmp_path: Path) -> None:
    log_entries(tmp_path, make_entry(100))
    with start_role_worker(tmp_path) as worker:
        assert worker.step() is False
    assert append_log.list_segments(tmp_path / "shadow") == []


@pytest.mark.parametrize(("poll_seconds", "pause"), [(60.0, 0.2), (1.0, 0.2), (0.2, 0.05)])
def test_a_shadow_that_has_caught_up_rests_a_fifth_of_a_second_and_less_where_new_models_are_looked_for_often(
    tmp_path: Path, poll_seconds: float, pause: float
) -> None:
    settings = local_service.make_service_settings(tmp_path, poll_seconds=poll_seconds)
    assert role_worker.compute_pause(settings.service) == pause


@pytest.mark.slow
def test_past_and_new_predictions_are_scored_once_across_restarts(tmp_path: Path) -> None:
    point_role(tmp_path, "candidate", "2")
    ids = log_entries(tmp_path, *map(make_entry, DISTANCES))
    for more in ([500], [600, 700]):
        with start_role_worker(tmp_path, batch_rows=2) as worker:
            step_until(worker, make_completion_check(worker, tmp_path, "2"))
            ids += log_entries(tmp_path, *map(make_entry, more))
            step_until(worker, make_completion_check(worker, tmp_path, "2"))
    scores = compute_expected_scores(tmp_path, "2", [*DISTANCES, 500, 600, 700])
    assert [read_rows_by_id(tmp_path, "2")[name]["output"] for name in ids] == scores


@pytest.mark.slow
def test_a_log_that_begins_with_answers_of_another_task_is_scored(tmp_path: Path) -> None:
    former = make_entry(100)
    former.output, former.decision = [0.25, 0.25, 0.5], "rain"
    ids = log_entries(tmp_path, former, make_entry(200))
    point_role(tmp_path, "candidate", "2")
    with start_role_worker(tmp_path) as worker:
        step_until(worker, make_completion_check(worker, tmp_path, "2"))
        assert (worker.log.state.models["2"].statuses, worker.log.state.models["2"].compared) == ({"ok": 2}, 1)
    assert list(read_rows_by_id(tmp_path, "2")) == ids


@pytest.mark.slow
def test_the_previous_model_answers_others_rows_and_none_of_its_own_again(tmp_path: Path) -> None:
    own, others = make_entry(100), make_entry(200)
    own.model = "2"
    _, name = log_entries(tmp_path, own, others)
    point_role(tmp_path, "previous", "2")
    with start_role_worker(tmp_path, role="previous") as worker:
        step_until(worker, lambda: worker.log.state.models["2"].statuses != {})
    assert list(read_rows_by_id(tmp_path, "2")) == [name]
    assert worker.log.state.models["2"].statuses == {"ok": 1}


@pytest.mark.slow
def test_new_predictions_go_before_those_of_the_past(tmp_path: Path) -> None:
    point_role(tmp_path, "candidate", "2")
    past = log_entries(tmp_path, *map(make_entry, DISTANCES))
    with start_role_worker(tmp_path, batch_rows=1) as worker:
        worker.step()
        new = log_entries(tmp_path, make_entry(500), make_entry(600))
        step_until(worker, make_completion_check(worker, tmp_path, "2"))
    assert list(read_rows_by_id(tmp_path, "2")) == new + past


@pytest.mark.slow
def test_of_the_past_only_answers_of_versions_are_scored_that_it_is_compared_with(tmp_path: Path) -> None:
    entries = [make_entry(distance) for distance in DISTANCES]
    for entry, version in zip(entries, ["1", "2", "3", "4"], strict=True):
        entry.model = version
    _, _, previous, live = log_entries(tmp_path, *entries)
    for role, version in (("live", "4"), ("previous", "3"), ("candidate", "2")):
        point_role(tmp_path, role, version)
    with start_role_worker(tmp_path) as worker:
        worker.step()
        (new,) = log_entries(tmp_path, make_entry(500))  # of version 1, which is gone
        progress = worker.log.state.models["2"]
        step_until(worker, lambda: read_next_job(tmp_path / "predictions", progress, 10) is None)
    assert set(read_rows_by_id(tmp_path, "2")) == {new, previous, live}
    assert progress.statuses == {"ok": 3}


@pytest.mark.slow
def test_what_is_too_old_is_skipped_with_the_reason(tmp_path: Path) -> None:
    point_role(tmp_path, "candidate", "2")
    old, recent = log_entries(tmp_path, make_entry(100, ago=7200), make_entry(200, ago=10))
    with start_role_worker(tmp_path, catch_up_hours=1) as worker:
        step_until(worker, make_completion_check(worker, tmp_path, "2"))
    found = read_rows_by_id(tmp_path, "2")
    assert (found[old]["status"], found[recent]["status"]) == ("skipped", "ok")
    assert found[old]["reason"] == "older than 1 h when its turn came"


@pytest.mark.slow
def test_a_model_that_always_has_work_leaves_out_what_waited_too_long_and_says_so(tmp_path: Path) -> None:
    point_role(tmp_path, "candidate", "2")
    with start_role_worker(tmp_path, max_lag_seconds=60) as worker:
        worker.step()
        (late,) = log_entries(tmp_path, make_entry(100, ago=100))
        step_until(worker, make_completion_check(worker, tmp_path, "2"))
        worker._busy_since = time.monotonic() - 61
        old, recent = log_entries(tmp_path, make_entry(200, ago=100), make_entry(300, ago=10))
        step_until(worker, make_completion_check(worker, tmp_path, "2"))
    found = read_rows_by_id(tmp_path, "2")
    assert [found[name]["status"] for name in (late, old, recent)] == ["ok", "skipped", "ok"]
    assert found[old]["reason"] == "left out by age, whatever it holds, as the shadow was more than 60 s behind"


@pytest.mark.slow
def test_a_model_that_fails_again_and_again_is_left_alone_and_its_rows_say_so(tmp_path: Path) -> None:
    point_role(tmp_path, "candidate", "2", "burns")
    log_entries(tmp_path, *(make_entry(distance, **TRIGGER_VALUES) for distance in DISTANCES))
    with start_role_worker(tmp_path, batch_rows=1, timeout_seconds=0.2) as worker:
        step_until(worker, make_completion_check(worker, tmp_path, "2"))
        assert worker.is_backing_off
    statuses = [row["status"] for row in read_rows_by_id(tmp_path, "2").values()]
    assert statuses == ["timeout", "timeout", "timeout", "skipped"]
    assert "left alone after 3 failures: it took" in list(read_rows_by_id(tmp_path, "2").values())[-1]["reason"]


@pytest.mark.slow
def test_memory_without_end_is_an_error_of_the_row(tmp_path: Path) -> None:
    point_role(tmp_path, "candidate", "2", "allocates")
    good, bad = log_entries(tmp_path, make_entry(100), make_entry(200, **TRIGGER_VALUES))
    with start_role_worker(tmp_path, memory_mb=300) as worker:
        step_until(worker, make_completion_check(worker, tmp_path, "2"))
    assert read_rows_by_id(tmp_path, "2")[good]["status"] == "ok"
    assert read_rows_by_id(tmp_path, "2")[bad]["status"] == "error"


@pytest.mark.slow
def test_a_scoring_process_that_is_killed_costs_nothing(tmp_path: Path) -> None:
    point_role(tmp_path, "candidate", "2")
    with start_role_worker(tmp_path, batch_rows=1) as worker:
        for distance in DISTANCES:
            log_entries(tmp_path, make_entry(distance))
            step_until(worker, lambda: worker._job)
            os.kill(worker.client.pid, signal.SIGKILL)
            step_until(worker, make_completion_check(worker, tmp_path, "2"))
    assert {row["status"] for row in read_rows_by_id(tmp_path, "2").values()} == {"ok"}


@pytest.mark.slow
def test_a_process_that_stands_still_is_ended_and_its_rows_timed_out(tmp_path: Path) -> None:
    point_role(tmp_path, "candidate", "2")
    with start_role_worker(tmp_path, timeout_seconds=0.1) as worker:
        step_until(worker, lambda: worker.client and worker.client.refused is not None)
        os.kill(worker.client.pid, signal.SIGSTOP)
        (name,) = log_entries(tmp_path, make_entry(100))
        step_until(worker, make_completion_check(worker, tmp_path, "2"))
    assert read_rows_by_id(tmp_path, "2")[name]["status"] == "timeout"


@pytest.mark.slow
def test_a_bundle_that_is_refused_is_told_once_and_its_rows_say_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(role_worker, "FIRST_BACKOFF_SECONDS", 0.01)
    point_role(tmp_path, "candidate", "2")
    (tmp_path / "state/bundles/2/model.onnx").write_bytes(b"damaged")
    log_entries(tmp_path, make_entry(100))
    with start_role_worker(tmp_path) as worker:
        step_until(worker, make_completion_check(worker, tmp_path, "2"))
        assert "damaged or replaced" in worker.last_failure
        step_until(worker, lambda: worker.failures > role_worker.FAILURES_BEFORE_BACKOFF + 1)
    told = [record for record in caplog.records if record.levelname == "WARNING" and "is refused" in record.message]
    assert len(told) == 1
    (row,) = read_rows_by_id(tmp_path, "2").values()
    assert (row["status"], "refused" in row["reason"]) == ("skipped", True)


@pytest.mark.slow
def test_the_metrics_tell_coverage_lag_and_disagreement(tmp_path: Path) -> None:
    point_role(tmp_path, "candidate", "2")
    log_entries(tmp_path, *(make_entry(distance, output=0.25, decision=False) for distance in DISTANCES))
    settings = local_service.make_service_settings(tmp_path)
    with start_role_worker(tmp_path) as worker:
        step_until(worker, make_completion_check(worker, tmp_path, "2"))
        log_entries(tmp_path, make_entry(500, ago=100))
        metrics_file.write_shadow_metrics(settings.service, worker.log.state, [worker])
    metrics = dict(line.rsplit(" ", 1) for line in (tmp_path / "shadow" / METRICS_FILE).read_text().splitlines())
    of = '{role="candidate",version="2"}'
    difference = sum(abs(score - 0.25) for score in compute_expected_scores(tmp_path, "2", DISTANCES)) / 4
    assert float(metrics[f"penumbra_shadow_difference_mean{of}"]) == pytest.approx(difference)
    assert float(metrics[f"penumbra_shadow_differing_share{of}"]) == 1.0
    assert float(metrics[f"penumbra_shadow_coverage{of}"]) == pytest.approx(0.8, abs=0.01)
    assert 100 <= float(metrics[f"penumbra_shadow_lag_seconds{of}"]) < 130


@pytest.mark.slow
def test_the_process_scores_candidate_and_previous_side_by_side(tmp_path: Path) -> None:
    point_role(tmp_path, "candidate", "2", "burns")
    point_role(tmp_path, "previous", "3")
    log_entries(tmp_path, *(make_entry(distance, **TRIGGER_VALUES) for distance in DISTANCES))
    everything = set(read_logged_ids(tmp_path))
    environ = local_service.make_service_environment(tmp_path) | {"PENUMBRA_SHADOW__TIMEOUT_SECONDS": "0.5"}
    with start_module(process.__name__, environ):
        local_service.wait_until(
            lambda: all(set(read_rows_by_id(tmp_path, version)) == everything for version in "23"), seconds=60
        )
    assert {row["status"] for row in read_rows_by_id(tmp_path, "3").values()} == {"ok"}
    assert {row["status"] for row in read_rows_by_id(tmp_path, "2").values()} == {"timeout"}
