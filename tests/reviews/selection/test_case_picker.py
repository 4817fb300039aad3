from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penumbra.logs.append_log import LogWriter, encode_json, list_segments, read_entries
from penumbra.reviews.queue import ReviewQueue
from penumbra.reviews.records import ReviewBlock, ReviewCase
from penumbra.reviews.selection import case_picker
from penumbra.reviews.selection.case_picker import CasePicker, pick_cases
from penumbra.reviews.selection.review_budget import compute_budget
from tests.helpers.logs.prediction_logs import (
    append_to_new_segment,
    log_labels,
    make_label_by_id,
    make_review_label,
)
from tests.helpers.logs.review_cases import make_moment, make_review_settings
from tests.helpers.logs.reviewed_rows import DEFERRING, RULED, log_rows, make_row

REVIEW = make_review_settings(Path("nowhere"), per_day=24, chance_share=0.25).review


def at(hours):
    return make_moment(60 * hours)


def read_cases(folder):
    return {name: state.case for name, state in ReviewQueue.read(folder / "reviews").states.items()}


def make_block(hours, budget=1.0, picked=1, deferred=0, number=0):
    return ReviewBlock(at(hours), {"a": (0, 1)}, picked, picked, budget, {}, deferred, number)


def make_deferred(hours, count):
    return [ReviewCase(f"{n}", [], 1.0, 1, at(hours + 8), None, at(hours)) for n in range(count)]


def compute(folder, hours, *entries):
    """The budget at an hour, of blocks and deferred cases in the review log."""
    append_to_new_segment(folder / "reviews", entries)
    return compute_budget(ReviewQueue.read(folder / "reviews", at(hours)), REVIEW)


def test_as_many_rows_as_the_budget_says_are_picked_each_with_its_chance(tmp_path):
    names = log_rows(tmp_path, 40)
    block = pick_cases(make_review_settings(tmp_path), RULED, 10, at(1))
    cases = read_cases(tmp_path)
    assert (block.rows, block.picked, block.budget, block.reasons) == (40, 10, 10, {"chance": 40})
    assert set(cases) < set(names)
    assert {tuple(case.reasons) for case in cases.values()} == {("chance",)}
    assert all(0 < case.probability <= 1 for case in cases.values())


def test_cases_whose_outcome_has_arrived_by_another_way_than_people_are_closed_once(tmp_path):
    reviews = make_review_settings(tmp_path)
    reported, reviewed, unknown = log_rows(tmp_path, 3)
    (pending,) = log_rows(tmp_path, 1, first=3, pending=True, due=at(99), default=False)
    pick_cases(reviews, DEFERRING, 5, at(1))
    log_labels(tmp_path, *(make_label_by_id(name, 42) for name in (reported, pending)), make_review_label(reviewed, 42))
    with closing(CasePicker(reviews, DEFERRING)) as picker:
        assert [picker.close_reported(at(2)), picker.close_reported(at(3))] == [1, 0]
    states = ReviewQueue.read(tmp_path / "reviews", at(4)).states
    assert {name: state.status for name, state in states.items() if state.status != "open"} == {
        reported: "outcome arrived"
    }
    assert set(states) == {reported, reviewed, unknown, pending}


def test_without_new_rows_there_is_no_block(tmp_path):
    reviews = make_review_settings(tmp_path)
    assert pick_cases(reviews, RULED, 10) is None
    log_rows(tmp_path, 3)
    assert pick_cases(reviews, RULED, 10).picked == 3
    assert pick_cases(reviews, RULED, 10) is None


def test_of_no_more_rows_than_the_budget_says_all_are_picked_for_certain(tmp_path):
    log_rows(tmp_path, 5)
    pick_cases(make_review_settings(tmp_path), RULED, 5)
    assert [case.probability for case in read_cases(tmp_path).values()] == [1] * 5


def test_a_block_waits_until_a_whole_row_may_be_picked_and_then_has_all_rows_since_the_last(tmp_path):
    reviews = make_review_settings(tmp_path)
    log_rows(tmp_path, 4)
    assert pick_cases(reviews, RULED, 0.7) is None
    log_rows(tmp_path, 4, first=4)
    block = pick_cases(reviews, RULED, 1.4)
    assert (block.rows, block.picked, block.budget) == (8, 1, 1.4)


def test_by_the_clock_a_block_waits_until_eight_rows_may_be_picked_or_a_days_budget(tmp_path):
    for folder, per_day, hours in (tmp_path / "many", 48, 4), (tmp_path / "few", 2, 24):
        reviews = make_review_settings(folder, per_day=per_day)
        log_rows(folder, per_day)
        assert pick_cases(reviews, RULED, now=at(0)).picked == per_day
        log_rows(folder, 20, first=per_day)
        assert pick_cases(reviews, RULED, now=at(hours - 0.1)) is None
        assert pick_cases(reviews, RULED, now=at(hours)).picked == min(8, per_day)


def test_what_is_left_of_the_budget_is_carried_over(tmp_path):
    assert compute(tmp_path, 0.5, make_block(0, 1.75, 1)) == pytest.approx(1.25)


def test_nothing_older_than_a_day_is_left_over(tmp_path):
    assert compute(tmp_path / "few", 12, make_block(0, 20, 1)) == 24
    assert compute(tmp_path, 100, make_block(0, 1, 1)) == pytest.approx(24 * 100 / 24)


def test_the_first_block_has_a_days_budget(tmp_path):
    assert compute(tmp_path, 0) == 24


@pytest.mark.slow
def test_deferred_rows_count_against_the_budget_but_leave_the_share_of_chance(tmp_path):
    assert compute(tmp_path / "two", 4, make_block(0), *make_deferred(1, 2)) == pytest.approx(2)
    flood = [make_block(0), *make_deferred(1, 500)]
    assert compute(tmp_path / "flood", 4, *flood) == pytest.approx(1)
    assert compute(tmp_path / "paid", 6, *flood, make_block(4, deferred=500)) == pytest.approx(2)


def test_where_nothing_but_deferred_rows_was_picked_yet_the_budget_grows_all_the_same(tmp_path):
    assert compute(tmp_path / "flood", 0, *make_deferred(0, 500)) == pytest.approx(6)
    assert compute(tmp_path / "later", 8, *make_deferred(0, 500)) == pytest.approx(8)


def test_after_many_deferred_rows_rows_are_drawn_by_the_share_of_chance(tmp_path):
    reviews = make_review_settings(tmp_path, per_day=10, chance_share=0.2)
    log_rows(tmp_path, 50, pending=True, due=at(8), default=False)
    log_rows(tmp_path, 20, first=50)
    assert pick_cases(reviews, DEFERRING, now=at(0)) is None
    assert pick_cases(reviews, DEFERRING, now=at(71)) is None
    assert pick_cases(reviews, DEFERRING, now=at(72)).picked == 8


def test_a_clock_that_is_put_back_takes_nothing_off_the_budget_and_gives_a_day_at_most(tmp_path):
    assert compute(tmp_path / "some", -5, make_block(0, 1.5, 1)) == pytest.approx(5.5)
    assert compute(tmp_path / "days", -240, make_block(0, 1.5, 1)) == 24
    again = make_block(0, 24, 1), make_block(-240, 24, 24, number=1)
    assert compute(tmp_path / "again", -239, *again) == pytest.approx(1)


def test_after_the_clock_was_put_back_by_days_no_more_is_picked_than_by_its_time_since(tmp_path):
    reviews, picked = make_review_settings(tmp_path, per_day=48), []
    for hour in (240, 0, 1, 2, 3, 4):
        log_rows(tmp_path, 100, first=100 * hour)
        block = pick_cases(reviews, RULED, now=at(hour))
        picked.append(block and block.picked)
    assert picked == [48, 48, None, None, None, 8]


def test_rows_with_a_label_are_not_asked(tmp_path):
    names = log_rows(tmp_path, 4)
    log_labels(tmp_path, make_label_by_id(names[0], 5), make_label_by_id(names[2], 50))
    block = pick_cases(make_review_settings(tmp_path), RULED, 4)
    assert (block.rows, block.labelled) == (2, 2)
    assert set(read_cases(tmp_path)) == {names[1], names[3]}


def test_a_row_that_was_explored_takes_part_though_it_has_a_label_as_chance_must_not_change_who_is_asked(tmp_path):
    (name,) = log_rows(tmp_path, 1, explored=True, explore_share=0.1)
    log_labels(tmp_path, make_label_by_id(name, 5))
    block = pick_cases(make_review_settings(tmp_path), RULED, 4)
    assert (block.rows, block.labelled, set(read_cases(tmp_path))) == (1, 0, {name})


def test_a_rule_that_routes_rows_to_people_is_their_reason(tmp_path):
    (name,) = log_rows(tmp_path, 1, review=True, rules=["look", "change"])
    log_rows(tmp_path, 9, first=1)
    block = pick_cases(make_review_settings(tmp_path), RULED, 10)
    assert read_cases(tmp_path)[name].reasons == ["rule look"]
    assert block.reasons == {"rule look": 1, "chance": 9}


def test_a_rule_that_failed_is_named_where_people_are_to_look(tmp_path):
    (name,) = log_rows(tmp_path, 1, review=True, failed_rules=["change"])
    pick_cases(make_review_settings(tmp_path), RULED, 1)
    assert read_cases(tmp_path)[name].reasons == ["rule change"]


def test_a_deferred_row_is_picked_at_once_and_for_certain_even_without_a_budget(tmp_path):
    deferred = {"pending": True, "rules": ["change"], "review": True, "due": at(8), "default": False}
    (name,) = log_rows(tmp_path, 1, **deferred)
    log_rows(tmp_path, 5)
    assert pick_cases(make_review_settings(tmp_path, per_day=0), DEFERRING, now=at(1)) is None
    (case,) = read_cases(tmp_path).values()
    assert (case.prediction, case.probability, case.due, case.default) == (name, 1, at(8), False)
    assert case.reasons == ["rule change"]


def test_a_deferred_row_is_in_no_draw_and_never_a_case_twice(tmp_path):
    (name,) = log_rows(tmp_path, 1, pending=True, due=at(8), default=False)
    log_rows(tmp_path, 3, first=1)
    reviews = make_review_settings(tmp_path)
    block = pick_cases(reviews, RULED, 9)
    assert (block.rows, block.deferred) == (3, 1)
    assert CasePicker(reviews, RULED).pick_deferred() == 0
    assert [entry["prediction"] for entry in read_entries(tmp_path / "reviews") if entry["is"] == "case"].count(
        name
    ) == 1


def test_a_picker_that_runs_on_takes_in_what_is_new_and_outlives_a_full_disk(tmp_path, monkeypatch):
    picker = CasePicker(make_review_settings(tmp_path), DEFERRING)
    assert picker.pick_deferred() == 0
    names = log_rows(tmp_path, 2, pending=True, due=at(8), default=False)
    with monkeypatch.context() as full:
        full.setattr(LogWriter, "append", lambda *_: (_ for _ in ()).throw(OSError("full")))
        with pytest.raises(OSError, match="full"):
            picker.pick_deferred()
    assert picker.pick_deferred() == 2
    assert set(read_cases(tmp_path)) == set(names)


def test_without_a_rule_that_defers_the_log_is_read_once_for_what_one_that_is_gone_has_deferred(tmp_path, monkeypatch):
    picker = CasePicker(make_review_settings(tmp_path), RULED)
    names = log_rows(tmp_path, 2, pending=True, due=at(8), default=False)
    assert (picker.pick_deferred(), set(read_cases(tmp_path))) == (2, set(names))
    monkeypatch.setattr(case_picker, "read_tail", None)
    log_rows(tmp_path, 1, first=2)
    assert picker.pick_deferred() == 0


def test_a_deferred_row_that_is_logged_just_before_a_draw_is_asked_though_the_picker_ends_then(tmp_path):
    reviews = make_review_settings(tmp_path)
    with closing(CasePicker(reviews, DEFERRING)) as picker:
        assert picker.pick_deferred() == 0
        (name,) = log_rows(tmp_path, 1, pending=True, due=at(8), default=False)
        log_rows(tmp_path, 3, first=1)
        assert picker.pick(9).picked == 3
    assert read_cases(tmp_path)[name].due == at(8)
    assert CasePicker(reviews, DEFERRING).pick_deferred() == 0


def test_of_a_row_that_was_asked_about_twice_one_is_drawn(tmp_path):
    reviews = make_review_settings(tmp_path)
    log_rows(tmp_path, 3)
    log_rows(tmp_path, 3)
    assert pick_cases(reviews, RULED, 9).rows == 3
    log_rows(tmp_path, 4)
    assert pick_cases(reviews, RULED, 9).rows == 1


def test_about_the_stated_share_of_cases_is_asked_of_two(tmp_path):
    log_rows(tmp_path, 400)
    pick_cases(make_review_settings(tmp_path, double_share=0.25), RULED, 400)
    asked = [case.reviewers for case in read_cases(tmp_path).values()]
    assert set(asked) == {1, 2}
    assert asked.count(2) == pytest.approx(100, abs=30)


def test_killed_before_the_block_is_written_the_next_pass_picks_the_same_rows(tmp_path):
    log_rows(tmp_path, 30)
    reviews = make_review_settings(tmp_path)
    block = pick_cases(reviews, RULED, 5, at(1))
    cases = read_cases(tmp_path)
    (path,) = list_segments(tmp_path / "reviews")
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    assert read_cases(tmp_path) == {}
    assert pick_cases(reviews, RULED, 5, at(1)) == block
    assert read_cases(tmp_path) == cases


def test_a_long_log_is_taken_in_several_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(case_picker, "MAX_BLOCK_BYTES", 1)
    for first in range(0, 9, 3):
        log_rows(tmp_path, 3, first=first)
    reviews = make_review_settings(tmp_path)
    assert [block and block.rows for block in (pick_cases(reviews, RULED, 9) for _ in range(4))] == [3, 3, 3, None]


@pytest.mark.slow
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 12), st.floats(0, 6)), min_size=1, max_size=6))
def test_every_row_is_in_exactly_one_block_whatever_the_times_and_writers(tmp_path_factory, steps):
    folder = tmp_path_factory.mktemp("log")
    writers = [LogWriter(folder / "predictions") for _ in range(3)]
    reviews, rows, seen = make_review_settings(folder), 0, 0
    for writer, count, budget in steps:
        if writer < 3 and count:
            writers[writer].append([encode_json(make_row(rows + number)) for number in range(count)])
            rows += count
        block = pick_cases(reviews, RULED, budget)
        seen += block.rows if block else 0
    last = pick_cases(reviews, RULED, 9)
    assert seen + (last.rows if last else 0) == rows
    spans = [
        (name, *span) for block in ReviewQueue.read(folder / "reviews").blocks for name, span in block.spans.items()
    ]
    assert sum(end - start for _, start, end in spans) == sum(
        path.stat().st_size for path in (folder / "predictions").glob("*.jsonl")
    )


@pytest.mark.slow
def test_totals_over_all_rows_follow_from_the_picked_ones(tmp_path):
    reviews, weighed = make_review_settings(tmp_path, chance_share=0.5), Counter()
    for first in range(0, 1500, 100):
        log_rows(tmp_path, 10, first=first, review=True, rules=["look"])
        log_rows(tmp_path, 90, first=first + 10)
        pick_cases(reviews, RULED, 24)
    for case in read_cases(tmp_path).values():
        weighed[case.reasons[0]] += 1 / case.probability
    assert weighed["rule look"] == pytest.approx(150, rel=0.3)
    assert weighed["chance"] == pytest.approx(1350, rel=0.35)  # five standard errors
