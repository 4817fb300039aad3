"""Business rules on one record: what holds, what is done, in which order, and what becomes of rules that fail."""

import datetime as dt
import sys
from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penumbra.rules import (
    Answer,
    Between,
    Clamp,
    CloseCall,
    Defer,
    FewRows,
    ModelPriors,
    OneOf,
    Outside,
    Override,
    Refuse,
    Review,
)
from problem.rules import RULES
from problem.schema import Row
from service.http.refusals import build_rule_refusal
from service.inference.rules.frame_rules import FramePredictions
from service.inference.rules.rule_engine import RefusedByRule, RuleEngine
from tests.service.inference.rules.ruled_flights import BINARY, FLIGHT, NUMBER, is_condition_met, read_counter, rule


class Broken:
    """A condition that can't be asked."""

    words = "it is Tuesday"

    def test(self, priors):
        return lambda record, prediction: record["weekday"] == 2


class Unprepared:
    """A condition that knows what to do of versions with another category only."""

    words = "the runway is short"

    def test(self, priors):
        short = priors.counts["runway"]
        return lambda record, prediction: record["runway"] in short


def apply_rules(*rules, record=FLIGHT, prediction=0.7, priors=BINARY, on_error="review"):
    """What is said in the end of one record."""
    ready = RuleEngine(rules, priors, lambda p: p >= 0.5, on_error)
    ruled, failed = ready.apply_before(record)
    return ruled or ready.apply_after(record, prediction, failed)


@pytest.mark.parametrize(("dest", "expected"), [("ORD", False), ("BGR", True), ("XXX", True), (None, False)])
def test_few_rows_holds_for_values_that_the_model_learnt_from_few_rows_or_none(dest, expected):
    assert is_condition_met(FewRows("dest", below=3), {"dest": dest}) is expected


def test_few_rows_never_holds_with_a_model_that_does_not_say_what_it_learnt_from():
    assert not is_condition_met(FewRows("dest", below=3), {"dest": "XXX"}, priors=ModelPriors(0.5))


@pytest.mark.parametrize(("value", "expected"), [(9, False), (10, True), (20, True), (21, False), (None, False)])
def test_between_holds_within_both_ends_and_never_for_a_missing_value(value, expected):
    assert is_condition_met(Between("distance", 10, 20), {"distance": value}) is expected


def test_one_of_holds_for_the_values_named():
    assert is_condition_met(OneOf("dest", ["ORD", "LAX"]))
    assert not is_condition_met(OneOf("dest", ["LAX"]))


@pytest.mark.parametrize(("probability", "expected"), [(0.44, False), (0.46, True), (0.54, True), (0.56, False)])
def test_a_close_call_is_near_the_threshold(probability, expected):
    assert is_condition_met(CloseCall(0.05), prediction=probability) is expected


def test_a_close_call_of_classes_is_a_narrow_lead():
    classes = ModelPriors(float("nan"))
    assert is_condition_met(CloseCall(0.1), prediction=[0.1, 0.47, 0.43], priors=classes)
    assert not is_condition_met(CloseCall(0.1), prediction=[0.1, 0.6, 0.3], priors=classes)


def test_outside_holds_beyond_either_end():
    assert [is_condition_met(Outside(0.1, 0.9), prediction=p) for p in (0.05, 0.1, 0.9, 0.95)] == [
        True,
        False,
        False,
        True,
    ]


def test_without_rules_that_hold_nothing_is_marked():
    assert apply_rules(rule(OneOf("dest", ["LAX"]), Review()), rule(OneOf("dest", ["LAX"]), Answer())) == (
        0.7,
        True,
        {},
    )


def test_a_rule_answers_without_the_model_by_the_baseline():
    assert apply_rules(rule(OneOf("dest", ["ORD"]), Answer())) == (0.2, False, {"rules": ["it"]})


def test_a_rule_answers_without_the_model_as_it_says():
    assert apply_rules(rule(OneOf("dest", ["ORD"]), Answer(0.9, False))) == (0.9, False, {"rules": ["it"]})


def test_the_first_rule_before_the_model_ends_it():
    always = OneOf("dest", ["ORD"])
    assert apply_rules(rule(always, Answer(0.9), "one"), rule(always, Answer(0.1), "two"))[2] == {"rules": ["one"]}


def test_rules_after_the_model_do_not_judge_what_a_rule_answered():
    assert apply_rules(rule(OneOf("dest", ["ORD"]), Answer(0.5)), rule(CloseCall(0.1), Review()))[2] == {
        "rules": ["it"]
    }


def test_a_refusal_names_the_rule_and_the_reason():
    refusing = rule(OneOf("dest", ["ORD"]), Refuse(), "no_ord")
    with pytest.raises(RefusedByRule) as caught:
        apply_rules(refusing)
    answer = build_rule_refusal([(None, caught.value.rule)], 1)
    assert (answer.status, str(answer)) == (422, "the record is refused (no_ord: because), nothing was predicted")
    assert answer.details[0]["rule"] == "no_ord"


def test_the_refusal_of_a_list_says_which_records():
    refusing = rule(OneOf("dest", ["ORD"]), Refuse(), "no_ord")
    answer = build_rule_refusal([(3, refusing), (5, refusing)], 9)
    assert "2 of 9 records" in str(answer)
    assert [fault["index"] for fault in answer.details] == [3, 5]


def test_an_override_changes_the_decision_and_leaves_the_probability():
    assert apply_rules(rule(OneOf("dest", ["ORD"]), Override(False))) == (0.7, False, {"rules": ["it"]})


def test_an_override_of_a_number_is_the_answer():
    override = rule(OneOf("dest", ["ORD"]), Override(30.0))
    assert apply_rules(override, priors=NUMBER, prediction=12.5)[:2] == (30.0, 30.0)


def test_a_clamp_brings_the_prediction_into_the_interval_and_decides_by_that():
    assert apply_rules(rule(Outside(0.0, 0.4), Clamp(0.0, 0.4))) == (0.4, False, {"rules": ["it"]})


def test_review_marks_the_answer_and_leaves_it_as_it_is():
    assert apply_rules(rule(CloseCall(0.3), Review())) == (0.7, True, {"rules": ["it"], "review": True})


def test_a_decision_that_is_left_to_people_is_pending_until_its_default_counts():
    before = dt.datetime.now(dt.UTC)
    prediction, decision, marks = apply_rules(rule(CloseCall(0.3), Defer(hours=4, default=False)))
    assert (prediction, decision) == (0.7, True)
    due = marks.pop("due")
    assert marks == {"rules": ["it"], "review": True, "pending": True, "default": False}
    assert before + dt.timedelta(hours=3.99) < due <= dt.datetime.now(dt.UTC) + dt.timedelta(hours=4)


def test_without_a_default_what_was_answered_in_the_end_counts():
    rules = rule(CloseCall(0.3), Defer(4), "one"), rule(CloseCall(0.3), Override(False), "two")
    _, decision, marks = apply_rules(*rules)
    assert (decision, marks["default"]) == (False, False)


def test_of_several_rules_that_leave_it_to_people_the_first_says_for_how_long():
    rules = rule(CloseCall(0.3), Defer(4, True), "one"), rule(CloseCall(0.3), Defer(1, False), "two")
    marks = apply_rules(*rules)[2]
    assert marks["default"] is True
    assert marks["due"] > dt.datetime.now(dt.UTC) + dt.timedelta(hours=3)


def test_all_rules_after_the_model_that_hold_are_named_in_order():
    marks = apply_rules(rule(CloseCall(0.3), Review(), "one"), rule(Outside(0.0, 0.6), Clamp(0.0, 0.6), "two"))[2]
    assert marks["rules"] == ["one", "two"]


@pytest.mark.parametrize("then", [Refuse(), Answer(), Override(False), Clamp(0.0, 0.1), Review()])
def test_a_rule_that_raises_is_named_and_the_row_goes_to_review(then):
    assert apply_rules(rule(Broken(), then)) == (0.7, True, {"review": True, "failed_rules": ["it"]})


def test_a_rule_that_raises_can_be_passed_over():
    assert apply_rules(rule(Broken(), Refuse()), on_error="model") == (0.7, True, {"failed_rules": ["it"]})


def test_a_rule_that_raises_can_make_the_answer_the_baseline():
    assert apply_rules(rule(Broken(), Review()), on_error="baseline") == (0.2, False, {"failed_rules": ["it"]})


def test_a_rule_that_raises_goes_to_review_where_there_is_no_baseline():
    ruled = apply_rules(rule(Broken(), Review()), priors=ModelPriors(0.5), on_error="baseline")
    assert ruled == (0.7, True, {"review": True, "failed_rules": ["it"]})


def test_an_answer_by_the_baseline_fails_where_the_bundle_has_none():
    ruled = apply_rules(rule(OneOf("dest", ["ORD"]), Answer()), priors=ModelPriors(0.5))
    assert ruled == (0.7, True, {"review": True, "failed_rules": ["it"]})


def test_a_rule_that_raises_does_not_keep_the_others_from_being_applied():
    marks = apply_rules(rule(Broken(), Review(), "broken"), rule(CloseCall(0.3), Override(False), "close"))[2]
    assert marks == {"rules": ["close"], "review": True, "failed_rules": ["broken"]}


@pytest.mark.parametrize("hours", [Decimal("0.5"), np.float32(0.5), np.int64(1)])
def test_an_answer_is_deferred_by_hours_of_any_kind_of_number(hours):
    marks = apply_rules(rule(CloseCall(0.3), Defer(hours)))[2]
    assert marks["due"] > dt.datetime.now(dt.UTC) + dt.timedelta(minutes=20)


def test_a_condition_that_cannot_be_prepared_for_a_version_fails_for_each_record_and_keeps_no_version_out():
    rules = rule(Unprepared(), Refuse(), "short"), rule(CloseCall(0.3), Override(False), "close")
    assert apply_rules(*rules) == (0.7, False, {"rules": ["close"], "review": True, "failed_rules": ["short"]})
    rows = pl.DataFrame([FLIGHT])
    ready = RuleEngine(rules, BINARY, lambda p: p >= 0.5, "review")
    for _ in range(2):
        ruled = ready.rule_rows(FramePredictions(rows, rows, np.array([0.9])))
        assert ruled.concerned[0] or ruled.marks[ruled.codes[0]]["failed_rules"] == ["short"]


def test_a_condition_on_the_prediction_is_refused_before_the_model():
    with pytest.raises(ValueError, match="rule it: refuse is before the model"):
        rule(CloseCall(0.1), Refuse())


def test_rules_that_fire_and_rules_that_fail_are_counted():
    before = (
        read_counter("penumbra_rules_fired_total", rule="shut"),
        read_counter("penumbra_rule_failures_total", rule="odd"),
    )
    apply_rules(rule(Broken(), Review(), "odd"), rule(OneOf("dest", ["ORD"]), Override(False), "shut"))
    after = (
        read_counter("penumbra_rules_fired_total", rule="shut"),
        read_counter("penumbra_rule_failures_total", rule="odd"),
    )
    assert after == (before[0] + 1, before[1] + 1)


@given(st.lists(st.tuples(st.sampled_from(["ORD", "BGR", "XXX"]), st.floats(0, 1)), max_size=5))
def test_what_is_said_of_a_record_does_not_depend_on_those_before_it(rows):
    rules = (rule(FewRows("dest", 3), Answer(), "few"), rule(CloseCall(0.2), Review(), "close"))
    ready = RuleEngine(rules, BINARY, lambda p: p >= 0.5, "review")
    together = [ready.apply_before({"dest": d})[0] or ready.apply_after({"dest": d}, p) for d, p in rows]
    assert together == [apply_rules(*rules, record={"dest": d}, prediction=p) for d, p in rows]


def test_the_problems_rules_have_names_of_their_own_and_look_at_columns_that_exist():
    assert len({each.name for each in RULES}) == len(RULES)
    columns = {each.when.column for each in RULES if hasattr(each.when, "column")}
    assert columns <= set(Row.columns())


class Exiting:
    """A condition that ends the program."""

    words = "all is over"

    def test(self, priors):
        return lambda record, prediction: sys.exit(4)


@pytest.mark.parametrize("then", [Refuse(), Answer(), Review(), Clamp(0.1, 0.2)])
def test_a_rule_that_exits_is_one_that_fails(then):
    assert apply_rules(rule(Exiting(), then))[2] == {"review": True, "failed_rules": ["it"]}
    rows = pl.DataFrame([FLIGHT])
    ready = RuleEngine([rule(Exiting(), then)], BINARY, lambda p: p >= 0.5, "review")
    ruled = ready.rule_rows(FramePredictions(rows, rows, np.array([0.7])))
    assert ruled.concerned.all() or ruled.marks[ruled.codes[0]] == {"review": True, "failed_rules": ["it"]}
