"""`?uncertainty=true`: the set or interval of an answer, over HTTP as in a frame."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest

from penumbra.core.metrics.conformal import ConformalLimits, compute_uncertainty
from penumbra.logs import append_log
from penumbra.registry.lineage import explain_prediction
from penumbra.rules import Answer, Between, Rule
from problem import schema
from tests.helpers.servers import local_service
from tests.service.test_multiclass_and_regression import PROBLEMS, SPECIES, TASKS, Bird, deploy

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # BentoML's use of pydantic

LIMITS = {
    "binary": ConformalLimits(0.9, "split", 100, [False, True], [0.45, 0.6]),
    "multiclass": ConformalLimits(0.8, "split", 100, [*SPECIES], [0.65, 0.67, None]),
    "regression": ConformalLimits(0.9, "cross", 100, [], [5.0, None], [50.0]),
}


def ask(http: Any, records: Any, query: str = "?uncertainty=true") -> Any:
    return http.post(f"/predict{query}", json=records)


def serve(folder: Path, problem: Any) -> Any:
    service = local_service.build_service(local_service.make_service_settings(folder), problem)
    return local_service.TestClient(service.to_asgi(), base_url="http://127.0.0.1", client=("127.0.0.1", 50000))


@pytest.fixture(scope="module", params=LIMITS)
def served(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    kind, place = request.param, tmp_path_factory.mktemp("sets")
    facts = {"uncertainty": msgspec.to_builtins(LIMITS[kind])}
    if kind == "binary":
        live, problem, rows = local_service.deploy_version(place, "1", **facts), local_service.PROBLEM, schema.Row
    else:
        live, problem, rows = deploy(place, TASKS[kind], **facts), PROBLEMS[kind], Bird
    with serve(place, problem) as http:
        yield SimpleNamespace(kind=kind, place=place, live=live, http=http, rows=rows)


@pytest.mark.slow
def test_a_record_alone_in_a_list_and_in_a_frame_has_the_same_set(served: Any) -> None:
    rows = served.rows.sample(40).rechunk()  # polars writes columns in unlike chunks as JSON only in part
    records = json.loads(rows.write_json())
    listed = ask(served.http, records).json()
    single = [ask(served.http, record).json() for record in records]
    assert [each["uncertainty"] for each in single] == [each["uncertainty"] for each in listed]
    columns = compute_uncertainty(LIMITS[served.kind], served.live.score(rows))
    if served.kind == "regression":
        expected = [[end if np.isfinite(end) else None for end in row] for row in columns.iter_rows()]
        assert [each["uncertainty"]["interval"] for each in listed] == expected
    else:
        classes = served.live.task.classes or (False, True)
        expected = [[name for name, is_in in zip(classes, row, strict=True) if is_in] for row in columns.iter_rows()]
        assert [each["uncertainty"]["set"] for each in listed] == expected
    assert {each["uncertainty"]["coverage"] for each in listed} == {LIMITS[served.kind].coverage}


def test_answer_and_log_are_the_same_with_and_without_it(served: Any) -> None:
    record = json.loads(served.rows.sample(1).write_json())[0]
    plain, more = ask(served.http, record, "").json(), ask(served.http, record).json()
    assert {**more, "prediction_id": ""} == {**plain, "prediction_id": "", "uncertainty": more["uncertainty"]}
    lines = {line["id"]: line for line in append_log.read_entries(served.place / "predictions")}
    pair = [lines[each["prediction_id"]] for each in (plain, more)]
    assert pair[0].keys() == pair[1].keys()
    assert [each["output"] for each in pair] == [pair[0]["output"]] * 2


def test_explain_finds_the_set_again(served: Any) -> None:
    answer = ask(served.http, json.loads(served.rows.sample(1).write_json())[0]).json()
    found = explain_prediction(local_service.make_service_settings(served.place), answer["prediction_id"])
    assert found["uncertainty"] == answer["uncertainty"]


def test_the_document_has_the_option_and_what_it_adds(served: Any) -> None:
    document = served.http.get("/docs.json").json()
    assert "uncertainty" in [each["name"] for each in document["paths"]["/predict"]["post"]["parameters"]]
    assert "409" in document["paths"]["/predict"]["post"]["responses"]
    field = "interval" if served.kind == "regression" else "set"
    assert set(document["components"]["schemas"]["Uncertainty"]["required"]) == {"coverage", field}
    assert "uncertainty" not in document["components"]["schemas"]["Answer"]["required"]


def test_a_version_without_limits_answers_as_ever_but_not_how_sure_it_is(tmp_path: Path) -> None:
    local_service.deploy_version(tmp_path, "1")
    with local_service.open_test_client(tmp_path) as http:
        assert ask(http, schema.EXAMPLE, "").status_code == 200
        for records in (schema.EXAMPLE, [schema.EXAMPLE]):
            refused = ask(http, records)
            assert refused.status_code == 422
            assert [detail["field"] for detail in refused.json()["details"]] == ["uncertainty"]
            assert "version 1 doesn't say how sure it is" in refused.json()["error"]
    explained = explain_prediction(
        local_service.make_service_settings(tmp_path),
        next(iter(append_log.read_entries(tmp_path / "predictions")))["id"],
    )
    assert explained["uncertainty"] is None


def test_what_a_rule_answers_before_the_model_has_no_set(tmp_path: Path) -> None:
    local_service.deploy_version(tmp_path, "1", baseline=0.2, uncertainty=msgspec.to_builtins(LIMITS["binary"]))
    rule = Rule("short", "never late", Between("distance", 0, 100), Answer(False))
    ruled = SimpleNamespace(
        schema=local_service.PROBLEM.schema,
        features=local_service.PROBLEM.features,
        rules=SimpleNamespace(RULES=(rule,), OBSERVED_DECISIONS=()),
    )
    short, long = ({**schema.EXAMPLE, "distance": distance} for distance in (80, 1000))
    with serve(tmp_path, ruled) as http:
        found = ask(http, [short, long, short]).json()
        assert [each["uncertainty"] is None for each in found] == [True, False, True]
        assert ask(http, short).json()["uncertainty"] is None
