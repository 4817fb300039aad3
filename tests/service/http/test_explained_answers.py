"""`POST /predict?explain=true`: the same attributions for a record, in a list, in a frame, and of the logged record."""

import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dataframely as dy
import numpy as np
import polars as pl
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.tree import DecisionTreeClassifier

from penumbra.logs.append_log import encode_json
from penumbra.patterns import HardNegatives
from penumbra.registry.bundles import bundle
from penumbra.registry.bundles.explanations import compute_attributions
from problem.schema import EXAMPLE, Row
from tests.helpers.servers import local_service

JSON = {"content-type": "application/json"}

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # BentoML's use of pydantic


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("explained")


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[Any]:
    local_service.deploy_version(folder, "1", estimator=HistGradientBoostingClassifier(max_iter=20, min_samples_leaf=5))
    with local_service.open_test_client(folder) as http:
        yield http


@functools.cache
def draw_rows(count: int) -> pl.DataFrame:
    return Row.sample(count, generator=dy.random.Generator(7))


def ask(client: Any, record: Any, query: str = "?explain=true") -> Any:
    answer = client.post(f"/predict{query}", content=encode_json(record), headers=JSON)
    assert answer.status_code == 200, answer.text
    return answer.json()


def read_terms(explanation: dict[str, Any]) -> dict[str, float]:
    return {each["feature"]: each["attribution"] for each in explanation["attributions"]}


@pytest.mark.slow
def test_an_explanation_adds_up_to_the_log_odds_of_the_probability(client: Any) -> None:
    answer = ask(client, EXAMPLE)
    explanation = answer["explanation"]
    probability = answer["probability"]
    assert explanation["scale"] == "log-odds"
    assert explanation["score"] == pytest.approx(np.log(probability / (1 - probability)), abs=1e-6)
    assert explanation["expected"] + sum(read_terms(explanation).values()) == pytest.approx(explanation["score"])


def test_the_features_stand_with_the_records_values_the_largest_attribution_first(client: Any) -> None:
    attributions = ask(client, EXAMPLE)["explanation"]["attributions"]
    sizes = [abs(each["attribution"]) for each in attributions]
    assert sizes == sorted(sizes, reverse=True)
    assert {each["feature"]: each["value"] for each in attributions}["temp"] == EXAMPLE["temp"]


@pytest.mark.slow
def test_a_list_a_record_and_a_frame_have_the_same_attributions(client: Any, folder: Path) -> None:
    rows = draw_rows(30)
    records = list(rows.iter_rows(named=True))
    listed = [answer["explanation"] for answer in ask(client, records)]
    single = [ask(client, record)["explanation"] for record in records]
    loaded = bundle.read_bundle(folder / "state/bundles/1", local_service.PROBLEM, "1")
    frame = compute_attributions(loaded, rows)
    assert listed == single
    for row, explanation in zip(frame.iter_rows(named=True), listed, strict=True):
        assert {name: row[name] for name in read_terms(explanation)} == read_terms(explanation)
        assert row["penumbra.score"] == explanation["score"]


def test_an_answer_is_the_same_with_and_without_an_explanation(client: Any) -> None:
    plain, explained = ask(client, EXAMPLE, ""), ask(client, EXAMPLE)
    del plain["prediction_id"], explained["prediction_id"], explained["explanation"]
    assert plain == explained
    assert "explanation" not in ask(client, EXAMPLE, "?explain=false")


@pytest.mark.slow
def test_a_model_that_is_no_sum_says_so_and_predicts_nothing(tmp_path: Path) -> None:
    local_service.deploy_version(tmp_path, "1", estimator=HardNegatives(DecisionTreeClassifier(max_depth=3)))
    with local_service.open_test_client(tmp_path) as http:
        answer = http.post("/predict?explain=true", content=json.dumps(EXAMPLE), headers=JSON)
    assert answer.status_code == 422
    assert "version 1 of the model can't explain its answers, as HardNegatives" in answer.json()["error"]
    assert [(detail["field"], detail["value"]) for detail in answer.json()["details"]] == [("explain", "true")]


@pytest.mark.slow
def test_attributions_that_are_damaged_after_the_version_was_loaded_are_refused(tmp_path: Path) -> None:
    local_service.deploy_version(tmp_path, "1", estimator=DecisionTreeClassifier(max_depth=3))
    with local_service.open_test_client(tmp_path) as http:
        (damaged,) = tmp_path.glob("state/bundles/1/attributions.npz")
        damaged.chmod(0o644)
        damaged.write_bytes(b"PK")
        answer = http.post("/predict?explain=true", content=encode_json(EXAMPLE), headers=JSON)
        assert ask(http, EXAMPLE, "")["model_version"] == "1"
    assert answer.status_code == 422
    assert "attributions.npz is gone or was changed" in answer.json()["error"]
