import datetime as dt
import logging

import pytest

from penumbra.reviews.queue import ReviewQueue
from penumbra.reviews.selection.case_picker import CasePicker, pick_cases
from service.processes.review_pass import ReviewPass
from tests.helpers.logs.prediction_logs import append_to_new_segment, log_labels, make_label_by_id
from tests.helpers.logs.review_cases import (
    MONDAY,
    make_action,
    make_review_settings,
    pick_predictions,
    read_review_labels,
)
from tests.helpers.logs.reviewed_rows import DEFERRING, RULED, log_rows


def read_cases(folder):
    return set(ReviewQueue.read(folder / "reviews").states)


def test_rows_that_were_there_at_the_start_are_picked_after_the_interval(tmp_path, monkeypatch):
    log_rows(tmp_path, 3)
    clock = [1000.0]
    monkeypatch.setattr("service.processes.review_pass.time.monotonic", lambda: clock[0])
    reviews = ReviewPass(make_review_settings(tmp_path, every_minutes=30), RULED)
    reviews.run()
    assert read_cases(tmp_path) == set()
    clock[0] += 1800
    reviews.run()
    assert len(read_cases(tmp_path)) == 3


def test_cases_whose_outcome_has_arrived_are_closed_after_the_interval(tmp_path):
    settings = make_review_settings(tmp_path, every_minutes=1e-9)
    (name,) = log_rows(tmp_path, 1)
    reviews = ReviewPass(settings, RULED)
    reviews.run()
    log_labels(tmp_path, make_label_by_id(name, 42))
    reviews.run()
    assert ReviewQueue.read(tmp_path / "reviews").states[name].status == "outcome arrived"
    assert 'penumbra_review_cases{status="outcome arrived"} 1' in reviews.metrics


def test_a_process_that_starts_late_after_the_last_block_picks_at_once(tmp_path):
    settings = make_review_settings(tmp_path, every_minutes=30)
    log_rows(tmp_path, 2)
    pick_cases(settings, RULED, 5, dt.datetime.now(dt.UTC) - dt.timedelta(hours=3))
    names = log_rows(tmp_path, 2, first=2)
    ReviewPass(settings, RULED).run()
    assert set(names) < read_cases(tmp_path)


def test_a_process_whose_clock_was_put_back_behind_the_last_block_waits_no_longer_than_the_interval(
    tmp_path, monkeypatch
):
    settings = make_review_settings(tmp_path, every_minutes=30)
    log_rows(tmp_path, 2)
    pick_cases(settings, RULED, 5, dt.datetime.now(dt.UTC) + dt.timedelta(days=3))
    names = log_rows(tmp_path, 2, first=2)
    clock = [1000.0]
    monkeypatch.setattr("service.processes.review_pass.time.monotonic", lambda: clock[0])
    reviews = ReviewPass(settings, RULED)
    clock[0] += 1800
    reviews.run()
    assert set(names) < read_cases(tmp_path)


def test_deferred_rows_wait_for_no_interval(tmp_path):
    (name,) = log_rows(tmp_path, 1, pending=True, due=MONDAY, default=False)
    ReviewPass(make_review_settings(tmp_path), RULED).run()
    assert read_cases(tmp_path) == {name}


def test_a_failure_is_logged_once_counted_and_never_raised(tmp_path, monkeypatch, caplog):
    def fail(self):
        raise OSError("the disk is full")

    reviews = ReviewPass(make_review_settings(tmp_path), RULED)
    with monkeypatch.context() as broken, caplog.at_level(logging.ERROR):
        broken.setattr(CasePicker, "pick_deferred", fail)
        reviews.run()
        reviews.run()
    assert [record.getMessage() for record in caplog.records] == [
        "no rows can be picked for review, trying again: OSError: the disk is full"
    ]
    assert "penumbra_review_failing 1" in reviews.metrics
    reviews.run()
    assert "penumbra_review_failing 0" in reviews.metrics


def test_a_damaged_window_takes_nothing_but_its_slices(tmp_path):
    settings = make_review_settings(tmp_path, every_minutes=1e-9)
    settings = settings.model_copy(update={"monitor": settings.monitor.model_copy(update={"folder": tmp_path / "m"})})
    (tmp_path / "m/windows").mkdir(parents=True)
    (tmp_path / "m/windows/2026-03-02.json").write_text("{")
    names = log_rows(tmp_path, 2)
    ReviewPass(settings, RULED).run()
    assert read_cases(tmp_path) == set(names)


def test_the_metrics_say_how_many_cases_have_become_what_and_how_long_the_oldest_waits(tmp_path):
    names = log_rows(tmp_path, 3)
    settings = make_review_settings(tmp_path)
    pick_cases(settings, RULED, 3, dt.datetime.now(dt.UTC) - dt.timedelta(hours=1))
    append_to_new_segment(tmp_path / "reviews", [make_action(names[0], minutes=5)])
    reviews = ReviewPass(
        settings.model_copy(update={"review": settings.review.model_copy(update={"double_share": 0})}), RULED
    )
    reviews.run()
    told = dict(line.rsplit(" ", 1) for line in reviews.metrics.splitlines() if not line.startswith("#"))
    assert float(told["penumbra_review_picked_total"]) == 3
    assert (
        float(told['penumbra_review_cases{status="open"}']) + float(told['penumbra_review_cases{status="decided"}'])
        == 3
    )
    assert float(told["penumbra_review_oldest_open_seconds"]) == pytest.approx(3600, abs=60)


def test_an_answer_without_its_label_is_completed(tmp_path):
    (case,) = pick_predictions(tmp_path)
    append_to_new_segment(tmp_path / "reviews", [make_action(case, "ann", 42)])
    ReviewPass(make_review_settings(tmp_path), RULED).run()
    assert [label["prediction"] for label in read_review_labels(tmp_path)] == [case]


def test_where_answers_cannot_be_completed_rows_are_picked_all_the_same(tmp_path, caplog):
    pick_predictions(tmp_path)
    (name,) = log_rows(tmp_path, 1, pending=True, due=MONDAY, default=False)
    (tmp_path / "labels").write_text("in the way")
    with caplog.at_level(logging.ERROR):
        ReviewPass(make_review_settings(tmp_path, per_day=0), DEFERRING).run()
    assert [record.getMessage().partition(", trying again: ")[0] for record in caplog.records] == [
        "cases whose outcome has arrived stay open",
        "answers can't be completed",
    ]
    assert name in read_cases(tmp_path)
