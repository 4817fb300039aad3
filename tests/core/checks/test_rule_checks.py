from dataclasses import dataclass
from decimal import Decimal
from types import SimpleNamespace

import dataframely as dy
import numpy as np
import polars as pl
import pytest

from penumbra.core.checks.rule_checks import find_rule_faults
from penumbra.core.checks.type_checks import find_argument_faults
from penumbra.core.problem import ProblemError
from penumbra.core.task import Task
from penumbra.features import Category
from penumbra.rules import Answer, Between, Clamp, CloseCall, FewRows, ModelPriors, OneOf, Rule
from service.http.requests.responses import make_decision_function
from service.inference.rules.rule_engine import RuleEngine
from tests.helpers.problems.orders import load_orders

OUTCOME = "churned = dy.Bool(nullable=True)"
TARGETS = {
    "binary": OUTCOME,
    "multiclass": 'churned = dy.Enum(["stays", "leaves", "unsure"], nullable=True)',
    "regression": "churned = dy.Float64(nullable=True)",
}
CATEGORIES = '(Category("region"), Category("member"), Category("age"), Number("amount"))'
FEATURES = [('(Category("region"), Number("amount"), Number("age"))', CATEGORIES)]


@pytest.fixture
def load_rule(tmp_path):
    """A function that loads the orders with one rule, written as code, and a task; returns the rule."""

    def load(when, then, kind):
        code = (
            "import datetime as dt\nfrom decimal import Decimal\n\nimport numpy as np\n\nfrom penumbra.rules import *\n"
        )
        code += f'RULES = (Rule("odd", "because", {when}, {then}),)\n'
        changes = {"rules": [("", code)], "schema": [(OUTCOME, TARGETS[kind])], "features": FEATURES}
        return load_orders(tmp_path, **changes).rules.RULES[0]

    return load


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize(
    ("when", "then"),
    [
        ('FewRows("region", 30)', "Refuse()"),
        ('FewRows("member", 30)', "Answer()"),
        ('OneOf("region", ["north", None])', "Review()"),
        ('OneOf("member", [True])', "Review()"),
        ('Between("age", 18, 20.5)', "Answer()"),
        ('Between("at", dt.datetime(2024, 1, 1), dt.datetime(2024, 2, 1))', "Review()"),
        ('Between("age", np.int64(18), Decimal("20.5"))', "Review()"),
        ('OneOf("age", range(18, 21))', "Review()"),
        ('OneOf("region", {"north"})', "Review()"),
        ('OneOf("age", np.array([18, 19]))', "Review()"),
    ],
)
def test_conditions_on_columns_suit_every_task(load_rule, when, then, kind):
    assert load_rule(when, then, kind).name == "odd"


@pytest.mark.parametrize(
    ("kind", "when", "then"),
    [
        ("binary", "CloseCall(0.05)", "Review()"),
        ("binary", "Outside(0.1, 0.9)", "Clamp(0.1, 0.9)"),
        ("binary", "Outside(float('-inf'), np.float32(0.9))", "Clamp(np.float64(0.1), Decimal('0.9'))"),
        ("binary", 'OneOf("age", [18])', "Answer(0.2, False)"),
        ("multiclass", "CloseCall(0.05)", "Override('leaves')"),
        ("multiclass", 'OneOf("age", [18])', "Answer([0.2, 0.3, 0.5], 'stays')"),
        ("regression", "Outside(0, 100)", "Clamp(0, 100)"),
        ("regression", 'OneOf("age", [18])', "Answer(12.5)"),
        ("regression", "Outside(0, 100)", "Override(50)"),
        ("binary", "CloseCall(0.05)", "Defer(hours=0.5, default=True)"),
        ("multiclass", "CloseCall(0.05)", "Defer(4, 'unsure')"),
        ("regression", 'OneOf("age", [18])', "Defer(4)"),
    ],
)
def test_conditions_and_actions_on_predictions_suit_their_task(load_rule, kind, when, then):
    assert load_rule(when, then, kind).name == "odd"


@pytest.mark.parametrize(
    ("kind", "when", "then", "sentence"),
    [
        ("regression", "CloseCall(0.05)", "Review()", "which hangs by nothing: expected Outside(low, high)"),
        ("binary", "CloseCall(5)", "Review()", "expected a difference of probabilities, above 0 and up to 1"),
        ("multiclass", "Outside(0.1, 0.9)", "Review()", "is several classes: expected CloseCall(margin)"),
        ("multiclass", "CloseCall(0.1)", "Clamp(0, 1)", "is several classes: expected Override or Review"),
        ("binary", "Outside(0.9, 0.1)", "Review()", "Outside(low=0.9, high=0.1): expected low up to high"),
        ("binary", 'Between("age", 90, 20)', "Review()", "expected low up to high"),
        ("binary", 'Between("age", "18", "20")', "Review()", "'18' is no value of age: expected Int16"),
        ("binary", 'OneOf("region", ["nroth"])', "Review()", "'nroth' is no value of region: expected Enum"),
        ("binary", 'OneOf("at", ["2024-01-01"])', "Review()", "'2024-01-01' is no value of at: expected Datetime"),
        ("binary", 'OneOf("member", ["true"])', "Review()", "'true' is no value of member: expected Boolean"),
        ("binary", 'FewRows("amount", 5)', "Review()", "amount is no Category of FEATURES"),
        ("binary", 'OneOf("age", [18])', "Answer(20)", "expected as the prediction the probability of True"),
        ("binary", 'OneOf("age", [18])', "Override(1)", "expected as the decision True or False"),
        ("multiclass", 'OneOf("age", [18])', "Answer(0.5)", "a list with the probability of each class (stays, "),
        ("multiclass", 'OneOf("age", [18])', "Answer([0.5, 0.5, 0.5])", "which add up to 1"),
        ("multiclass", 'OneOf("age", [18])', "Override('left')", "one of the classes stays, leaves, unsure"),
        ("regression", 'OneOf("age", [18])', "Override('much')", "expected as the decision a number"),
        ("binary", "CloseCall(0.05)", "Defer(0)", "Defer(hours=0, default=None): expected hours above 0, up to 8760"),
        ("binary", "CloseCall(0.05)", "Defer(4, 1)", "expected as the default True or False"),
        ("multiclass", "CloseCall(0.05)", "Defer(4, 'left')", "as the default one of the classes stays, leaves,"),
        ("binary", "CloseCall(0.05)", "Override(None)", "expected as the decision True or False"),
        ("binary", "Outside(10, 90)", "Review()", "Outside(low=10, high=90): expected probabilities, from 0 to 1"),
        ("binary", "CloseCall(0.05)", "Clamp(-5, -1)", "Clamp(low=-5, high=-1): expected probabilities, from 0 to 1"),
        ("binary", 'FewRows("region", 0)', "Review()", "expected a number of rows above 0"),
        ("binary", 'Between("age", float("nan"), 20)', "Review()", "nan is no value of age: expected Int16"),
        (
            "binary",
            'OneOf("age", [18])',
            "Answer(Decimal('0.5'))",
            "expected as the prediction the probability of True",
        ),
        ("regression", 'OneOf("age", [18])', "Answer(float('inf'))", "expected as the prediction a number"),
        ("regression", 'OneOf("age", [18])', "Override(np.float64(5))", "expected as the decision a number"),
        ("multiclass", 'OneOf("age", [18])', "Override(np.str_('stays'))", "one of the classes stays, leaves, unsure"),
    ],
)
def test_a_rule_that_suits_neither_task_nor_column_is_refused_when_it_is_loaded(load_rule, kind, when, then, sentence):
    with pytest.raises(ProblemError) as refused:
        load_rule(when, then, kind)
    assert "rules.py: RULES has odd with " in str(refused.value)
    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    ("when", "then", "sentence"),
    [
        ("OneOf", "Review()", "Rule(…) with when = <class 'penumbra.rules.OneOf'>: expected a condition"),
        ("lambda record, probability: True", "Review()", "expected a condition of penumbra.rules, or of your own"),
        ("CloseCall(0.1)", "Refuse", "Rule(…) with then = <class 'penumbra.rules.Refuse'>: expected an action of"),
        ("CloseCall(0.1)", "'review'", "Rule(…) with then = 'review': expected an action of penumbra.rules, such as"),
        ("CloseCall('0.1')", "Review()", "odd with CloseCall(…) with margin = '0.1': expected a number"),
        ("Outside(float('nan'), 0.9)", "Review()", "odd with Outside(…) with low = nan: expected a number"),
        ("CloseCall(0.1)", "Defer('a day')", "odd with Defer(…) with hours = 'a day': expected a number"),
        ("CloseCall(0.1)", "Defer(float('nan'))", "odd with Defer(…) with hours = nan: expected a number"),
        ("CloseCall(0.1)", "Clamp('0.1', 0.9)", "odd with Clamp(…) with low = '0.1': expected a number"),
        ('FewRows("region", "30")', "Review()", "odd with FewRows(…) with below = '30': expected a whole number"),
        ('OneOf("region", (name for name in ["north"]))', "Review()", "odd with OneOf(…) with values = <generator"),
        ('OneOf("region", "north")', "Review()", "odd with OneOf(…) with values = 'north': expected a list of values"),
    ],
)
def test_an_argument_of_a_rule_that_is_of_another_type_is_refused_when_it_is_loaded(load_rule, when, then, sentence):
    with pytest.raises(ProblemError) as refused:
        load_rule(when, then, "binary")
    assert "rules.py: RULES has " in str(refused.value)
    assert sentence in str(refused.value)


@dataclass(frozen=True)
class Night(OneOf):
    """A condition of one's own, with arguments of its own, whose annotations are no promise."""

    until: int = None

    @property
    def words(self):
        return f"{self.column} is before {self.until or 5}"


def test_what_arguments_of_ones_own_mean_is_not_the_engines():
    assert not list(find_argument_faults(Night("hour", [1, 2])))
    (fault,) = find_argument_faults(Night("hour", "12"))
    assert fault == "Night(…) with values = '12': expected a list of values"


def test_what_is_clamped_is_a_number_that_answers_can_have():
    decide = make_decision_function(Task("binary"), 0.5)
    assert repr(Clamp(np.float64(0.1), Decimal("0.2")).change(0.7, True, decide)) == "(0.2, False)"


def test_a_close_call_of_five_classes_compares_the_two_most_probable():
    task = Task("multiclass", ("a", "b", "c", "d", "e"))
    close = CloseCall(0.05).test(ModelPriors(float("nan")))
    assert [close({}, p) for p in ([0.36, 0.32, 0.32, 0, 0], [0.4, 0.1, 0.1, 0.1, 0.3])] == [True, False]
    assert make_decision_function(task, float("nan"))([0.36, 0.32, 0.32, 0, 0]) == "a"


@pytest.mark.parametrize(("kind", "decision"), [("multiclass", "b"), ("regression", [0.1, 0.6, 0.3])])
def test_an_answer_is_the_baseline_with_the_decision_of_the_task(kind, decision):
    task = Task(kind, ("a", "b", "c") if kind == "multiclass" else ())
    decide = make_decision_function(task, float("nan"))
    answer = Rule("odd", "because", OneOf("age", [18]), Answer())
    engine = RuleEngine([answer], ModelPriors(float("nan"), {}, [0.1, 0.6, 0.3]), decide, "review")
    assert engine.apply_before({"age": 18})[0] == ([0.1, 0.6, 0.3], decision, {"rules": ["odd"]})


@pytest.mark.parametrize(
    ("column", "rare", "frequent"), [("member", False, True), ("age", 90, 18), ("region", "north", "west")]
)
def test_few_rows_counts_values_of_every_dtype_as_the_feature_writes_them(tmp_path, column, rare, frequent):
    """The counts in a bundle are by text, as JSON has no other keys."""
    dtype, feature = load_orders(tmp_path).schema.Row.columns()[column].dtype, Category(column)
    few, many = pl.DataFrame({column: pl.Series([rare, frequent], dtype=dtype)}).select(feature.expr()).to_series()
    priors = ModelPriors(0.5, {column: {few: 2, many: 500}}, None, {column: feature.scalar()})
    met = FewRows(column, below=30).test(priors)
    assert [met({column: value}, None) for value in (rare, frequent, None)] == [True, False, False]


def test_the_values_of_a_set_are_told_in_an_order_that_is_the_same_in_each_process():
    assert OneOf("country", frozenset(["IT", "FR", "DE", "ES"])).words == "country is DE or ES or FR or IT"
    assert OneOf("country", ["IT", "FR"]).words == "country is IT or FR"


class ListedRow(dy.Schema):
    tags = dy.List(dy.String(), nullable=True)


@pytest.mark.parametrize("when", [OneOf("tags", [["red"]]), OneOf("tags", [None]), Between("tags", ["a"], ["b"])])
def test_a_condition_on_lists_which_would_fail_on_each_request_is_refused(when):
    rule = Rule("odd", "because", when, Answer())
    (fault,) = find_rule_faults(rule, SimpleNamespace(Row=ListedRow), Task("binary"))
    assert "tags is List(String): expected a column of single values, or a condition of your own" in fault
