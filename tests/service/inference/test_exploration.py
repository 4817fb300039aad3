"""Exploration: decisions that hide their outcome are replaced by chance, at the stated rate, and never a rule's."""

import datetime as dt
from decimal import Decimal
from types import SimpleNamespace

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penumbra.core.task import Task
from penumbra.logs import append_log
from penumbra.rules import Between, ModelPriors, Override, Review, Rule
from service.inference.exploration import keep_decision, make_explorer, make_key_draw
from service.inference.rules.rule_engine import RuleEngine
from tests.helpers.servers.local_service import (
    PROBLEM,
    TestClient,
    build_service,
    deploy_version,
    make_service_settings,
)

NOON = dt.datetime(2024, 3, 1, 12, tzinfo=dt.UTC)
BINARY, KINDS = Task("binary"), Task("multiclass", ("pay", "ask", "refuse"))
KEY, PRIORS = {"number": pl.Int64}, ModelPriors(0.5)


def always(record):
    return 0.001


def never(record):
    return 0.99


def apply_rules(*rules, explore, record=None):
    engine = RuleEngine(rules, PRIORS, lambda probability: probability >= 0.5, "review", explore)
    return engine.apply_after(record or {"amount": 5}, 0.7)


def test_a_decision_that_shows_its_outcome_is_kept_without_marks():
    assert make_explorer(BINARY, (False,), 0.1, always)({}, 0.2, False) == (False, {})


def test_one_that_hides_it_is_replaced_by_chance_and_says_so_either_way():
    assert make_explorer(BINARY, (False,), 0.1, always)({}, 0.7, True) == (
        False,
        {"explore_share": 0.1, "explored": True},
    )
    assert make_explorer(BINARY, (False,), 0.1, never)({}, 0.7, True) == (True, {"explore_share": 0.1})


def test_of_several_decisions_that_show_it_the_most_probable_one_is_made():
    explore = make_explorer(KINDS, ("pay", "ask"), 0.1, always)
    assert explore({}, [0.1, 0.3, 0.6], "refuse") == ("ask", {"explore_share": 0.1, "explored": True})


@pytest.mark.parametrize(("observed", "share"), [((), 0.1), ((False,), 0.0)])
def test_without_a_share_or_decisions_to_explore_nothing_is_drawn(observed, share):
    assert make_explorer(BINARY, observed, share, always) is keep_decision


@given(st.sampled_from([0.05, 0.2, 0.5]))
def test_the_share_is_what_it_says_whatever_is_predicted(share):
    explore = make_explorer(BINARY, (False,), share, make_key_draw(KEY))
    replaced = sum(not explore({"number": number}, 0.5 + number % 50 / 100, True)[0] for number in range(4000))
    assert replaced / 4000 == pytest.approx(share, abs=0.03)


@given(st.integers(), st.sampled_from([0.1, 0.5]))
def test_a_row_that_is_asked_about_again_is_explored_again_and_not_otherwise(number, share):
    made = [make_explorer(BINARY, (False,), share, make_key_draw(KEY)) for _ in range(2)]
    first, again = (each({"number": number, "hour": hour}, 0.7, True) for hour, each in enumerate(made))
    assert first == again


def test_keys_that_are_written_in_another_way_have_the_same_draw():
    draw = make_key_draw({"amount": pl.Decimal(10, 2)})
    assert draw({"amount": Decimal("12.3")}) == draw({"amount": Decimal("12.30")}) != draw({"amount": Decimal("12.31")})


def test_draws_are_the_same_in_every_version_of_the_engine():
    draw = make_key_draw({"flight": pl.Int64(), "at": pl.Datetime("us", "UTC"), "price": pl.Decimal(10, 2)})
    rows = [{"flight": number, "at": NOON, "price": Decimal("12.3")} for number in (7, 8)]
    assert [draw(row) for row in rows] == [0.07475786046725774, 0.5863123770726342]


def test_without_a_key_each_prediction_has_a_draw_of_its_own():
    draw = make_key_draw({})
    assert draw({"amount": 5}) != draw({"amount": 5})


def test_a_rule_that_decides_is_not_explored_and_one_that_only_asks_people_is():
    explore, holds = make_explorer(BINARY, (False,), 0.1, always), Between("amount", 0, 9)
    decided = apply_rules(Rule("limit", "it is the law", holds, Override(True)), explore=explore)
    assert decided == (0.7, True, {"rules": ["limit"]})
    asked = apply_rules(Rule("look", "it is new", holds, Review()), explore=explore)
    marks = {"rules": ["look"], "review": True, "explore_share": 0.1, "explored": True}
    assert asked == (0.7, False, marks)


def test_where_a_rule_fails_nothing_is_explored():
    explore = make_explorer(BINARY, (False,), 0.1, always)
    _, decision, marks = apply_rules(Rule("odd", "why", Between("missing", 0, 9), Review()), explore=explore)
    assert (decision, "explored" in marks) == (True, False)


@pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince211")
def test_an_explored_decision_is_answered_and_logged_with_its_chance(tmp_path):
    deploy_version(tmp_path, "1", threshold=0.0)
    settings = make_service_settings(tmp_path)
    rules = settings.rules.model_copy(update={"explore_share": 1 - 1e-12})
    problem = SimpleNamespace(
        schema=PROBLEM.schema,
        features=PROBLEM.features,
        rules=SimpleNamespace(RULES=(), OBSERVED_DECISIONS=(False,)),
    )
    app = build_service(settings.model_copy(update={"rules": rules}), problem, ()).to_asgi()
    with TestClient(app, "http://127.0.0.1", client=("127.0.0.1", 50000)) as http:
        answer = http.post("/predict", json=PROBLEM.schema.EXAMPLE).json()
    assert (answer["decision"], answer["explored"], answer["explore_share"]) == (False, True, 1 - 1e-12)
    (entry,) = append_log.read_entries(tmp_path / "predictions")
    assert (entry["decision"], entry["explored"], entry["explore_share"]) == (False, True, 1 - 1e-12)
