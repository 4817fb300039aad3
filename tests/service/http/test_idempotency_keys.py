"""`Idempotency-Key`: a repeated request gets the answer of the first, which is in the log once."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from prometheus_client import REGISTRY
from sklearn.tree import DecisionTreeClassifier

from penumbra.logs.append_log import read_entries
from penumbra.rules import Between, Defer, Override, Refuse, Review, Rule
from problem.schema import EXAMPLE
from service.http.access.access_control import read_keys
from service.http.requests.idempotency_key import SENT_KEY_PATTERN, read_idempotency_key
from tests.helpers.servers import local_service

OTHER = {**EXAMPLE, "temp": 60.0}
BODIES: list[Any] = [EXAMPLE, [EXAMPLE, OTHER, EXAMPLE]]

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # BentoML's use of pydantic


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Any]:
    local_service.deploy_version(tmp_path, "1")
    with local_service.open_test_client(tmp_path) as http:
        yield http


def post(client: Any, body: Any, key: str = "a key", **headers: str) -> Any:
    return client.post("/predict", json=body, headers={"idempotency-key": key, **headers})


def list_logged(folder: Path) -> list[str]:
    return [entry["id"] for entry in read_entries(folder / "predictions")]


def list_ids(answer: Any) -> list[str]:
    answers = answer.json()
    return [each["prediction_id"] for each in (answers if isinstance(answers, list) else [answers])]


@pytest.mark.parametrize("body", BODIES)
def test_a_repeated_request_gets_the_same_answer_and_is_logged_once(client: Any, tmp_path: Path, body: Any) -> None:
    first, second = post(client, body), post(client, body)
    assert first.status_code == 200
    assert second.json() == first.json()
    assert list_logged(tmp_path) == list_ids(first)


@pytest.mark.parametrize("body", BODIES)
def test_it_is_what_the_same_request_without_a_key_gets(client: Any, body: Any) -> None:
    def strip(answers: Any) -> Any:
        return [{**each, "prediction_id": ""} for each in (answers if isinstance(answers, list) else [answers])]

    assert strip(post(client, body).json()) == strip(client.post("/predict", json=body).json())


@pytest.mark.slow
def test_a_repeated_request_gets_the_answer_of_the_model_that_was_live_then(client: Any, tmp_path: Path) -> None:
    first = post(client, EXAMPLE)
    local_service.deploy_version(tmp_path, "2", seed=2)
    local_service.wait_until(lambda: client.post("/predict", json=EXAMPLE).json()["model_version"] == "2")
    assert post(client, EXAMPLE).json() == first.json()


@pytest.mark.slow
def test_it_is_known_after_a_restart(tmp_path: Path) -> None:
    local_service.deploy_version(tmp_path, "1")
    answers = []
    for _ in range(2):
        with local_service.open_test_client(tmp_path) as http:
            answers.append(post(http, BODIES[1]).json())
    assert answers[0] == answers[1]


def test_marks_of_rules_come_with_the_answer_again(tmp_path: Path) -> None:
    rules = [
        Rule("cold", "ice", Between("temp", 0, 58.0), Defer(hours=2)),
        Rule("warm", "storms", Between("temp", 58.0, 90.0), Override(True)),
        Rule("any", "look", Between("temp", 0.0, 90.0), Review()),
    ]
    local_service.deploy_version(tmp_path, "1")
    with local_service.open_test_client(tmp_path, rules) as http:
        first = post(http, BODIES[1]).json()
        assert post(http, BODIES[1]).json() == first
    assert first[0]["pending"]
    assert first[0]["review"]


@pytest.mark.slow
def test_requests_that_come_at_the_same_time_are_logged_once(client: Any, tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: post(client, BODIES[1] * 50).json(), range(8)))
    assert all(answer == answers[0] for answer in answers)
    assert len(list_logged(tmp_path)) == 150


@pytest.mark.parametrize("body", [OTHER, [EXAMPLE]])
def test_a_key_with_another_body_is_refused(client: Any, tmp_path: Path, body: Any) -> None:
    first, other = post(client, EXAMPLE), post(client, body)
    assert other.status_code == 422
    assert "take a new key" in other.json()["error"]
    assert list_logged(tmp_path) == list_ids(first)


def test_a_part_of_a_list_is_another_request_than_the_same_records_as_a_list(client: Any, tmp_path: Path) -> None:
    part = post(client, [EXAMPLE], **{"content-range": "records 0-0/*"})
    assert post(client, [EXAMPLE], **{"content-range": "records 0-0/*"}).json() == part.json()
    for headers in ({}, {"content-range": "records 0-0/1"}):
        assert post(client, [EXAMPLE], **headers).status_code == 422
    assert list_logged(tmp_path) == list_ids(part)


def test_a_key_in_quotes_is_the_same_key(client: Any) -> None:
    assert post(client, EXAMPLE, '"a key"').json() == post(client, EXAMPLE).json()


@pytest.mark.parametrize("key", ["", " ", '""', "a" * 256, "caf\u00e9", '"half', 'a"b', "a\\b"])
def test_what_is_no_key_is_refused(client: Any, tmp_path: Path, key: str) -> None:
    answer = client.post("/predict", json=EXAMPLE, headers=[(b"idempotency-key", key.encode("latin-1"))])
    assert answer.status_code == 400
    assert "characters of ASCII, no quotes and backslashes among them" in answer.json()["error"]
    assert list_logged(tmp_path) == []


@given(st.from_regex(SENT_KEY_PATTERN, fullmatch=True).filter(lambda key: len(key) <= 255))
@example("orders of 2013-04-01")
def test_a_key_is_taken_as_the_document_has_it(key: str) -> None:
    assert read_idempotency_key([(b"idempotency-key", key.encode())]) == key.encode()
    assert re.search(SENT_KEY_PATTERN, key)


def test_a_refused_request_leaves_its_key_free(client: Any) -> None:
    assert post(client, {**EXAMPLE, "temp": "warm"}).status_code == 422
    assert post(client, EXAMPLE).status_code == 200


@pytest.mark.slow
def test_of_a_list_that_was_cut_short_the_refusal_of_the_rest_says_the_positions_in_all_of_it(tmp_path: Path) -> None:
    local_service.deploy_version(tmp_path, "1")
    with local_service.open_test_client(tmp_path) as http:
        post(http, [EXAMPLE, OTHER, EXAMPLE])
    (segment,) = (tmp_path / "predictions").glob("*.jsonl")
    segment.write_bytes(segment.read_bytes().splitlines(keepends=True)[0])
    with local_service.open_test_client(tmp_path, [Rule("warm", "no", Between("temp", 59.0, 61.0), Refuse())]) as http:
        refusal = post(http, [EXAMPLE, OTHER, EXAMPLE]).json()
    assert refusal["error"] == "1 of 3 records are refused (warm: no), only the first 1 were answered, earlier"
    assert [detail["index"] for detail in refusal["details"]] == [1]


def test_an_answer_is_found_though_the_log_was_deleted_right_after_it(client: Any, tmp_path: Path) -> None:
    ids = list_ids(post(client, EXAMPLE))
    shutil.rmtree(tmp_path / "predictions")
    assert list_ids(post(client, EXAMPLE)) == ids == list_logged(tmp_path)


def test_keys_of_different_senders_have_nothing_to_do_with_each_other(tmp_path: Path) -> None:
    local_service.deploy_version(tmp_path, "1")
    keys = [f"{name}-key-of-16-letters" for name in ("one", "two")]
    digests = read_keys({"PENUMBRA_KEYS__PREDICT": ",".join(keys)})
    with local_service.open_test_client(tmp_path, keys=digests) as http:
        ids = {list_ids(post(http, EXAMPLE, authorization=f"Bearer {key}"))[0] for key in keys * 2}
    assert len(ids) == 2


def test_an_answer_that_cant_be_logged_is_marked_and_not_kept(client: Any, tmp_path: Path) -> None:
    (tmp_path / "predictions").write_text("in the way")
    first, second = post(client, EXAMPLE).json(), post(client, EXAMPLE).json()
    assert (first["logged"], second["logged"]) == (False, False)
    (tmp_path / "predictions").unlink()
    local_service.wait_until(lambda: "logged" not in post(client, EXAMPLE).json())
    assert len(list_logged(tmp_path)) == 1


def test_claims_that_cant_be_written_are_a_503(client: Any, tmp_path: Path) -> None:
    (tmp_path / "state" / "claims").write_text("in the way")
    answer = post(client, EXAMPLE)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert client.post("/predict", json=EXAMPLE).status_code == 200


def test_records_are_counted_once(client: Any) -> None:
    def count(name: str) -> float:
        return REGISTRY.get_sample_value(f"penumbra_{name}") or 0.0

    requests, records = count("request_seconds_count"), count("records_total")
    for _ in range(3):
        post(client, BODIES[1])
    local_service.wait_until(lambda: count("request_seconds_count") == requests + 3)
    assert count("records_total") == records + 3


def test_labels_take_a_key_too(client: Any) -> None:
    name = post(client, EXAMPLE).json()["prediction_id"]
    label = {"prediction_id": name, "arr_delay": 20}
    for _ in range(2):
        answer = client.post("/feedback", json=label, headers={"idempotency-key": "a key"})
        assert (answer.status_code, answer.json()["outcome"]) == (200, "accepted")


def test_an_entry_says_which_request_and_record_it_answers(client: Any, tmp_path: Path) -> None:
    post(client, BODIES[1])
    client.post("/predict", json=EXAMPLE)
    requests = [entry.get("request") for entry in read_entries(tmp_path / "predictions")]
    assert [request and request.partition("/")[2] for request in requests] == ["0", "1", "2", None]
    assert "a key" not in json.dumps(requests)


@pytest.fixture
def explaining_client(tmp_path: Path) -> Iterator[Any]:
    local_service.deploy_version(tmp_path, "1", estimator=DecisionTreeClassifier(max_depth=3, random_state=1))
    with local_service.open_test_client(tmp_path) as http:
        yield http


@pytest.mark.slow
@pytest.mark.parametrize("body", BODIES)
def test_what_an_option_asks_for_comes_with_the_answer_again(explaining_client: Any, tmp_path: Path, body: Any) -> None:
    def ask() -> Any:
        headers = {"idempotency-key": "a key"}
        return explaining_client.post("/predict?explain=true", json=body, headers=headers).json()

    first = ask()
    assert (first if isinstance(first, dict) else first[0])["explanation"]["attributions"]
    assert ask() == first
    assert len(list_logged(tmp_path)) == (1 if isinstance(body, dict) else len(body))
    assert post(explaining_client, body).status_code == 422  # without the option it is another request


@pytest.mark.slow
def test_an_answer_of_a_version_that_is_gone_isnt_explained_again(explaining_client: Any, tmp_path: Path) -> None:
    def ask() -> Any:
        return explaining_client.post("/predict?explain=true", json=EXAMPLE, headers={"idempotency-key": "a key"})

    assert ask().status_code == 200
    for version in ("2", "3", "4"):
        local_service.deploy_version(tmp_path, version, seed=int(version))
        local_service.wait_until(
            lambda version=version: explaining_client.get("/readyz").json()["model_version"] == version
        )
    (tmp_path / "state" / "previous").unlink(missing_ok=True)
    local_service.wait_until(lambda: ask().status_code == 409)
    assert "version 1 gave this answer" in ask().json()["error"]
    assert len(list_logged(tmp_path)) == 1


def test_an_option_that_the_version_lacks_leaves_the_key_free(client: Any, tmp_path: Path) -> None:
    for _ in range(2):
        answer = client.post("/predict?uncertainty=true", json=EXAMPLE, headers={"idempotency-key": "a key"})
        assert answer.status_code == 422
    assert list_logged(tmp_path) == []
    assert post(client, EXAMPLE).status_code == 200


@pytest.mark.slow
def test_the_same_options_in_other_letters_are_the_same_request(explaining_client: Any, tmp_path: Path) -> None:
    headers = {"idempotency-key": "a key"}
    first, second = (
        explaining_client.post(f"/predict?{query}", json=EXAMPLE, headers=headers)
        for query in ("explain=true", "uncertainty=false&explain=tru%65")
    )
    assert second.status_code == 200, second.text
    assert list_ids(first) == list_ids(second) == list_logged(tmp_path)
    assert explaining_client.post("/predict", json=EXAMPLE, headers=headers).status_code == 422
