import signal
from pathlib import Path

import psutil
import pytest

from service import shadow as process
from service import vitals
from stores import log
from stores.shadow import METRICS
from tests import serving
from tests.shadowing import TRIGGER, entry, expected, follower, logged, point, predict, rows, run, settled

DISTANCES = [100, 200, 300, 400]


def test_without_a_model_in_the_shadow_nothing_happens(tmp_path: Path) -> None:
    predict(tmp_path, entry(100))
    with follower(tmp_path) as made:
        assert made.step() is False
    assert log.segments(tmp_path / "shadow") == []


@pytest.mark.slow
@pytest.mark.alone
def test_past_and_new_predictions_are_scored_once_across_restarts(tmp_path: Path) -> None:
    point(tmp_path, "candidate", "2")
    ids = predict(tmp_path, *map(entry, DISTANCES))
    for more in ([500], [600, 700]):
        with follower(tmp_path, batch_rows=2) as made:
            run(made, settled(made, tmp_path, "2"))
            ids += predict(tmp_path, *map(entry, more))
            run(made, settled(made, tmp_path, "2"))
    scores = expected(tmp_path, "2", [*DISTANCES, 500, 600, 700])
    assert [rows(tmp_path, "2")[name]["output"] for name in ids] == scores


@pytest.mark.slow
@pytest.mark.alone
def test_new_predictions_go_before_those_of_the_past(tmp_path: Path) -> None:
    point(tmp_path, "candidate", "2")
    past = predict(tmp_path, *map(entry, DISTANCES))
    with follower(tmp_path, batch_rows=1) as made:
        made.step()
        new = predict(tmp_path, entry(500), entry(600))
        run(made, settled(made, tmp_path, "2"))
    assert list(rows(tmp_path, "2")) == new + past


@pytest.mark.slow
@pytest.mark.alone
def test_what_is_too_old_is_skipped_with_the_reason(tmp_path: Path) -> None:
    point(tmp_path, "candidate", "2")
    old, recent = predict(tmp_path, entry(100, ago=7200), entry(200, ago=10))
    with follower(tmp_path, catch_up_hours=1) as made:
        run(made, settled(made, tmp_path, "2"))
    found = rows(tmp_path, "2")
    assert (found[old]["status"], found[recent]["status"]) == ("skipped", "ok")
    assert found[old]["reason"] == "older than 1 h when its turn came"


@pytest.mark.slow
@pytest.mark.alone
def test_a_model_that_fails_again_and_again_is_left_alone_and_its_rows_say_so(tmp_path: Path) -> None:
    point(tmp_path, "candidate", "2", "burns")
    predict(tmp_path, *(entry(distance, **TRIGGER) for distance in DISTANCES))
    with follower(tmp_path, batch_rows=1, timeout_seconds=0.2) as made:
        run(made, settled(made, tmp_path, "2"))
        assert made.resting
    statuses = [row["status"] for row in rows(tmp_path, "2").values()]
    assert statuses == ["timeout", "timeout", "timeout", "skipped"]
    assert "left alone after 3 failures: it took" in list(rows(tmp_path, "2").values())[-1]["reason"]


@pytest.mark.slow
@pytest.mark.alone
def test_memory_without_end_is_an_error_of_the_row(tmp_path: Path) -> None:
    point(tmp_path, "candidate", "2", "allocates")
    good, bad = predict(tmp_path, entry(100), entry(200, **TRIGGER))
    with follower(tmp_path, memory_mb=300) as made:
        run(made, settled(made, tmp_path, "2"))
    assert rows(tmp_path, "2")[good]["status"] == "ok"
    assert rows(tmp_path, "2")[bad]["status"] == "error"


@pytest.mark.slow
@pytest.mark.alone
def test_a_scoring_process_that_is_killed_costs_nothing(tmp_path: Path) -> None:
    point(tmp_path, "candidate", "2")
    with follower(tmp_path, batch_rows=1) as made:
        for distance in DISTANCES:
            predict(tmp_path, entry(distance))
            run(made, lambda: made._job)
            for child in psutil.Process().children():
                child.send_signal(signal.SIGKILL)
            run(made, settled(made, tmp_path, "2"))
    assert {row["status"] for row in rows(tmp_path, "2").values()} == {"ok"}


@pytest.mark.slow
@pytest.mark.alone
def test_a_process_that_stands_still_is_ended_and_its_rows_timed_out(tmp_path: Path) -> None:
    point(tmp_path, "candidate", "2")
    with follower(tmp_path, timeout_seconds=0.1) as made:
        run(made, lambda: made.runner and made.runner.refused is not None)
        for child in psutil.Process().children():
            child.send_signal(signal.SIGSTOP)
        (name,) = predict(tmp_path, entry(100))
        run(made, settled(made, tmp_path, "2"))
    assert rows(tmp_path, "2")[name]["status"] == "timeout"


@pytest.mark.slow
@pytest.mark.alone
def test_a_bundle_that_is_refused_is_told_and_its_rows_say_so(tmp_path: Path) -> None:
    point(tmp_path, "candidate", "2")
    (tmp_path / "state/bundles/2/model.onnx").write_bytes(b"damaged")
    predict(tmp_path, entry(100))
    with follower(tmp_path) as made:
        run(made, settled(made, tmp_path, "2"))
        assert "damaged or replaced" in made.problem
    (row,) = rows(tmp_path, "2").values()
    assert (row["status"], "refused" in row["reason"]) == ("skipped", True)


@pytest.mark.slow
@pytest.mark.alone
def test_the_metrics_tell_coverage_lag_and_disagreement(tmp_path: Path) -> None:
    point(tmp_path, "candidate", "2")
    predict(tmp_path, *(entry(distance, output=0.25, decision=False) for distance in DISTANCES))
    settings = serving.settings(tmp_path)
    with follower(tmp_path) as made:
        run(made, settled(made, tmp_path, "2"))
        predict(tmp_path, entry(500, ago=100))
        vitals.write(settings, made.log.state, [made])
    told = dict(line.rsplit(" ", 1) for line in (tmp_path / "shadow" / METRICS).read_text().splitlines())
    of = '{role="candidate",version="2"}'
    difference = sum(abs(score - 0.25) for score in expected(tmp_path, "2", DISTANCES)) / 4
    assert float(told[f"penumbra_shadow_difference_mean{of}"]) == pytest.approx(difference)
    assert float(told[f"penumbra_shadow_differing_share{of}"]) == 1.0
    assert float(told[f"penumbra_shadow_coverage{of}"]) == pytest.approx(0.8, abs=0.01)
    assert 100 <= float(told[f"penumbra_shadow_lag_seconds{of}"]) < 130


@pytest.mark.slow
@pytest.mark.alone
def test_the_process_scores_candidate_and_previous_side_by_side(tmp_path: Path) -> None:
    point(tmp_path, "candidate", "2", "burns")
    point(tmp_path, "previous", "3")
    predict(tmp_path, *(entry(distance, **TRIGGER) for distance in DISTANCES))
    settings = serving.settings(tmp_path)
    limits = settings.shadow.model_copy(update={"timeout_seconds": 0.5})
    written = process.ShadowLog(settings.service.shadow, settings.service.predictions)
    everything = set(logged(tmp_path))
    done = lambda: all(set(rows(tmp_path, version)) == everything for version in "23")  # noqa: E731
    process.follow(settings.model_copy(update={"shadow": limits}), written, lambda: not done())
    written.close()
    assert {row["status"] for row in rows(tmp_path, "3").values()} == {"ok"}
    assert {row["status"] for row in rows(tmp_path, "2").values()} == {"timeout"}
