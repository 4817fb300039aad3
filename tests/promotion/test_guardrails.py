import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penumbra.core.settings import load_settings
from penumbra.core.task import Task
from penumbra.promotion.guardrails import MIN_GUARDRAIL_ROWS, find_guardrail_faults

LIMITS = load_settings(environ={}).promotion
BINARY = Task("binary")
LIVE = np.linspace(0.05, 0.6, 200) ** 2 + 0.01
MANY = np.tile(LIVE, 5)
SEVERAL = np.column_stack([LIVE, 0.9 * (1 - LIVE), 0.1 * (1 - LIVE)])


def broken(candidate, live=LIVE, task=BINARY, **seen):
    return [fault.what for fault in find_guardrail_faults(task, live, np.asarray(candidate), LIMITS, **seen)]


@pytest.mark.parametrize("candidate", [LIVE, LIVE**1.1, np.roll(LIVE, 20), LIVE + 0.2])
def test_a_healthy_candidate_goes_on_though_its_scores_differ(candidate):
    assert broken(candidate) == []


def test_a_constant_is_named_with_its_spread_and_the_usual_one():
    (fault,) = find_guardrail_faults(BINARY, LIVE, np.full(200, 0.1), LIMITS)
    assert fault.what == "constant"
    assert f"0 where the live model's is {LIVE.std():.3g}" in fault.text


def test_a_baseline_that_varies_at_the_last_digits_is_a_constant():
    assert broken(0.1 + LIVE * 1e-6) == ["constant"]


def test_where_the_live_model_is_constant_itself_a_constant_is_no_fault():
    assert broken(np.full(200, 0.1), live=np.full(200, 0.2)) == []


def test_scores_of_the_other_class_are_found_inverted():
    assert broken(1 - LIVE) == ["inverted"]


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -0.2, 1.2])
def test_predictions_that_are_no_probabilities_are_unusable_beyond_the_limit(wrong):
    few, many = LIVE.copy(), LIVE.copy()
    few[:2], many[:3] = wrong, wrong
    assert (broken(few), broken(many)) == ([], ["unusable"])


def test_rounding_just_above_1_is_no_fault():
    assert broken(np.append(LIVE[:-1], 1 + 1e-7)) == []


def test_nothing_but_nan_is_unusable():
    assert broken(np.full(200, np.nan)) == ["unusable"]


def test_any_number_is_usable_in_a_regression_but_nan():
    metres = LIVE * 1000
    assert broken(metres - 10, live=metres, task=Task("regression")) == []
    assert broken(np.append(metres[:-9], [np.nan] * 9), live=metres, task=Task("regression")) == ["unusable"]


def test_a_wrong_shape_is_named_with_both_shapes():
    (fault,) = find_guardrail_faults(BINARY, LIVE, SEVERAL, LIMITS)
    assert (fault.what, "(200, 3)" in fault.text, "(200,)" in fault.text) == ("shape", True, True)


def test_several_classes_are_looked_at_column_by_column():
    task = Task("multiclass", ("a", "b", "c"))
    seen = [broken(each, SEVERAL, task) for each in (SEVERAL, SEVERAL[:, ::-1], np.tile(SEVERAL[0], (200, 1)))]
    assert [found[:1] for found in seen] == [[], ["inverted"], ["constant"]]


def test_scores_far_from_live_are_a_fault_unless_the_candidate_always_gave_such():
    high = 0.8 + MANY / 10
    assert broken(high, live=MANY) == ["distribution"]
    assert broken(high, live=MANY, reference=high[::2]) == []


def test_the_distribution_is_not_judged_by_the_rows_of_an_hour_or_two():
    assert broken(0.8 + MANY[:-1] / 10, live=MANY[:-1]) == []


@pytest.mark.parametrize(("errors", "found"), [(2, []), (3, ["errors"])])
def test_a_candidate_that_fails_on_more_rows_than_the_limit_is_stopped(errors, found):
    assert broken(LIVE, errors=errors) == found


def test_a_candidate_that_always_fails_is_stopped():
    assert broken(LIVE[:0], live=LIVE[:0], errors=MIN_GUARDRAIL_ROWS) == ["errors"]


@pytest.mark.parametrize(("slow", "found"), [(1, []), (5, ["latency"])])
def test_a_candidate_that_is_too_slow_for_more_than_1_row_in_100_is_stopped(slow, found):
    assert broken(LIVE, milliseconds=np.array([1.0] * (200 - slow) + [900.0] * slow)) == found


@given(st.integers(0, MIN_GUARDRAIL_ROWS - 1))
def test_nobody_is_judged_by_fewer_than_a_hundred_rows(rows):
    assert broken(np.full(rows, np.nan), live=LIVE[:rows]) == []


@pytest.mark.slow
@given(st.lists(st.floats(0, 1), min_size=MIN_GUARDRAIL_ROWS, max_size=150))
def test_the_live_model_held_against_itself_is_never_at_fault(scores):
    assert broken(scores, live=np.array(scores)) == []
