"""What answers where the live model fails: the previous version, then the baseline."""

import itertools
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from operator import itemgetter
from pathlib import Path
from typing import Any

import dataframely as dy
import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY
from sklearn.ensemble import HistGradientBoostingClassifier

from penumbra.registry.bundles.bundle import read_bundle
from penumbra.rules import Answer, Between, Clamp, CloseCall, ModelPriors, OneOf, Override, Refuse, Review, Rule
from problem import schema
from service.http.refusals import RequestRefused
from service.http.requests.record_batch import RecordBatch
from service.http.requests.record_reader import Contract
from service.inference import batch_run
from service.inference.batch_run import RefusedByRules, ScoredRecord
from service.inference.live_model import LiveModels, LoadedModel, load_model_version
from service.inference.pipeline import InferencePipeline, try_call
from service.inference.rule_engine import RefusedByRule, make_rule_engine_factory
from service.inference.scoring_marks import WorkerMarks
from tests.helpers.servers import local_service

BASELINE = 0.25
FAR = Rule("far", "too far to say", Between("distance", 9000, 10_000), Answer())
CLOSED = Rule("closed", "nothing leaves from there", OneOf("origin", ["LGA"]), Refuse())
CLOSE = Rule("close", "may be either", CloseCall(0.3), Review())
CONTRACT = Contract(schema.Row, schema.CHECKS, schema.EXAMPLE, max_records=100)
RECORD = CONTRACT.parse_one(msgspec.json.encode(schema.EXAMPLE))


@dataclass(frozen=True)
class When:
    """A condition of a team's own."""

    holds: Callable[[Any], bool]
    words = "it holds"

    def test(self, known: ModelPriors) -> Callable[[Any, Any], bool]:
        return lambda record, _: self.holds(record)


class Raising(LoadedModel):
    def score_few(self, records: Any) -> Any:
        raise RuntimeError("harmed")

    def score_features(self, features: Any) -> Any:
        raise RuntimeError("harmed")


class Exiting(LoadedModel):
    def score_few(self, records: Any) -> Any:
        sys.exit(4)

    def score_features(self, features: Any) -> Any:
        sys.exit(4)


class Stumbling(LoadedModel):
    """Can't score together with others what it can't score alone."""

    def score_few(self, records: Any) -> Any:
        return [self.score_one(record) for record in records]


class NotANumber(LoadedModel):
    def score_few(self, records: Any) -> Any:
        return [([], float("nan"))] * len(records)

    def score_features(self, features: Any) -> Any:
        return np.zeros((len(features), 1)), np.full(len(features), np.nan)


HARMS: dict[str, tuple[type[LoadedModel], Callable[[Any], Any]]] = {
    "raises": (Raising, lambda record: 1 / 0),
    "exits": (Exiting, lambda record: sys.exit(4)),
    "says NaN": (NotANumber, lambda record: ([], float("nan"))),
}


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Version 2 is live, version 1 is the previous one."""
    folder = tmp_path_factory.mktemp("fallback")
    local_service.deploy_version(folder, "1", baseline=BASELINE)
    local_service.deploy_version(folder, "2", seed=2, baseline=BASELINE)
    return folder / "state"


@pytest.fixture(scope="module")
def many_trees(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    folder = tmp_path_factory.mktemp("many-trees")
    local_service.make_bundle(
        folder / "bundles/1", estimator=HistGradientBoostingClassifier(max_iter=300, random_state=1)
    )
    return load_model_version(folder, "1", local_service.PROBLEM)


@pytest.fixture
def pipeline(state: Path) -> InferencePipeline:
    live = LiveModels(state, local_service.PROBLEM, make_rule_engine_factory((FAR, CLOSED, CLOSE), "review"))
    live.refresh()
    return InferencePipeline(live, CONTRACT)


def break_model(pipeline: InferencePipeline, which: str, how: str) -> None:
    """Make the live or the previous model fail from now on."""
    model, (kind, one) = getattr(pipeline.live, which), HARMS[how]
    setattr(pipeline.live, which, kind(model.version, one, model.decide, model.rules, model.bundle))


def score(state: Path, version: str) -> float:
    found: list[float] = (
        read_bundle(state / "bundles" / version, local_service.PROBLEM).score(CONTRACT.to_frame([RECORD])).tolist()
    )
    return found[0]


def predict_every_way(pipeline: InferencePipeline) -> list[Any]:
    """What is said of a record that comes alone, together with another, and in a list."""
    return [
        pipeline.predict_one(RECORD),
        *pipeline.predict_coalesced([RECORD, RECORD]),
        *pipeline.predict_batch([RECORD, RECORD]),
    ]


def test_the_live_model_answers_without_a_mark_of_fallback(pipeline: InferencePipeline, state: Path) -> None:
    assert [(scored.model, scored.output) for scored in predict_every_way(pipeline)] == [("2", score(state, "2"))] * 5
    assert not any("fallback" in scored.marks for scored in predict_every_way(pipeline))


@pytest.mark.parametrize("how", HARMS)
def test_where_the_live_model_fails_the_previous_answers(pipeline: InferencePipeline, state: Path, how: str) -> None:
    break_model(pipeline, "model", how)
    assert [(scored.model, scored.output) for scored in predict_every_way(pipeline)] == [("1", score(state, "1"))] * 5
    assert {scored.marks["fallback"] for scored in predict_every_way(pipeline)} == {"previous"}


@pytest.mark.parametrize("how", HARMS)
def test_where_that_fails_too_the_live_models_baseline_answers(pipeline: InferencePipeline, how: str) -> None:
    break_model(pipeline, "model", how)
    break_model(pipeline, "previous", how)
    assert {(scored.model, scored.output, scored.decision) for scored in predict_every_way(pipeline)} == {
        ("2", BASELINE, False)
    }
    assert {scored.marks["fallback"] for scored in predict_every_way(pipeline)} == {"baseline"}


def test_a_row_that_a_rule_answers_needs_no_fallback_in_a_list_either(pipeline: InferencePipeline) -> None:
    break_model(pipeline, "model", "raises")
    records = [{**RECORD, "distance": 9500}, RECORD]
    scored = pipeline.predict_batch(records)
    assert [one.model for one in scored] == ["2", "1"]
    assert scored[0].marks == {"rules": ["far"]}
    assert scored == [pipeline.predict_one(record) for record in records]


@pytest.mark.parametrize(
    ("took", "sizes"),
    [
        ([0.001, 0.001, 0.001], [16, 128, 856]),
        ([0.1, 0.1, 2.0, 0.1, 0.1], [16, 80, 400, 100, 404]),
        ([0.4, 8.0, 8.0, 0.1], [16, 20, 1, 1, 5, 40, 320, 597]),
    ],
    ids=["quick", "some slow", "very slow"],
)
def test_parts_of_a_list_are_as_large_as_the_last_ones_pace_allows(
    monkeypatch: pytest.MonkeyPatch, took: list[float], sizes: list[int]
) -> None:
    clock = itertools.chain.from_iterable((0.0, each) for each in itertools.chain(took, itertools.repeat(0.001)))
    monkeypatch.setattr(batch_run.time, "monotonic", lambda: next(clock))
    assert [len(part) for part in batch_run.PartSizes(seconds=0.5).split("1", range(1000))] == sizes


def test_no_part_of_a_slow_list_is_larger_for_lists_that_a_rule_answered_before_it(
    many_trees: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record takes the model 4 ms on the tests' clock, and a rule no time."""
    seconds, parts = [0.0], []
    monkeypatch.setattr(batch_run.time, "monotonic", lambda: seconds[0])

    class Slow(LoadedModel):
        def score_features(self, features: Any) -> Any:
            seconds[0] += 0.004 * len(features)
            parts.append(len(features))
            return super().score_features(features)

    engine = make_rule_engine_factory((FAR,), "review")(ModelPriors(0.5, baseline=BASELINE), many_trees.decide)
    live = LiveModels(many_trees.bundle.path.parents[1], local_service.PROBLEM)
    live.model = Slow(many_trees.version, many_trees.score_one, many_trees.decide, engine, many_trees.bundle)
    pipeline = InferencePipeline(live, CONTRACT, marks=WorkerMarks(live.state, patience=3.0))
    for distance in (9500, 1000, 9500, 1000):
        pipeline.predict_batch([{**RECORD, "distance": distance}] * 1000)
    assert max(parts) * 0.004 <= 0.3
    assert sum(parts) == 2000


def test_a_list_begins_with_as_many_records_as_the_pace_of_the_list_before_allows(
    pipeline: InferencePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, parts = pipeline.live.model, []
    assert model

    class Counting(LoadedModel):
        def score_features(self, features: Any) -> Any:
            parts.append(len(features))
            return super().score_features(features)

    pipeline.live.model = Counting(model.version, model.score_one, model.decide, model.rules, model.bundle)
    monkeypatch.setattr(batch_run.time, "monotonic", lambda: 0.0)  # no time passes
    for count in (400, 1, 400, 2000):
        pipeline.predict_batch([RECORD] * count)
    assert parts == [16, 128, 256, 1, 400, 1024, 976]


def test_the_model_is_not_asked_for_records_of_a_list_that_a_rule_answers(pipeline: InferencePipeline) -> None:
    model, asked = pipeline.live.model, []
    assert model

    class Counting(LoadedModel):
        def score_features(self, features: Any) -> Any:
            asked.append(features["distance"].to_list())
            return super().score_features(features)

    pipeline.live.model = Counting(model.version, model.score_one, model.decide, model.rules, model.bundle)
    scored = pipeline.predict_batch([{**RECORD, "distance": distance} for distance in (9500, 1000, 9600, 1500)])
    assert [each.marks.get("rules", []) == ["far"] for each in scored] == [True, False, True, False]
    assert asked == [[1000, 1500]]


@given(rows=st.integers(0, 3000), seconds=st.sampled_from([0.0, 60.0, math.inf]))
def test_the_parts_of_a_list_are_the_whole_list_in_its_order(rows: int, seconds: float) -> None:
    parts = batch_run.PartSizes(seconds).split("1", range(rows))
    assert [position for part in parts for position in part] == list(range(rows))


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


def test_rules_hold_for_what_stands_in(pipeline: InferencePipeline) -> None:
    break_model(pipeline, "model", "raises")
    break_model(pipeline, "previous", "raises")
    assert pipeline.predict_one(RECORD).marks == {"rules": ["close"], "review": True, "fallback": "baseline"}
    with pytest.raises(RefusedByRules):
        pipeline.predict_one({**RECORD, "origin": "LGA"})


def test_a_refusal_is_no_failure_of_the_model(pipeline: InferencePipeline) -> None:
    with pytest.raises(RefusedByRules) as caught:
        pipeline.predict_batch([RECORD, {**RECORD, "origin": "LGA"}])
    assert [(index, rule.name) for index, _, rule in caught.value.refused] == [(1, "closed")]
    assert caught.value.model == "2"


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


@pytest.mark.parametrize("n", [1, 2, 3, 32, 500])
def test_a_few_are_scored_as_each_is_alone_to_the_last_bit(many_trees: LoadedModel, n: int) -> None:
    records = schema.Row.sample(n, generator=dy.random.Generator(n)).to_dicts()
    assert repr(many_trees.score_few(records)) == repr([many_trees.score_one(record) for record in records])


def test_a_model_that_works_again_answers_again(pipeline: InferencePipeline) -> None:
    working = pipeline.live.model
    break_model(pipeline, "model", "raises")
    assert pipeline.predict_one(RECORD).model == "1"
    pipeline.live.model = working
    assert pipeline.predict_one(RECORD).model == "2"


def test_a_failure_is_reported_once_and_names_the_error(
    pipeline: InferencePipeline, caplog: pytest.LogCaptureFixture
) -> None:
    break_model(pipeline, "model", "raises")
    predict_every_way(pipeline)
    assert [message for message in caplog.messages if "version 2 fails" in message and "ZeroDivision" in message]
    assert len([message for message in caplog.messages if "fails" in message]) == 1


def test_records_that_another_answered_are_counted(pipeline: InferencePipeline) -> None:
    name, labels = "penumbra_fallbacks_total", {"to": "previous"}
    before = REGISTRY.get_sample_value(name, labels) or 0.0
    break_model(pipeline, "model", "raises")
    predict_every_way(pipeline)
    assert REGISTRY.get_sample_value(name, labels) == before + 5


def test_without_previous_or_baseline_the_refusal_names_the_version(tmp_path: Path) -> None:
    local_service.deploy_version(tmp_path, "1")
    live = LiveModels(tmp_path / "state", local_service.PROBLEM)
    live.refresh()
    alone = InferencePipeline(live, CONTRACT)
    break_model(alone, "model", "raises")
    with pytest.raises(RequestRefused, match="version 1 of the model has no answer") as caught:
        alone.predict_one(RECORD)
    assert caught.value.status == 500


def test_a_record_that_no_model_was_asked_about_has_no_inputs(pipeline: InferencePipeline) -> None:
    assert pipeline.predict_one({**RECORD, "distance": 9500}).inputs == ()


def test_after_a_swap_the_old_model_stands_in_without_being_loaded_again(tmp_path: Path) -> None:
    local_service.deploy_version(tmp_path, "1")
    live = LiveModels(tmp_path / "state", local_service.PROBLEM)
    live.refresh()
    old = live.model
    assert live.previous is None
    local_service.deploy_version(tmp_path, "2", seed=2)
    live.refresh()
    assert live.previous is old


def test_a_start_finds_the_previous_model_too(pipeline: InferencePipeline) -> None:
    assert pipeline.live.previous is not None
    assert pipeline.live.previous.version == "1"
