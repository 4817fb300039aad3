"""Business rules on the rows of a frame: what they say of each row is what they say of its record."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penumbra.rules import (
    Answer,
    Between,
    Clamp,
    CloseCall,
    Defer,
    OneOf,
    Outside,
    Override,
    Refuse,
    Review,
)
from service.inference.rules.frame_rules import FramePredictions
from service.inference.rules.rule_engine import RuleEngine
from tests.service.inference.rules.ruled_flights import BINARY, NUMBER, is_condition_met, read_counter, rule


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


@pytest.mark.slow
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
