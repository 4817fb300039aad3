"""Each candidate on a sample: it is fitted, shipped, and served as it was trained. The baseline looks at no input."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flows.steps.doctor.skew import make_skew_sample
from flows.steps.train.matrices import get_candidate
from penumbra.registry.bundles.bundle import Bundle
from penumbra.training.doctor.serving_skew import find_serving_skew
from penumbra.training.evaluation.evaluate import predict_for_task
from penumbra.training.rejection import describe_failure
from problem_tests.sample import Sample
from problem_tests.serving import ask, open_service, read_predictions, ship_model

Ship = Callable[[str], tuple[Bundle, Path] | str]


@pytest.fixture(scope="module")
def ship(varied_sample: Sample, tmp_path_factory: pytest.TempPathFactory) -> Ship:
    """Fits and ships a candidate, once: the bundle and the state folder of its service, or why that failed."""
    problem = varied_sample.problem

    @functools.cache
    def ship_candidate(name: str) -> tuple[Bundle, Path] | str:
        state = tmp_path_factory.mktemp("state")
        try:
            fitted = varied_sample.fit(problem.candidates.CANDIDATES[name])
            return ship_model(varied_sample, fitted, state), state
        except Exception as error:  # whatever the user's estimator raises
            return describe_failure(error, problem.files["candidates"].parent)

    return ship_candidate


def test_a_candidate_can_be_fitted_and_shipped(ship: Ship, candidate: str) -> None:
    shipped = ship(candidate)
    if isinstance(shipped, str):
        pytest.fail(f"candidate {candidate}: {shipped}", pytrace=False)


def test_a_candidate_is_served_as_it_was_trained(sample: Sample, ship: Ship, candidate: str) -> None:
    shipped = ship(candidate)
    if isinstance(shipped, str):
        pytest.skip("it can't be shipped")
    model, state = shipped
    asked, rows = make_skew_sample(sample.rows, model, sample.problem.schema.Row)
    with open_service(sample, state) as http:
        answers = {
            "POST /predict with a list": read_predictions(ask(http, asked.records), len(asked.records)),
            "POST /predict with one record": [read_one(ask(http, record)) for record in asked.records],
            "Bundle.score": model.score(rows).tolist(),
        }
    for fault in find_serving_skew(model.inputs, asked, answers):
        pytest.fail(f"candidate {candidate}: {fault.column}: {fault.evidence}: {fault.remedy}", pytrace=False)


def test_every_rule_can_be_applied(sample: Sample, ship: Ship) -> None:
    rules = sample.problem.rules.RULES
    shipped = next((done for done in map(ship, sample.problem.candidates.CANDIDATES) if isinstance(done, tuple)), None)
    if not rules or shipped is None:
        pytest.skip("no candidate can be shipped" if rules else "there are no rules")
    asked, _ = make_skew_sample(sample.rows, shipped[0], sample.problem.schema.Row)
    with open_service(sample, shipped[1], rules) as http:
        answers = [ask(http, record) for record in asked.records]
    failed = sorted({name for answer in answers if isinstance(answer, dict) for name in answer.get("failed_rules", ())})
    if failed:
        pytest.fail(f"problem/rules.py: {', '.join(failed)} fails on rows of the newest batches", pytrace=False)


def test_the_baseline_looks_at_no_input(varied_sample: Sample) -> None:
    try:
        fitted = varied_sample.fit(get_candidate(varied_sample.problem, varied_sample.task, "baseline"))
        predictions = predict_for_task(varied_sample.task, fitted, varied_sample.matrix[0])
    except Exception as error:  # whatever the user's estimator raises
        reason = describe_failure(error, varied_sample.problem.files["candidates"].parent)
        pytest.fail(f"baseline() of problem/candidates.py: {reason}", pytrace=False)
    if np.ptp(predictions, axis=0).max() > 0:
        pytest.fail(
            f"baseline() of problem/candidates.py is a {type(fitted).__name__} whose predictions differ from row to "
            "row: candidates have to beat a model that looks at no input, such as DummyClassifier or DummyRegressor",
            pytrace=False,
        )


def read_one(answer: Any) -> Any:
    """The prediction in the answer to one record, or the text of its refusal."""
    return read_predictions(answer if isinstance(answer, str) else [answer], 1)[0]
