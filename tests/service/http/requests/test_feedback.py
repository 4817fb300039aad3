import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dataframely as dy
import polars as pl
import pytest

from penumbra.logs import append_log
from penumbra.logs.indexing.index import LogIndex
from penumbra.logs.queries import labels as joined
from problem import schema
from problem.schema import EXAMPLE
from service.http.refusals import RequestRefused
from service.http.requests import feedback
from tests.helpers.servers import local_service

BY_KEY = {"carrier": "UA", "flight": 1545, "time_hour": "2013-04-01T21:00:00Z", "arr_delay": 42}
BY_ID = {"prediction_id": "019fa1c2d3e4b5a69-1f", "arr_delay": 42}
LABELS = feedback.build_label_reader(schema, max_records=3)

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # BentoML's use of pydantic


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("feedback")


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[Any]:
    local_service.deploy_version(folder, "1")
    with local_service.open_test_client(folder) as http:
        yield http


def read_label_log(folder: Path) -> list[dict[str, Any]]:
    return list(append_log.read_entries(folder / "labels"))


def post_and_list_faults(**label: Any) -> list[tuple[Any, str]]:
    with pytest.raises(RequestRefused) as caught:
        LABELS.parse_one(json.dumps(label).encode())
    assert caught.value.status == 422
    return [(fault.get("field"), fault["expected"]) for fault in caught.value.details]


def test_a_label_is_in_the_log_when_the_answer_arrives(client: Any, folder: Path) -> None:
    answer = client.post("/feedback", json=BY_ID)
    assert (answer.status_code, answer.json()["outcome"]) == (200, "accepted")
    found = append_log.find_entry_in_segments(folder / "labels", answer.json()["label_id"])
    assert found is not None
    assert (found["prediction"], found["label"], found["source"]) == (
        BY_ID["prediction_id"],
        {"arr_delay": 42},
        "feedback",
    )


def test_a_list_is_accepted_in_its_order(client: Any, folder: Path) -> None:
    answer = client.post("/feedback", json=[BY_KEY, BY_ID, {**BY_KEY, "arr_delay": None}]).json()
    assert [entry["id"] for entry in read_label_log(folder)[-3:]] == [each["label_id"] for each in answer]
    assert [entry["label"]["arr_delay"] for entry in read_label_log(folder)[-3:]] == [42, 42, None]


@pytest.mark.parametrize("time", ["2013-04-01T21:00:00Z", "2013-04-01T23:00:00+02:00", "2013-04-01T21:00:00.000Z"])
def test_a_label_by_key_finds_the_prediction_of_that_key(tmp_path: Path, time: str) -> None:
    local_service.deploy_version(tmp_path, "1")
    with local_service.open_test_client(tmp_path) as http:
        http.post("/predict", json={**EXAMPLE, "time_hour": "2013-04-01T17:00:00-04:00"})
        http.post("/feedback", json={**BY_KEY, "time_hour": time})
    index = LogIndex.from_settings(local_service.make_service_settings(tmp_path), schema)
    index.catch_up()
    assert joined.join_labels(index)["target"].to_list() == [True]


def test_labels_are_accepted_without_a_model(tmp_path: Path) -> None:
    with local_service.open_test_client(tmp_path) as cold:
        assert cold.post("/feedback", json=BY_KEY).status_code == 200


def test_a_label_log_that_cannot_be_written_is_said_until_it_can(tmp_path: Path) -> None:
    (tmp_path / "labels").write_text("in the way")
    with local_service.open_test_client(tmp_path) as http:
        answer = http.post("/feedback", json=BY_KEY)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert "send this again" in answer.json()["error"]
        (tmp_path / "labels").unlink()
        assert http.post("/feedback", json=BY_KEY).status_code == 200


def test_one_bad_label_refuses_the_list_and_nothing_is_recorded(client: Any, folder: Path) -> None:
    before = len(read_label_log(folder))
    answer = client.post("/feedback", json=[BY_KEY, {**BY_KEY, "arr_delay": "late"}])
    assert answer.status_code == 422
    assert answer.json()["details"] == [
        {"index": 1, "field": "arr_delay", "value": "'late'", "expected": "a valid integer"}
    ]
    assert "nothing was recorded" in answer.json()["error"]
    assert len(read_label_log(folder)) == before


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"", 400), (b'{"arr_delay": ', 400), (b"[]", 422), (b"null", 422), (b"3", 422), (b" " * 10_000_000, 413)],
)
def test_what_is_no_label_is_refused_as_by_predict(client: Any, body: bytes, status: int) -> None:
    answer = client.post("/feedback", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status
    assert answer.json()["error"]


def test_other_methods_and_content_types_are_refused(client: Any) -> None:
    assert client.get("/feedback").status_code == 405
    assert client.post("/feedback", content=b"{}", headers={"content-type": "text/plain"}).status_code == 415


def test_the_documented_examples_can_be_pasted(client: Any) -> None:
    content = client.get("/docs.json").json()["paths"]["/feedback"]["post"]["requestBody"]["content"]
    examples = content["application/json"]["examples"].values()
    assert [client.post("/feedback", json=example["value"]).status_code for example in examples] == [200] * 3


def test_more_labels_than_accepted_are_refused() -> None:
    with pytest.raises(RequestRefused) as caught:
        LABELS.parse_batch(json.dumps([BY_KEY] * 4).encode())
    assert caught.value.status == 413


def test_a_label_names_a_prediction_or_a_row() -> None:
    assert post_and_list_faults(arr_delay=42) == [
        ("prediction_id", "the id of a prediction or carrier, flight, time_hour")
    ]


def test_a_label_does_not_name_both() -> None:
    assert post_and_list_faults(**{**BY_ID, "flight": 1545}) == [("flight", "no value beside prediction_id")]


def test_a_key_is_named_in_full() -> None:
    expected = "a value: it is part of the key"
    assert post_and_list_faults(carrier="UA", arr_delay=42) == [("flight", expected), ("time_hour", expected)]


def test_the_outcome_must_be_there_even_where_it_is_null() -> None:
    assert post_and_list_faults(prediction_id=BY_ID["prediction_id"]) == [
        ("arr_delay", "a value or null: the field is required")
    ]
    assert LABELS.parse_one(json.dumps({**BY_ID, "arr_delay": None}).encode())["arr_delay"] is None


@pytest.mark.parametrize("name", ["", "x", "unlogged-12", "019fa1c2d3e4b5a69", "019FA1C2D3E4B5A69-0", "../../etc-0"])
def test_an_id_that_never_was_one_is_refused(name: str) -> None:
    assert post_and_list_faults(prediction_id=name, arr_delay=42) == [
        ("prediction_id", "the prediction_id of an answer")
    ]


@pytest.mark.parametrize(
    ("field", "value"),
    [("arr_delay", 3001), ("arr_delay", True), ("carrier", "ZZ"), ("flight", None), ("time_hour", "yesterday")],
)
def test_labels_keep_the_contracts_ranges_and_types(field: str, value: Any) -> None:
    assert [name for name, _ in post_and_list_faults(**{**BY_KEY, field: value})] == [field]


def test_a_contract_without_a_key_takes_ids_alone() -> None:
    class Row(dy.Schema):
        at = dy.Datetime(nullable=False)

    class Labelled(Row):
        sold = dy.Float64(nullable=True)

    keyless: Any = type(
        "problem", (), {"Row": Row, "Labelled": Labelled, "TIME": "at", "target": staticmethod(lambda: pl.col("sold"))}
    )
    labels = feedback.build_label_reader(keyless, max_records=1)
    assert labels.parse_one(json.dumps({"prediction_id": BY_ID["prediction_id"], "sold": 1.5}).encode())["sold"] == 1.5
    with pytest.raises(RequestRefused, match="nothing was recorded") as caught:
        labels.parse_one(b'{"sold": 1.5}')
    required = {"field": "prediction_id", "expected": "a value: the field is required"}
    assert caught.value.details == [required]
    with pytest.raises(RequestRefused, match="nothing was recorded") as caught:
        labels.parse_one(b'{"at": "2024-01-01T00:00:00", "sold": 1.5}')
    assert caught.value.details[0] == required
    assert [fault["field"] for fault in caught.value.details] == ["prediction_id", "at"]
