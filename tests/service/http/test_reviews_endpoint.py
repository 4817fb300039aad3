"""`GET /reviews/{id}`: what has become of an answer whose decision a rule leaves to people."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from penumbra.logs import append_log
from penumbra.logs.append_log import LogWriter
from penumbra.reviews.deferred import describe_deferred_answer
from penumbra.reviews.selection.case_picker import pick_cases
from penumbra.rules import Defer, OneOf, Rule
from problem import schema
from service.http.access.access_control import read_keys
from tests.helpers.logs import review_cases
from tests.helpers.logs.prediction_logs import LABEL_SPEC
from tests.helpers.servers import local_service

EXAMPLE = schema.EXAMPLE
RULES = (
    Rule("people", "people decide it", OneOf("origin", ["JFK"]), Defer(hours=4, default=True)),
    Rule("at_once", "its time runs out at once", OneOf("origin", ["LGA"]), Defer(hours=1e-9, default=False)),
)

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # BentoML's use of pydantic


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("deferred")


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[Any]:
    local_service.deploy_version(folder, "1")
    with local_service.open_test_client(folder, rules=RULES) as http:
        yield http


def ask(client: Any, origin: str = "JFK") -> dict[str, Any]:
    answer: dict[str, Any] = client.post("/predict", json={**EXAMPLE, "origin": origin}).json()
    return answer


def decide(folder: Path, case: str, minutes: int | None) -> None:
    """What the picking pass and a reviewer do."""
    settings = review_cases.make_review_settings(folder)
    pick_cases(settings, local_service.PROBLEM, budget=0)
    with review_cases.open_desk(folder) as desk:
        now = dt.datetime.now(dt.UTC)
        at = (now - review_cases.MONDAY) / dt.timedelta(minutes=1)
        desk.record(review_cases.make_action(case, "ann", minutes, at=at))


def test_an_answer_that_people_decide_is_pending_before_any_pass(client: Any, folder: Path) -> None:
    answer = ask(client)
    assert (answer["pending"], answer["default"], answer["review"], answer["rules"]) == (True, True, True, ["people"])
    name = answer["prediction_id"]
    logged = append_log.find_entry_in_segments(folder / "predictions", name)
    assert logged is not None
    assert [logged[field] for field in ("pending", "due", "default")] == [True, answer["due"], True]
    found = client.get(f"/reviews/{name}")
    assert found.status_code == 200
    assert found.json() == {"prediction_id": name, "status": "pending", "due": answer["due"], "default": True}


def test_each_row_of_a_list_is_pending_by_itself(client: Any) -> None:
    answers = client.post("/predict", json=[{**EXAMPLE, "origin": "JFK"}, EXAMPLE]).json()
    assert [answer.get("pending") for answer in answers] == [True, None]


def test_what_people_say_is_the_decision(client: Any, folder: Path) -> None:
    name = ask(client)["prediction_id"]
    decide(folder, name, 3)
    found = client.get(f"/reviews/{name}").json()
    assert (found["status"], found["decision"], found["label"]) == ("decided", False, {"arr_delay": 3})
    assert found["reviewers"] == ["ann"]
    assert found["decided_at"] < found["due"]


def test_where_people_say_that_there_was_no_outcome_there_is_no_decision(client: Any, folder: Path) -> None:
    name = ask(client)["prediction_id"]
    decide(folder, name, None)
    found = client.get(f"/reviews/{name}").json()
    assert (found["status"], found["decision"]) == ("decided", None)


def test_the_default_counts_once_the_time_is_over_whatever_people_say_later(client: Any, folder: Path) -> None:
    answer = ask(client, "LGA")
    name = answer["prediction_id"]
    expected = {"prediction_id": name, "status": "defaulted", "due": answer["due"], "default": False}
    expected |= {"decision": False, "decided_at": answer["due"]}
    assert client.get(f"/reviews/{name}").json() == expected
    decide(folder, name, 300)
    assert client.get(f"/reviews/{name}").json() == expected


def test_an_undone_decision_is_pending_again(client: Any, folder: Path) -> None:
    name = ask(client)["prediction_id"]
    decide(folder, name, 3)
    with review_cases.open_desk(folder) as desk:
        desk.record(review_cases.make_action(name, "ann", kind="undo"))
    assert client.get(f"/reviews/{name}").json()["status"] == "pending"


UNKNOWN = {
    "1a202da4e018946e5-0": "has no prediction 1a202da4e018946e5-0",
    "unlogged-1a202da4": "was answered while the prediction log could not be written",
    "..%2f..%2fetc": "is no prediction id, which is 17 hexadecimal digits",
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_an_unknown_id_is_not_found_and_the_answer_says_why(client: Any, name: str) -> None:
    found = client.get(f"/reviews/{name}")
    assert found.status_code == 404
    assert UNKNOWN[name] in found.json()["error"]


def test_an_answer_that_was_final_is_not_found(client: Any) -> None:
    name = ask(client, "EWR")["prediction_id"]
    found = client.get(f"/reviews/{name}")
    assert found.status_code == 404
    assert found.json()["error"].startswith(f"{name} was not left to people: its answer was final")


def test_it_is_asked_by_get_or_head(client: Any) -> None:
    name = ask(client)["prediction_id"]
    assert client.head(f"/reviews/{name}").status_code == 200
    assert client.post(f"/reviews/{name}").status_code == 405


def test_where_the_log_cannot_be_written_nothing_is_pending_and_the_default_is_told(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> Any:
        raise OSError("full")

    monkeypatch.setattr(LogWriter, "append", refuse)
    answer = ask(client)
    assert answer["logged"] is False
    assert answer["default"] is True
    assert not {"pending", "due"} & answer.keys()


def test_a_decision_outlives_the_segments_that_the_answer_was_in(client: Any, folder: Path) -> None:
    """As time passes: the same question a year later."""
    name = ask(client)["prediction_id"]
    decide(folder, name, 90)
    settings, later = review_cases.make_review_settings(folder), dt.datetime.now(dt.UTC) + dt.timedelta(days=365)
    found = describe_deferred_answer(settings, LABEL_SPEC, name, later)
    assert (found["status"], found["decision"]) == ("decided", True)


def test_it_takes_a_key_for_predictions(folder: Path) -> None:
    environ = {"PENUMBRA_KEYS__PREDICT": "predict-key-of-ann", "PENUMBRA_KEYS__FEEDBACK": "feedback-key-of-bob"}
    with local_service.open_test_client(folder, keys=read_keys(environ)) as http:
        codes = [
            http.get("/reviews/1a202da4e018946e5-0", headers={"authorization": f"Bearer {key}"}).status_code
            for key in ("predict-key-of-ann", "feedback-key-of-bob", "nobody's")
        ]
    assert codes == [404, 403, 401]


def test_the_document_says_what_may_be_answered(client: Any) -> None:
    schemas = client.get("/docs.json").json()["components"]["schemas"]
    assert set(schemas["Review"]["properties"]["status"]["enum"]) == {"pending", "decided", "defaulted"}
    assert {"pending", "due", "default"} <= schemas["Answer"]["properties"].keys()
