import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from penumbra.logs import append_log
from penumbra.logs.schema import get_broken_counts_folder
from problem.schema import EXAMPLE, OUTCOME
from service.http.requests.arrow_body import ARROW_MEDIA_TYPE
from tests.helpers.servers import local_service

JSON = {"content-type": "application/json"}

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # BentoML's use of pydantic


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("http")


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[Any]:
    local_service.deploy_version(folder, "1")
    with local_service.open_test_client(folder) as http:
        yield http


def post_body(client: Any, body: bytes, **headers: str) -> Any:
    return client.post("/predict", content=body, headers={**JSON, **headers})


BAD = {
    "truncated": (b'{"carrier": "UA"', 400),
    "empty": (b"", 400),
    "not UTF-8": (b'{"carrier": "\xff"}', 400),
    "deep": (b'{"a":' * 10_000, 400),
    "deep list": (b"[" * 100_000, 400),
    "null": (b"null", 422),
    "number": (b"3", 422),
    "nested lists": (b"[[{}]]", 422),
    "empty list": (b"[]", 422),
    "empty object": (b"{}", 422),
    "NaN": (json.dumps({**EXAMPLE, "temp": float("nan")}).encode(), 422),
    "Infinity": (json.dumps({**EXAMPLE, "temp": float("inf")}).encode(), 422),
    "1e400": (json.dumps(EXAMPLE).replace("55.4", "1e400").encode(), 422),
    "true for a number": (json.dumps({**EXAMPLE, "temp": True}).encode(), 422),
    "unknown carrier": (json.dumps({**EXAMPLE, "carrier": "ZZ"}).encode(), 422),
    "naive datetime": (json.dumps({**EXAMPLE, "time_hour": "2013-04-01T21:00:00"}).encode(), 422),
    "extra field": (json.dumps({**EXAMPLE, "colour": "red"}).encode(), 422),
    "list with one bad": (json.dumps([EXAMPLE, {**EXAMPLE, "temp": "x"}]).encode(), 422),
    "100,001 records": (b"[" + b"{}," * 100_000 + b"{}]", 413),
    "10 MB": (b" " * 10_000_000, 413),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_with_json_that_says_why(client: Any, name: str) -> None:
    body, status = BAD[name]
    answer = post_body(client, body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["error"]


def test_what_breaks_the_contract_is_counted_by_field_for_the_monitor(tmp_path: Path) -> None:
    with local_service.open_test_client(tmp_path) as http:
        post_body(
            http, json.dumps([EXAMPLE, {**EXAMPLE, "temp": 300.0}, {**EXAMPLE, "temp": 301.0, "dewp": 300.0}]).encode()
        )
        local_service.wait_until(
            lambda: list(append_log.read_entries(get_broken_counts_folder(tmp_path / "predictions")))
        )
    (entry,) = append_log.read_entries(get_broken_counts_folder(tmp_path / "predictions"))
    assert (entry["records"], entry["fields"]) == (2, {"temp": 2, "dewp": 1})


def test_names_that_a_client_makes_up_are_counted_together(tmp_path: Path) -> None:
    made_up = [{**EXAMPLE, f"<b id=marker{number}>": 1} for number in range(3)]
    with local_service.open_test_client(tmp_path) as http:
        post_body(http, json.dumps([*made_up, {**EXAMPLE, "temp": 300.0}]).encode())
        local_service.wait_until(
            lambda: list(append_log.read_entries(get_broken_counts_folder(tmp_path / "predictions")))
        )
    (entry,) = append_log.read_entries(get_broken_counts_folder(tmp_path / "predictions"))
    assert (entry["records"], entry["fields"]) == (4, {"penumbra.unknown": 3, "temp": 1})


def test_a_refused_request_leaves_nothing_in_the_log(client: Any, folder: Path) -> None:
    before = len(list(append_log.read_entries(folder / "predictions")))
    post_body(client, json.dumps([EXAMPLE, {}]).encode())
    assert len(list(append_log.read_entries(folder / "predictions"))) == before


@pytest.mark.slow
def test_a_thousand_malformed_requests_do_not_harm_the_next(client: Any) -> None:
    assert {post_body(client, b'{"carrier": ').status_code for _ in range(1000)} == {400}
    assert client.post("/predict", json=EXAMPLE).status_code == 200


def test_a_body_in_pieces_is_refused_once_over_the_limit(client: Any) -> None:
    pieces = (b" " * 1_000_000 for _ in range(12))
    assert client.post("/predict", content=pieces, headers=JSON).status_code == 413


def test_a_body_in_pieces_within_the_limit_is_answered(client: Any) -> None:
    body = json.dumps(EXAMPLE).encode()
    assert client.post("/predict", content=iter([body[:50], body[50:]]), headers=JSON).status_code == 200


@pytest.mark.parametrize("content_type", ["text/plain", "", "application/x-www-form-urlencoded"])
def test_another_content_type_is_refused(client: Any, content_type: str) -> None:
    answer = post_body(client, json.dumps(EXAMPLE).encode(), **{"content-type": content_type})
    assert answer.status_code == 415
    assert "application/json" in answer.json()["error"]


def test_a_content_type_with_a_charset_is_accepted(client: Any) -> None:
    body = json.dumps(EXAMPLE).encode()
    assert post_body(client, body, **{"content-type": "Application/JSON; charset=utf-8"}).status_code == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_other_methods_than_post_are_refused(client: Any, method: str) -> None:
    answer = client.request(method, "/predict")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_the_documented_example_can_be_pasted(client: Any) -> None:
    document = client.get("/docs.json").json()
    content = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    for example in content["examples"].values():
        assert client.post("/predict", json=example["value"]).status_code == 200


def test_every_reference_in_the_document_leads_somewhere(client: Any) -> None:
    document = client.get("/docs.json").json()
    references = set(_references(document))
    assert references
    assert references <= {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        yield from ([node["$ref"]] if "$ref" in node else [])
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from _references(child)


@pytest.mark.parametrize("path", ["/livez", "/healthz", "/schema.json", "/docs.json", "/"])
def test_bentoml_serves_the_rest(client: Any, path: str) -> None:
    assert client.get(path).status_code == 200


@pytest.mark.parametrize("path", ["/predict", "/feedback"])
@pytest.mark.parametrize("body", [EXAMPLE, [EXAMPLE]])
def test_an_unknown_option_is_refused_for_a_record_and_for_a_list(client: Any, path: str, body: Any) -> None:
    answer = client.post(f"{path}?explian=true", json=body)
    assert answer.status_code == 422
    assert answer.json()["details"][0]["field"] == "explian"


@pytest.mark.parametrize("path", ["/predict", "/feedback"])
def test_a_list_may_come_as_arrow_and_be_answered_so(client: Any, folder: Path, path: str) -> None:
    arrow = ARROW_MEDIA_TYPE.decode()
    body: Any = (
        [EXAMPLE] * 3 if path == "/predict" else [{"prediction_id": f"{'a' * 17}-{n}", **OUTCOME} for n in range(3)]
    )
    stream = io.BytesIO()
    pl.from_dicts(body).write_ipc_stream(stream, compression="uncompressed")
    by_json = client.post(path, content=stream.getvalue(), headers={"content-type": arrow})
    by_arrow = client.post(path, content=stream.getvalue(), headers={"content-type": arrow, "accept": f"{arrow}, */*"})
    assert (by_json.headers["content-type"], by_arrow.headers["content-type"]) == ("application/json", arrow)
    rows = pl.read_ipc_stream(by_arrow.content).to_dicts()
    changing = {"prediction_id": "", "label_id": ""}
    assert [each | changing for each in rows] == [each | changing for each in by_json.json()]


def test_one_record_is_answered_as_json_whatever_is_accepted(client: Any) -> None:
    answer = client.post("/predict", json=EXAMPLE, headers={"accept": ARROW_MEDIA_TYPE.decode()})
    assert answer.json()["prediction_id"]


def test_a_repeated_table_gets_the_same_answer(client: Any) -> None:
    stream = io.BytesIO()
    pl.from_dicts([EXAMPLE] * 3).write_ipc_stream(stream, compression="uncompressed")
    headers = {"content-type": ARROW_MEDIA_TYPE.decode(), "idempotency-key": "a table"}
    answers = [client.post("/predict", content=stream.getvalue(), headers=headers).json() for _ in range(2)]
    assert answers[0] == answers[1]
