"""Simulated reviewers of a replay."""

import contextlib
import datetime as dt
from types import SimpleNamespace

import dataframely as dy
import numpy as np
import polars as pl
import pytest

from penumbra.logs.append_log import read_entries
from penumbra.reviews.desk import ReviewDesk
from penumbra.simulation.replay.reviewers import SimulatedReviewers, simulate_labels
from penumbra.simulation.replay.traffic import TrafficDay
from problem import schema
from tests.helpers.logs.review_cases import MONDAY, make_review_settings
from tests.helpers.logs.reviewed_rows import RULED, log_rows


class Row(dy.Schema):
    at = dy.Date(nullable=False)


class Labelled(Row):
    minutes = dy.Int64(nullable=True)


SCHEMA = SimpleNamespace(Row=Row, Labelled=Labelled, TIME="at", target=lambda: pl.col("minutes") > 15)


def make_day(minutes):
    date = dt.date(2026, 3, 2)
    return TrafficDay(date, pl.DataFrame({"at": [date] * len(minutes), "minutes": minutes}), SCHEMA)


def simulate(minutes, error, seed=1):
    rows = range(len(minutes))
    return [*simulate_labels(make_day(minutes), error, np.random.default_rng(seed), rows).values()]


def test_who_never_errs_gives_each_row_its_outcome_and_cannot_tell_where_there_was_none():
    assert simulate([40, None, 0], 0.0) == [{"minutes": 40}, {}, {"minutes": 0}]


def test_a_mistake_is_the_outcome_of_a_row_with_another_target():
    assert simulate([40, 0, None, 0], 1.0) == [{"minutes": 0}, {"minutes": 40}, {}, {"minutes": 40}]


def test_where_all_targets_are_the_same_nobody_errs():
    assert simulate([40, 50], 1.0) == [{"minutes": 40}, {"minutes": 50}]


def test_people_err_as_often_as_is_stated_and_the_same_seed_errs_at_the_same_rows():
    minutes = [0, 60] * 1000
    said = simulate(minutes, 0.05)
    wrong = np.mean([label["minutes"] != each for label, each in zip(said, minutes, strict=True)])
    assert wrong == pytest.approx(0.05, abs=0.02)
    assert said == simulate(minutes, 0.05) != simulate(minutes, 0.05, seed=2)


MINUTES = [0, 60, None, 5] * 10  # of forty flights, on which the decision was yes


@pytest.fixture
def review(tmp_path):
    """Answers the day's cases in a folder; all of them are asked twice, as two in five answers are wrong."""
    folders = {}

    def run(name, days=1):
        settings = make_review_settings(tmp_path / name, double_share=1.0, per_day=0)
        replay = {"reviews_per_day": 12, "reviewer_error": 0.4}
        settings = settings.model_copy(update={"replay": settings.replay.model_copy(update=replay)})
        names = folders.get(name) or folders.setdefault(name, log_rows(tmp_path / name, len(MINUTES)))
        day = TrafficDay(MONDAY.date(), pl.DataFrame({"arr_delay": MINUTES}), schema)
        answers = pl.DataFrame({"id": names, "decision": [True] * len(names)})
        with contextlib.closing(SimulatedReviewers(settings, RULED)) as reviewers:
            return [reviewers.review_day(each, answers) for each in [day] * days][-1]

    return run


def test_all_that_was_picked_is_answered_and_a_third_decides_where_two_differ(review, tmp_path):
    found = review("a")
    assert (found["cases"], found["error"], found["known"]) == (12, 20.0, 30)
    assert set(found["statuses"]) == {"decided", "cannot tell"}
    kinds = {
        (entry["reviewer"], entry["kind"]) for entry in read_entries(tmp_path / "a" / "reviews") if "reviewer" in entry
    }
    assert ("reviewer 3", "adjudicate") in kinds
    assert ("reviewer 3", "answer") not in kinds


@pytest.mark.slow
def test_the_same_seed_picks_the_same_rows_and_gives_the_same_answers_whatever_their_ids(review):
    assert review("a") == review("b")


def test_one_picker_and_one_desk_serve_day_after_day(review, tmp_path):
    assert review("a", days=2) == review("b")
    assert len([*(tmp_path / "a" / "reviews").glob("*.jsonl")]) == 2


@pytest.mark.slow
def test_a_replay_that_was_killed_among_the_answers_goes_on_as_if_it_hadnt_been(review, monkeypatch, tmp_path):
    record_all = ReviewDesk.record_all

    def record_some(desk, actions):
        record_all(desk, actions[:7])
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(ReviewDesk, "record_all", record_some)
        with pytest.raises(KeyboardInterrupt):
            review("killed")
    assert review("killed") == review("whole")
    actions = [len([*read_entries(tmp_path / name / "reviews")]) for name in ("killed", "whole")]
    assert actions[0] == actions[1]
