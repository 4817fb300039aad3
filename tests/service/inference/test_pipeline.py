"""What answers where the live model fails: the previous version, then the baseline."""

from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from penumbra.registry.bundles.bundle import read_bundle
from penumbra.rules import Between, ModelPriors, Review, Rule
from service.http.refusals import RequestRefused
from service.inference.models.live_model import LiveModels, LoadedModel
from service.inference.pipeline import InferencePipeline
from service.inference.rules.rule_engine import make_rule_engine_factory
from service.inference.runs.batch_run import RefusedByRules
from tests.helpers.servers import local_service
from tests.service.inference.failing_models import BASELINE, CLOSED, CONTRACT, HARMS, RECORD, break_model


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


def test_a_list_that_a_rule_refuses_reaches_neither_the_model_nor_other_rules(pipeline: InferencePipeline) -> None:
    model, asked = pipeline.live.model, []
    assert model

    class Counting(LoadedModel):
        def score_features(self, features: Any) -> Any:
            asked.append(features.height)
            return super().score_features(features)

    long = Rule("long", "all are", Between("distance", 0, 10_000), Review())
    engine = make_rule_engine_factory((CLOSED, long), "review")(ModelPriors(0.5), model.decide)
    pipeline.live.model = Counting(model.version, model.score_one, model.decide, engine, model.bundle)
    before = REGISTRY.get_sample_value("penumbra_rules_fired_total", {"rule": "long"}) or 0.0
    with pytest.raises(RefusedByRules):
        pipeline.predict_batch([RECORD, {**RECORD, "origin": "LGA"}, RECORD])
    assert not asked
    assert (REGISTRY.get_sample_value("penumbra_rules_fired_total", {"rule": "long"}) or 0.0) == before


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
