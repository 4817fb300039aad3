"""A list is scored in parts that are as large as the pace of the last ones allows."""

import itertools
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penumbra.rules import ModelPriors
from service.inference.models.live_model import LiveModels, LoadedModel
from service.inference.pipeline import InferencePipeline
from service.inference.rules.rule_engine import make_rule_engine_factory
from service.inference.runs import batch_run
from service.inference.scoring_marks import WorkerMarks
from tests.helpers.servers import local_service
from tests.service.inference.failing_models import BASELINE, CONTRACT, FAR, RECORD


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


@pytest.mark.slow
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


@pytest.mark.slow
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


@given(rows=st.integers(0, 3000), seconds=st.sampled_from([0.0, 60.0, math.inf]))
def test_the_parts_of_a_list_are_the_whole_list_in_its_order(rows: int, seconds: float) -> None:
    parts = batch_run.PartSizes(seconds).split("1", range(rows))
    assert [position for part in parts for position in part] == list(range(rows))
