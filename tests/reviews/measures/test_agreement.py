import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penumbra.reviews.measures.agreement import measure_agreement

# Krippendorff's own example: three people, 15 cases, each answered by some of them.
TEXTBOOK = [
    {"b": 1},
    {},
    {"b": 2, "c": 2},
    {"b": 1, "c": 1},
    {"b": 3, "c": 3},
    {"a": 3, "b": 3, "c": 4},
    {"a": 4, "b": 4, "c": 4},
    {"a": 1, "b": 3},
    {"a": 2, "c": 2},
    {"a": 1, "c": 1},
    {"a": 1, "c": 1},
    {"a": 3, "c": 3},
    {"a": 3, "c": 3},
    {},
    {"a": 3, "c": 4},
]


@pytest.mark.parametrize(("kind", "alpha"), [("multiclass", 0.691358), ("regression", 0.810845)])
def test_alpha_is_that_of_the_textbook_with_missing_answers(kind, alpha):
    agreement = measure_agreement(TEXTBOOK, kind)
    assert agreement.alpha == pytest.approx(alpha, abs=1e-6)
    assert (agreement.cases, agreement.differing) == (12, 3)


def test_few_cases_have_no_interval_and_that_is_said():
    agreement = measure_agreement(TEXTBOOK, "multiclass")
    assert agreement.interval is None
    assert str(agreement) == (
        "alpha 0.69 over 12 cases, of which 3 have answers that differ: "
        "no interval, as that takes 20 cases with two answers"
    )


def test_answers_that_are_all_the_same_have_no_alpha():
    assert str(measure_agreement([{"a": False, "b": False}] * 30, "binary")) == (
        "30 cases, of which 0 have answers that differ: no alpha, as all answers are the same"
    )


def test_a_value_that_only_single_answers_have_does_not_make_an_alpha():
    assert measure_agreement([{"a": False, "b": False}, {"a": True}], "binary").alpha is None


def test_without_a_case_of_two_answers_there_is_no_alpha():
    assert measure_agreement([{"a": True}, {"b": False}, {}], "binary").undefined == "no case has two answers"
    assert measure_agreement([], "regression").cases == 0


def test_people_who_always_agree_have_alpha_one_and_no_interval():
    agreement = measure_agreement([{"a": True, "b": True}, {"a": False, "b": False}] * 20, "binary")
    assert agreement.alpha == 1
    assert agreement.interval is None
    assert agreement.undefined == "too few answers differ"


def test_people_who_answer_by_chance_have_alpha_zero_within_the_interval():
    draw = random.Random(1).random
    low, high = measure_agreement([{"a": draw() < 0.5, "b": draw() < 0.5} for _ in range(200)], "binary").interval
    assert -0.2 < low < 0 < high < 0.2


@pytest.mark.slow
def test_intervals_cover_the_alpha_of_many_cases():
    rng = random.Random(2)
    covered = 0
    for _ in range(40):
        cases = [{name: truth ^ (rng.random() < 0.15) for name in "ab"} for truth in rng.choices([0, 1], [7, 3], k=40)]
        low, high = measure_agreement(cases, "binary").interval
        covered += low <= 0.440 <= high
    assert covered >= 36


def test_the_order_of_cases_hardly_matters():
    cases = [{"a": n % 3 == 0, "b": n % 4 == 0} for n in range(60)]
    first, turned = (measure_agreement(each, "binary") for each in (cases, cases[::-1]))
    assert first.alpha == turned.alpha
    assert first.interval == pytest.approx(turned.interval, abs=0.05)


@given(st.lists(st.dictionaries(st.sampled_from("abc"), st.sampled_from([True, False, None])), max_size=60))
def test_whatever_people_answer_there_is_an_alpha_with_an_interval_around_it_or_the_reason_why_not(cases):
    agreement = measure_agreement(cases, "binary")
    assert (agreement.interval is None) == (agreement.undefined != "")
    if agreement.interval:
        assert agreement.interval[0] <= agreement.alpha <= agreement.interval[1] <= 1


@pytest.mark.slow
def test_where_few_of_many_answers_differ_there_is_no_interval():
    same = [{"a": n % 2 == 0, "b": n % 2 == 0} for n in range(500)]
    for differing in (1, 2):
        agreement = measure_agreement(same + [{"a": True, "b": False}] * differing, "binary")
        assert (agreement.differing, agreement.interval is None) == (differing, differing == 1)


def test_the_latest_thousand_cases_count():
    agreement = measure_agreement([{"a": 1.0, "b": 2.0}] * 10 + [{"a": 1.0, "b": 1.0}] * 1000, "regression")
    assert (agreement.cases, agreement.differing) == (1000, 0)
