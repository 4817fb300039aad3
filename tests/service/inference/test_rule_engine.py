import datetime as dt
import sys
from collections import Counter
from dataclasses import dataclass

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from penumbra.features import Category
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
    Rule,
)
from problem.rules import RULES
from problem.schema import Row
from service.http.refusals import build_rule_refusal
from service.inference.frame_rules import FramePredictions
from service.inference.rule_engine import RefusedByRule, RuleEngine

BINARY = ModelPriors(0.5, {"dest": {"ORD": 500, "BGR": 2}}, 0.2, {"dest": Category("dest").scalar()})
FLIGHT = {"dest": "ORD", "distance": 700}


class Broken:
    """A condition that can't be asked."""

    words = "it is Tuesday"

    def test(self, priors):
        return lambda record, prediction: record["weekday"] == 2


NUMBER = ModelPriors(float("nan"))


def rule(when, then, name="it"):
    return Rule(name, "because", when, then)


def apply_rules(*rules, record=FLIGHT, prediction=0.7, priors=BINARY, on_error="review"):
    """What is said in the end of one record."""
    ready = RuleEngine(rules, priors, lambda p: p >= 0.5, on_error)
    ruled, failed = ready.apply_before(record)
    return ruled or ready.apply_after(record, prediction, failed)


def is_condition_met(when, record=FLIGHT, prediction=None, priors=BINARY):
    return when.test(priors)(record, prediction)


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


def test_a_condition_on_the_prediction_is_refused_before_the_model():
    with pytest.raises(ValueError, match="rule it: refuse is before the model"):
        rule(CloseCall(0.1), Refuse())


def read_counter(metric, **labels):
    return REGISTRY.get_sample_value(metric, labels) or 0.0


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


def test_rows_of_a_frame_whose_decision_is_deferred_have_their_own_one_as_the_default_unless_the_rule_says_which():
    rules = [
        rule(OneOf("dest", ["BGR"]), Defer(2), "own"),
        rule(OneOf("dest", ["XXX"]), Defer(3, default=False), "said"),
    ]
    rows = pl.DataFrame({"dest": ["BGR", "XXX", "ORD"]})
    ruled = RuleEngine(rules, BINARY, lambda p: p >= 0.5, "review").rule_rows(
        FramePredictions(rows, rows, np.array([0.6] * 3))
    )
    own, said, none = (ruled.marks[code] for code in ruled.codes)
    assert (own["rules"], own["pending"], own["default"]) == (["own"], True, None)
    assert (said["rules"], said["pending"], said["default"]) == (["said"], True, False)
    assert none == {}
    assert not ruled.concerned.any()


def test_the_last_rule_that_overrides_decides_for_rows_of_a_frame_as_long_as_none_changes_the_prediction():
    rules = [
        rule(OneOf("dest", ["BGR", "XXX"]), Override(True), "yes"),
        rule(OneOf("dest", ["XXX"]), Override(False), "no"),
        rule(Outside(0.0, 0.9), Clamp(0.0, 0.9), "most"),
    ]
    rows = pl.DataFrame({"dest": ["ORD", "BGR", "XXX", "XXX"]})
    ready = RuleEngine(rules, BINARY, lambda p: p >= 0.5, "review")
    ruled = ready.rule_rows(FramePredictions(rows, rows, np.array([0.2, 0.2, 0.2, 0.95])))
    assert [ruled.decisions[code] for code in ruled.codes] == [None, True, False, False]
    assert ruled.concerned.tolist() == [False, False, False, True]


def test_rows_of_a_frame_that_are_only_reviewed_get_the_marks_of_what_fired_and_are_counted():
    rules = [
        rule(CloseCall(0.2), Review(), "close_row"),
        rule(OneOf("dest", ["BGR"]), Review(), "rare_row"),
        rule(Outside(0.0, 0.9), Clamp(0.0, 0.9), "sure_row"),
    ]
    rows, before = (
        pl.DataFrame({"dest": ["ORD", "BGR", "BGR", "BGR"]}),
        read_counter("penumbra_rules_fired_total", rule="rare_row"),
    )
    ready = RuleEngine(rules, BINARY, lambda p: p >= 0.5, "review")
    ruled = ready.rule_rows(FramePredictions(rows, rows, np.array([0.2, 0.6, 0.2, 0.95])))
    marks = [None if asked else ruled.marks[code] for asked, code in zip(ruled.concerned, ruled.codes, strict=True)]
    both = {"rules": ["close_row", "rare_row"], "review": True}
    assert marks == [{}, both, {"rules": ["rare_row"], "review": True}, None]
    assert read_counter("penumbra_rules_fired_total", rule="rare_row") == before + 2


NUMBER_DTYPES = [pl.Int8, pl.Int16, pl.Int64, pl.UInt8, pl.UInt32, pl.UInt64, pl.Int128, pl.Float32, pl.Float64]
LIMITS = [-1, 0, 0.3, 2.5, 10, 300, 100_000, 2**53, 2**53 + 1, 2.0**53, 2**63, 1e19, 10**400, np.inf, -np.inf, np.nan]


def list_numbers(dtype):
    """Some values that a column may have: the usual ones, the ends of the dtype, and what a limit is near to."""
    wanted = [None, 0, 1, 3, 10, 127, *(2**53 + step for step in (-1, 0, 1, 2)), 2**63 - 1, 2**63]
    if dtype in (pl.Float32, pl.Float64):
        return pl.Series([*wanted, 0.1, 0.3, 2.5, -0.0, np.nan, np.inf, -np.inf], dtype=dtype, strict=False).to_list()
    ends = pl.select(least=dtype.min(), most=dtype.max()).row(0)
    return [value for value in [*wanted, -1, *ends] if value is None or ends[0] <= value <= ends[1]]


def rule_frame(rules, rows, outputs, priors=BINARY):
    """What rules say of a frame's rows in columns: decision and names of what fired; None for those they leave."""
    ruled = RuleEngine(rules, priors, lambda p: p >= 0.5, "review").rule_rows(FramePredictions(rows, rows, outputs))
    said = [(ruled.decisions[code], ruled.marks[code].get("rules", [])) for code in ruled.codes]
    return [None if left else each for left, each in zip(ruled.concerned, said, strict=True)]


@settings(max_examples=300)
@given(st.data(), st.sampled_from(NUMBER_DTYPES), st.sampled_from(LIMITS), st.sampled_from(LIMITS))
def test_a_row_of_a_frame_is_between_limits_where_the_value_of_its_record_is(data, dtype, low, high):
    values = data.draw(st.lists(st.sampled_from(list_numbers(dtype)), max_size=8))
    rows, when = pl.DataFrame({"share": pl.Series(values, dtype=dtype)}), Between("share", low, high)
    expected = [(True, ["it"]) if is_condition_met(when, record) else (None, []) for record in rows.to_dicts()]
    assert rule_frame([rule(when, Override(True))], rows, np.full(len(values), 0.2)) == expected


@given(
    st.lists(st.sampled_from(list_numbers(pl.Float64)), max_size=8), st.sampled_from(LIMITS), st.sampled_from(LIMITS)
)
def test_a_row_of_a_frame_is_outside_limits_where_its_prediction_is(values, low, high):
    outputs = np.array([each for each in values if each is not None and np.isfinite(each)], float)
    rows, when = pl.DataFrame({"dest": ["ORD"] * len(outputs)}), Outside(low, high)
    expected = [(None, ["it"] * is_condition_met(when, prediction=each)) for each in outputs.tolist()]
    assert rule_frame([rule(when, Review())], rows, outputs, NUMBER) == expected


@dataclass(frozen=True)
class NotBetween(Between):
    def test(self, known):
        inside = super().test(known)
        return lambda record, prediction: not inside(record, prediction)


class Soft(Override):
    def change(self, prediction, decision, decide):
        return prediction, decision if prediction > 0.9 else self.decision


def test_a_condition_derived_from_a_built_in_one_is_asked_itself_for_rows_of_a_frame():
    rows = pl.DataFrame({"distance": [5, 15]})
    said = rule_frame([rule(NotBetween("distance", 10, 20), Override(True))], rows, np.array([0.2, 0.2]))
    assert said == [(True, ["it"]), (None, [])]


class Counted:
    """A condition that counts how often it is asked of each record, and holds for the first half of the alphabet."""

    words = "it begins so"

    def __init__(self):
        self.asked = Counter()

    def test(self, priors):
        def ask(record, prediction):
            self.asked[record["dest"]] += 1
            return record["dest"] < "N"

        return ask


def test_conditions_that_are_not_built_in_are_asked_once_of_the_rows_of_a_frame_that_are_not_left_to_the_record():
    when, rows = Counted(), pl.DataFrame({"dest": ["ORD", "BGR", "LAX"]})
    rules = [rule(when, Review(), "mine"), rule(OneOf("dest", ["LAX"]), Clamp(0.0, 0.1), "low")]
    assert rule_frame(rules, rows, np.array([0.2, 0.2, 0.2])) == [(None, []), (None, ["mine"]), None]
    assert when.asked == {"ORD": 1, "BGR": 1}


@pytest.mark.parametrize("then", [Refuse(), Answer(), Clamp(0.0, 0.1)])
def test_conditions_that_are_not_built_in_are_left_to_the_record_where_they_may_change_what_is_predicted(then):
    when, rows = Counted(), pl.DataFrame({"dest": ["ORD", "BGR"]})
    assert rule_frame([rule(when, then)], rows, np.array([0.2, 0.2])) == [None, None]
    assert when.asked == {}


def test_an_action_derived_from_a_built_in_one_is_left_to_the_record():
    rows = pl.DataFrame({"dest": ["ORD", "BGR"]})
    assert rule_frame([rule(OneOf("dest", ["ORD"]), Soft(False))], rows, np.array([0.95, 0.95])) == [None, (None, [])]


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
