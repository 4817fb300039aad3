"""Estimates of all rows from those that were picked with known chances and answered."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penumbra.reviews.measures.estimates import describe_estimate, estimate_mean, estimate_rate
from penumbra.reviews.selection.sampling import draw_by_priority, mix_weights

NO_ANSWER = math.nan
ROWS, NEEDED, BUDGET = 600, 60, 40


def estimate(events, probabilities):
    return estimate_rate(np.array(events, float), np.array(probabilities, float))


def estimate_by_parts(seed, answered_share):
    """Of thirty deferred rows, half of which are wrong, all are answered; of the drawn ones a share."""
    random = np.random.default_rng(seed)
    is_needed = np.arange(ROWS) < NEEDED
    errors = random.random(ROWS) < np.where(is_needed, 0.3, 0.03)
    weights = mix_weights([["close call"]] * NEEDED + [[]] * (ROWS - NEEDED), 0.2)
    picked, chances = draw_by_priority(weights, 1 - random.random(ROWS), BUDGET)
    first = random.random(30) < 0.5
    events = np.where(random.random(BUDGET) < answered_share, errors[picked], NO_ANSWER)
    deferred = np.repeat([True, False], [30, BUDGET])
    chances = np.concatenate([np.ones(30), chances[picked]])
    found = estimate_rate(np.concatenate([first, events]), chances, deferred=deferred)
    return (first.sum() + errors.sum()) / (30 + ROWS), found


def draw_estimates(seed, blocks=5):
    """A truth of mostly few errors, which are ten times as frequent where a row is needed; weighted and plain rate."""
    random = np.random.default_rng(seed)
    weights = mix_weights([["close call"]] * NEEDED + [[]] * (ROWS - NEEDED), 0.2)
    errors = random.random((blocks, ROWS)) < np.where(np.arange(ROWS) < NEEDED, 0.5, 0.05)
    drawn = [draw_by_priority(weights, 1 - random.random(ROWS), BUDGET) for _ in range(blocks)]
    events = np.concatenate([row[picked] for row, (picked, _) in zip(errors, drawn, strict=True)])
    chances = np.concatenate([probabilities[picked] for picked, probabilities in drawn])
    return errors.mean(), estimate_rate(events.astype(float), chances), events.mean()


def test_a_picked_row_stands_for_as_many_as_its_chance_says():
    assert estimate([1, 0, 0], [1.0, 0.5, 0.5]).value == pytest.approx(1 / 5)
    assert estimate_mean(np.array([3.0, 1.0, 1.0]), np.array([0.5, 1.0, 1.0])).value == pytest.approx(8 / 4)


def test_where_all_rows_are_known_nothing_is_left_open():
    known = estimate([1, 0, 0, 0], [1, 1, 1, 1])
    assert (known.low, known.value, known.high) == (0.25, 0.25, 0.25)


def test_where_no_error_was_seen_there_may_still_be_some():
    few, many = estimate([0] * 20, [0.02] * 20), estimate([0] * 200, [0.02] * 200)
    assert few.value == few.low == 0
    assert 0.1 < few.high < 0.3
    assert 0.01 < many.high < 0.03


def test_errors_that_were_looked_for_do_not_count_for_the_rest():
    found = estimate([1] * 20 + [0] * 20, [1.0] * 20 + [0.02] * 20)
    assert found.value == pytest.approx(20 / 1020)
    assert found.low < 0.02 < found.high < 0.3


def test_a_row_without_an_answer_is_taken_to_be_like_the_others_and_that_is_said():
    some = estimate([1, 0, NO_ANSWER], [0.5, 0.5, 0.25])
    assert some.value == 0.5
    assert (some.picked, some.answered, some.unanswered_share) == (3, 2, 0.5)


def test_where_all_were_picked_and_not_all_answered_something_is_left_open():
    some = estimate([1, 0] * 10 + [NO_ANSWER] * 20, [1.0] * 40)
    assert some.low < 0.4 < some.value < 0.6 < some.high


def test_without_an_answer_nothing_is_known():
    none = estimate([NO_ANSWER] * 3, [0.5] * 3)
    assert math.isnan(none.value)
    assert (none.low, none.high, none.unanswered_share) == (0, 1, 1)
    assert describe_estimate(none, "error rate") == "no error rate yet: none of 3 picked rows is answered"
    assert (estimate([], []).low, estimate([], []).high) == (0, 1)
    assert math.isinf(estimate_mean(np.array([1.0]), np.array([0.5])).high)


def test_few_answers_are_told_by_what_they_leave_open():
    told = describe_estimate(estimate([1, 0, 0, NO_ANSWER], [0.1] * 4), "error rate")
    assert told.startswith("too few answers to name the error rate, which is ")
    assert told.endswith(" % (95 %), from 3 of 4 picked rows, which leave 25 % of all unanswered")
    enough = describe_estimate(estimate([1] + [0] * 49, [0.1] * 50), "error rate")
    assert enough.startswith("error rate 2.0 % (95 %: ")


def test_deferred_rows_that_are_answered_first_say_nothing_of_the_drawn_ones():
    deferred = np.repeat([True, False], [40, 50])
    chances = np.where(deferred, 1.0, 0.01)
    events = np.where(deferred, np.arange(90) % 2, NO_ANSWER)
    open_still = estimate_rate(events, chances, deferred=deferred)
    assert math.isnan(open_still.value)
    assert (open_still.low, open_still.high, open_still.answered, open_still.picked) == (0, 1, 0, 50)
    assert describe_estimate(open_still, "error rate") == "no error rate yet: none of 50 picked rows is answered"
    alone = estimate_rate(events[:40], chances[:40], deferred=deferred[:40])
    assert describe_estimate(alone, "error rate") == "no error rate yet: no row was drawn"


def test_deferred_and_drawn_rows_each_stand_for_their_own():
    deferred = np.repeat([True, False], 20)
    events = np.concatenate([np.ones(10), np.full(10, NO_ANSWER), np.zeros(10), np.full(10, NO_ANSWER)])
    found = estimate_rate(events, np.where(deferred, 1.0, 0.1), deferred=deferred)
    assert (found.value, found.unanswered_share) == (pytest.approx(20 / 220), 0.5)


def test_of_deferred_rows_none_of_which_is_answered_all_may_be_wrong():
    deferred = np.repeat([True, False], 20)
    events = np.where(deferred, NO_ANSWER, 0.0)
    found = estimate_rate(events, np.where(deferred, 1.0, 0.5), deferred=deferred)
    assert found.low == 0
    assert found.high > 20 / 60


def test_where_the_rows_that_stand_for_many_are_left_open_little_is_known():
    left = estimate([1, 0] * 20 + [NO_ANSWER] * 10, [0.9] * 40 + [0.01] * 10)
    assert not left.is_certain_enough
    assert left.high - left.low > 0.6
    assert estimate([1, 0] * 20 + [NO_ANSWER] * 10, [0.5] * 50).is_certain_enough


def test_a_chance_that_is_none_is_refused():
    with pytest.raises(ValueError, match=r"0\.0 is no chance of a picked row"):
        estimate([1, 0], [0.5, 0.0])


def test_days_that_differ_leave_more_open_than_their_rows():
    events, chances = np.repeat([1.0, 0.0, 0.0, 1.0], 25), np.full(100, 0.1)
    rows, days = (estimate_rate(events, chances, of) for of in (None, np.repeat(np.arange(4), 25)))
    assert rows.value == days.value
    assert days.high - days.low > 2 * (rows.high - rows.low)
    alone = estimate_rate(events, chances, np.zeros(100, np.int64))
    assert (alone.low, alone.high) == (0, 1)


@given(st.lists(st.tuples(st.sampled_from([0.0, 1.0, NO_ANSWER]), st.floats(1e-4, 1)), min_size=1, max_size=30))
def test_a_rate_lies_in_its_interval_and_that_between_0_and_1(rows):
    found = estimate(*zip(*rows, strict=True))
    assert 0 <= found.low <= found.high <= 1
    assert math.isnan(found.value) or found.low - 1e-9 <= found.value <= found.high + 1e-9


@given(st.integers(0, 2**32 - 1))
def test_the_same_rows_in_another_order_say_the_same(seed):
    random = np.random.default_rng(seed)
    events, chances = random.integers(0, 2, 20).astype(float), random.uniform(0.01, 1, 20)
    order = random.permutation(20)
    one, other = estimate_rate(events, chances), estimate_rate(events[order], chances[order])
    assert (one.low, one.high) == pytest.approx((other.low, other.high))


@pytest.mark.slow
def test_the_interval_covers_the_truth_and_the_plain_rate_is_beside_it():
    drawn = [draw_estimates(seed) for seed in range(300)]
    covered = np.mean([found.low <= truth <= found.high for truth, found, _ in drawn])
    assert 0.92 <= covered <= 0.99
    assert np.mean([found.value - truth for truth, found, _ in drawn]) == pytest.approx(0, abs=0.01)
    assert min(plain - truth for truth, _, plain in drawn) > 0.05


@pytest.mark.parametrize("answered_share", [0.3, 0.6, 1.0])
def test_the_interval_covers_the_truth_though_deferred_rows_are_answered_first(answered_share):
    drawn = [estimate_by_parts(seed, answered_share) for seed in range(200)]
    assert np.mean([found.low <= truth <= found.high for truth, found in drawn]) >= 0.93
