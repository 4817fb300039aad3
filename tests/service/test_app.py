import functools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dataframely as dy
import msgspec
import polars as pl
import pytest

from penumbra.core.settings import PROJECT_ROOT
from penumbra.logs import append_log
from penumbra.registry.bundles import bundle
from problem import schema
from tests.helpers.servers import local_service

EXAMPLE = schema.EXAMPLE
JSON = {"content-type": "application/json"}

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # BentoML's use of pydantic


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("service")


@pytest.fixture(scope="module")
def live(folder: Path) -> bundle.Bundle:
    return local_service.deploy_version(folder, "1")


@pytest.fixture(scope="module")
def client(folder: Path, live: bundle.Bundle) -> Iterator[Any]:
    with local_service.open_test_client(folder) as http:
        yield http


def post_body(client: Any, body: bytes, **headers: str) -> Any:
    return client.post("/predict", content=body, headers={**JSON, **headers})


@functools.cache
def sample_rows_with_gaps() -> pl.DataFrame:
    """Rows with missing values and with destinations never seen in training."""
    return schema.Row.sample(200, generator=dy.random.Generator(0))


@pytest.mark.slow
def test_single_records_get_exactly_the_scores_of_training_time(client: Any, live: bundle.Bundle) -> None:
    rows = sample_rows_with_gaps()
    answers = [post_body(client, msgspec.json.encode(row)).json() for row in rows.to_dicts()]
    assert [answer["probability"] for answer in answers] == live.score(rows).tolist()


@pytest.mark.slow
def test_a_list_gets_exactly_the_scores_of_training_time_in_order(client: Any, live: bundle.Bundle) -> None:
    rows = sample_rows_with_gaps()
    answers = post_body(client, msgspec.json.encode(rows.to_dicts())).json()
    assert [answer["probability"] for answer in answers] == live.score(rows).tolist()


def test_an_answer_has_id_probability_decision_and_version(client: Any) -> None:
    answer = client.post("/predict", json=EXAMPLE).json()
    assert sorted(answer) == ["decision", "model_version", "prediction_id", "probability"]
    assert answer["decision"] == (answer["probability"] >= local_service.THRESHOLD)
    assert answer["model_version"] == "1"


def test_every_answer_is_in_the_log(client: Any, folder: Path) -> None:
    answers = client.post("/predict", json=[EXAMPLE, {**EXAMPLE, "temp": None}]).json()
    found = [append_log.find_entry_in_segments(folder / "predictions", answer["prediction_id"]) for answer in answers]
    assert [line and line["record"]["temp"] for line in found] == [55.4, None]
    assert [line and line["output"] for line in found] == [answer["probability"] for answer in answers]


@pytest.fixture(scope="module")
def bentoml_client(client: Any, folder: Path) -> Iterator[Any]:
    """BentoML's own API, without the service's paths around it."""
    service = local_service.build_service(local_service.make_service_settings(folder), local_service.PROBLEM)
    with local_service.TestClient(service.to_plain_asgi()) as plain:
        yield plain


@pytest.mark.parametrize(
    "body",
    [
        EXAMPLE,
        [EXAMPLE, EXAMPLE],
        {**EXAMPLE, "temp": None},
        {**EXAMPLE, "time_hour": "2013-04-01T21:00:00+00:60"},
        {**EXAMPLE, "time_hour": "0001-01-01T00:00:00+01:00"},
        {**EXAMPLE, "carrier": "?"},
        [EXAMPLE, {**EXAMPLE, "carrier": "?"}],
        [EXAMPLE] * 10_001,
        [],
        7,
    ],
)
def test_the_fast_path_answers_as_bentoml_would(client: Any, bentoml_client: Any, body: Any) -> None:
    def without_ids(answers: Any) -> Any:
        return [{**answer, "prediction_id": ""} for answer in (answers if isinstance(answers, list) else [answers])]

    answer, expected = (http.post("/predict", json=body) for http in (client, bentoml_client))
    assert answer.status_code == expected.status_code
    assert without_ids(answer.json()) == without_ids(expected.json())


def test_an_offset_of_sixty_minutes_is_refused_alone_and_in_a_list(client: Any) -> None:
    """Read before a record that only pydantic can read, it made the whole list refuse."""
    odd = {**EXAMPLE, "time_hour": "2013-04-01T21:00:00+00:60"}
    assert [client.post("/predict", json=body).status_code for body in (odd, [odd], [odd, EXAMPLE])] == [422] * 3


def test_a_failure_in_the_model_is_a_500_that_keeps_the_service_going(client: Any, monkeypatch: Any) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(bundle.Bundle, "compute_outputs", lambda self, matrix: 1 / 0)
        answer = client.post("/predict", json=[EXAMPLE])
    assert (answer.status_code, answer.json()["details"]) == (500, [])
    assert client.post("/predict", json=EXAMPLE).status_code == 200


def test_a_model_that_answers_nan_is_a_500(client: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(bundle.Bundle, "compute_outputs", lambda self, matrix: matrix[:, :2] * float("nan"))
    answer = client.post("/predict", json=[EXAMPLE])
    assert answer.status_code == 500
    assert "NaN" in answer.json()["error"]


def test_before_the_registry_has_answered_the_service_says_what_it_waits_for(tmp_path: Path) -> None:
    with local_service.open_test_client(tmp_path) as cold:
        answer, ready = cold.post("/predict", json=EXAMPLE), cold.get("/readyz")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "the registry is being asked which version is live" in answer.json()["error"]
    assert (ready.status_code, ready.json()["ready"]) == (503, False)


@pytest.mark.slow
def test_an_unwritable_log_is_owned_up_to_until_it_can_be_written_again(tmp_path: Path) -> None:
    local_service.deploy_version(tmp_path, "1")
    (tmp_path / "predictions").write_text("in the way")
    with local_service.open_test_client(tmp_path) as http:
        answer = http.post("/predict", json=EXAMPLE).json()
        assert answer["logged"] is False
        assert answer["prediction_id"].startswith("unlogged-")
        assert "can't be written" in http.get("/readyz").json()["reason"]
        (tmp_path / "predictions").unlink()
        local_service.wait_until(lambda: http.get("/readyz").status_code == 200)
        assert "logged" not in http.post("/predict", json=EXAMPLE).json()


def test_a_start_with_a_damaged_live_bundle_falls_back_to_the_previous(tmp_path: Path) -> None:
    local_service.deploy_version(tmp_path, "1")
    local_service.deploy_version(tmp_path, "2", seed=2)
    (tmp_path / "state/bundles/2/model.onnx").write_bytes(b"damaged")
    with local_service.open_test_client(tmp_path) as http:
        assert http.get("/readyz").json()["model_version"] == "1"


@pytest.mark.slow
def test_a_worker_imports_nothing_that_only_training_needs() -> None:
    heavy = "{'mlflow', 'sklearn', 'metaflow', 'dvc', 'pandas', 'optuna', 'evidently', 'onnx'}"
    code = f"import sys, service.app; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
