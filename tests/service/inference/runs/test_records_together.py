"""Records that come in a list, or are scored together, get the answers that each gets alone."""

import copy
import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any

import dataframely as dy
import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penumbra.rules import Answer, Between, Clamp, ModelPriors, Override, Refuse, Review, Rule
from problem import schema
from service.http.requests.record_batch import RecordBatch
from service.inference.models.live_model import LiveModels, LoadedModel
from service.inference.pipeline import InferencePipeline, try_call
from service.inference.rules.rule_engine import RefusedByRule, make_rule_engine_factory
from service.inference.runs.batch_run import RefusedByRules, ScoredRecord
from tests.helpers.servers import local_service
from tests.service.inference.failing_models import BASELINE, CLOSE, CONTRACT, FAR, RECORD, break_model


@dataclass(frozen=True)
class When:
    """A condition of a team's own."""

    holds: Callable[[Any], bool]
    words = "it holds"

    def test(self, known: ModelPriors) -> Callable[[Any, Any], bool]:
        return lambda record, _: self.holds(record)


class Stumbling(LoadedModel):
    """Can't score together with others what it can't score alone."""

    def score_few(self, records: Any) -> Any:
        return [self.score_one(record) for record in records]


@pytest.mark.slow
@given(distances=st.lists(st.sampled_from([500, 1000, 1500, 8999, 9000]), min_size=1, max_size=9), fails=st.booleans())
def test_rules_say_of_a_record_in_a_list_what_they_say_of_it_alone(
    many_trees: LoadedModel, distances: list[int], fails: bool
) -> None:
    def hold_far_away(record: Any) -> bool:
        return bool(1 / (1500 * fails - record["distance"]) > 0)

    rules = (FAR, CLOSE, Rule("odd", "fails for some", When(hold_far_away), Review()))
    engine = make_rule_engine_factory(rules, "review")(ModelPriors(0.5, baseline=BASELINE), many_trees.decide)
    live = LiveModels(many_trees.bundle.path.parents[1], local_service.PROBLEM)
    live.model = replace(many_trees, rules=engine)
    pipeline = InferencePipeline(live, CONTRACT)
    records = [{**RECORD, "distance": distance} for distance in distances]
    alone = [pipeline.predict_one(record) for record in records]
    parsed = CONTRACT.parse_batch(msgspec.json.encode(records))
    assert isinstance(parsed, RecordBatch)
    for listed in (records, parsed):
        assert msgspec.json.encode(pipeline.predict_batch(listed)) == msgspec.json.encode(alone)


@pytest.mark.parametrize("then", [Refuse(), Answer(), Override(True), Clamp(0.9, 1.0), Review()])
@pytest.mark.parametrize("answer", [True, False, ValueError("not known")])
def test_conditions_are_asked_of_a_record_in_a_list_as_often_as_alone(
    pipeline: InferencePipeline, then: Any, answer: bool | Exception
) -> None:
    asked: list[tuple[str, float, Any]] = []

    @dataclass(frozen=True)
    class Asked:
        name: str
        words = "it holds"

        def test(self, known: ModelPriors) -> Callable[[Any, Any], bool]:
            def hold(record: Any, prediction: Any) -> bool:
                asked.append((self.name, record["distance"], prediction))
                if isinstance(answer, Exception):
                    raise answer
                return answer

            return hold

    model = pipeline.live.model
    assert model
    rules = tuple(
        Rule(name, "counted", Asked(name), each) for name, each in {"1": then, "2": then, "3": Review()}.items()
    )
    engine = make_rule_engine_factory(rules, "review")(ModelPriors(0.5, baseline=BASELINE), model.decide)
    pipeline.live.model = replace(model, rules=engine)
    records = [{**RECORD, "distance": distance} for distance in (500, 1000, 1500)]
    for record in records:
        try_call(pipeline.predict_one, record)
    alone = sorted(asked, key=itemgetter(1))
    asked.clear()
    try_call(pipeline.predict_batch, records)
    assert sorted(asked, key=itemgetter(1)) == alone


def test_what_a_condition_writes_into_its_record_no_other_rule_sees_alone_or_in_a_list(
    pipeline: InferencePipeline,
) -> None:
    def fill(record: Any) -> bool:
        record["distance"] = 9000
        return True

    model = pipeline.live.model
    assert model
    rules = (
        Rule("fills", "writes", When(fill), Review()),
        Rule("far", "reads", Between("distance", 9000, 10_000), Review()),
    )
    engine = make_rule_engine_factory(rules, "review")(ModelPriors(0.5, baseline=BASELINE), model.decide)
    pipeline.live.model = replace(model, rules=engine)
    parsed = CONTRACT.parse_batch(msgspec.json.encode([RECORD, RECORD]))
    scored = [pipeline.predict_one(RECORD), *pipeline.predict_batch(parsed), *pipeline.predict_batch([RECORD, RECORD])]
    assert [each.marks for each in scored] == [{"review": True, "rules": ["fills"]}] * 5


@pytest.mark.parametrize("write", [json.dumps, msgspec.json.encode, pickle.dumps, copy.deepcopy])
def test_a_condition_may_write_its_record_down(write: Callable[[Any], object]) -> None:
    rule = Rule("written", "it can be", When(lambda record: bool(write(record)) and isinstance(record, dict)), Review())
    engine = make_rule_engine_factory([rule], "review")(ModelPriors(0.5, baseline=BASELINE), lambda _: True)
    assert engine.apply_after({"distance": 9000}, 0.4)[2] == {"review": True, "rules": ["written"]}


def test_lists_within_a_record_stay_what_they_are_whatever_a_condition_does_with_them() -> None:
    record = {"stops": [{"at": "ORD"}], "distance": 9000}
    emptying = Rule("empties", "it can", When(lambda record: record["stops"].pop().pop("at") == "ORD"), Review())
    engine = make_rule_engine_factory([emptying], "review")(ModelPriors(0.5, baseline=BASELINE), lambda _: True)
    assert engine.apply_after(record, 0.4)[2] == {"review": True, "rules": ["empties"]}
    assert record == {"stops": [{"at": "ORD"}], "distance": 9000}


@pytest.mark.slow
@pytest.mark.parametrize("what", [ValueError("this row"), float("nan")])
def test_only_the_rows_that_a_model_fails_on_are_answered_without_it(pipeline: InferencePipeline, what: Any) -> None:
    """Rows 3 and 7 fail the live model, row 7 the previous one too."""
    records = [{**RECORD, "distance": 100 + n} for n in range(10)]
    stumble(pipeline, "model", what, {103.0, 107.0})
    stumble(pipeline, "previous", what, {107.0})
    scored = pipeline.predict_batch(records)
    expected = ["", "", "", "previous", "", "", "", "baseline", "", ""]
    assert [one.marks.get("fallback", "") for one in scored] == expected
    assert [one.model for one in scored] == ["1" if fallback == "previous" else "2" for fallback in expected]
    for ways in (list(map(pipeline.predict_one, records)), pipeline.predict_coalesced(records)):
        assert [(one.model, one.output, one.marks) for one in ways] == [  # type: ignore[union-attr]
            (one.model, one.output, one.marks) for one in scored
        ]


def stumble(pipeline: InferencePipeline, which: str, what: Any, distances: set[float]) -> None:
    """Make a model fail on rows of these distances, whatever comes with them."""
    model = getattr(pipeline.live, which)

    class StumblingInBatches(LoadedModel):
        def score_features(self, features: Any) -> Any:
            inputs, outputs = model.score_features(features)
            mask = np.isin(features["distance"].to_numpy(), list(distances))
            if isinstance(what, Exception) and mask.any():
                raise what
            return inputs, np.where(mask, np.nan, outputs)

        def score_few(self, records: Any) -> Any:
            return [self.score_one(record) for record in records]

    def score_one(record: Any) -> Any:
        inputs, outputs = made.score_batch(CONTRACT.to_frame([record]))
        return inputs[0].tolist(), outputs[0].item()

    made = StumblingInBatches(model.version, score_one, model.decide, model.rules, model.bundle)
    setattr(pipeline.live, which, made)


@pytest.mark.parametrize("broken", [(), ("model",), ("model", "previous")])
def test_what_is_refused_apart_keeps_no_other_record_from_its_answer(
    pipeline: InferencePipeline, broken: tuple[str, ...]
) -> None:
    for which in broken:
        break_model(pipeline, which, "raises")
    others = [RECORD, {**RECORD, "distance": 9500}]
    first, refused, last = pipeline.predict_each([others[0], {**RECORD, "origin": "LGA"}, others[1]])
    assert isinstance(refused, RefusedByRule)
    assert refused.rule.name == "closed"
    assert [first, last] == pipeline.predict_batch(others)


def test_what_comes_together_shares_no_refusal(pipeline: InferencePipeline) -> None:
    scored = pipeline.predict_coalesced([RECORD, {**RECORD, "origin": "LGA"}, {**RECORD, "distance": 9500}])
    assert isinstance(scored[1], RefusedByRules)
    assert ["far" in one.marks.get("rules", []) for one in scored if isinstance(one, ScoredRecord)] == [False, True]


def test_what_comes_together_shares_no_failure(pipeline: InferencePipeline) -> None:
    works = pipeline.live.model
    assert works

    def one(record: Any) -> Any:
        return 1 / (record["distance"] - 500) and works.score_one(record)

    pipeline.live.model = Stumbling(works.version, one, works.decide, works.rules, works.bundle)
    scored = pipeline.predict_coalesced([RECORD, {**RECORD, "distance": 500}, RECORD])
    assert [one.model for one in scored] == ["2", "1", "2"]  # type: ignore[union-attr]


@pytest.mark.slow
@pytest.mark.parametrize("n", [1, 2, 3, 32, 500])
def test_a_few_are_scored_as_each_is_alone_to_the_last_bit(many_trees: LoadedModel, n: int) -> None:
    records = schema.Row.sample(n, generator=dy.random.Generator(n)).to_dicts()
    assert repr(many_trees.score_few(records)) == repr([many_trees.score_one(record) for record in records])
