"""A deferred answer with everything real: server, indexer that picks the row and tells the webhook, reviewer."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from penumbra.reviews.queue import ReviewQueue
from problem.schema import EXAMPLE
from tests.helpers.checkout import link_checkout
from tests.helpers.logs import review_cases
from tests.helpers.servers import local_service
from tests.helpers.servers.small_server import MessageReceiver, run_small_server

RULES = """
from penumbra.rules import Defer, OneOf, Rule

RULES = (
    Rule("people", "people decide it", OneOf("origin", ["JFK"]), Defer(hours=4, default=True)),
    Rule("soon", "its time runs out soon", OneOf("origin", ["LGA"]), Defer(hours=0.001, default=False)),
)
"""
pytestmark = pytest.mark.slow

PREDICT, FEEDBACK = "predict-key-of-ann", "feedback-key-of-bob"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("deferred")


@pytest.fixture(scope="module")
def receiver() -> Iterator[MessageReceiver]:
    with run_small_server(MessageReceiver()) as server:
        yield server


@pytest.fixture(scope="module")
def http(folder: Path, receiver: MessageReceiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    project = link_checkout(tmp_path_factory.mktemp("checkout"))
    (project / "problem/rules.py").unlink()
    (project / "problem/rules.py").write_text(RULES)
    local_service.deploy_version(folder, "1")
    keys = {"keys__predict": PREDICT, "keys__feedback": FEEDBACK}
    webhook = f"http://127.0.0.1:{receiver.server_port}/hook"
    with local_service.start_server(folder, project, review__webhook=webhook, **keys) as (_, client):
        local_service.wait_until(lambda: client.get("/readyz").status_code == 200, seconds=60)
        client.headers["authorization"] = f"Bearer {PREDICT}"
        yield client


def ask(http: httpx.Client, origin: str) -> dict[str, Any]:
    answer: dict[str, Any] = http.post("/predict", json={**EXAMPLE, "origin": origin}).json()
    return answer


def list_told(receiver: MessageReceiver, name: str) -> list[str]:
    return [message["status"] for message in receiver.received if message["prediction_id"] == name]


def test_what_people_decide_is_the_answer_and_the_webhook_is_told_once(
    http: httpx.Client, folder: Path, receiver: MessageReceiver
) -> None:
    name = ask(http, "JFK")["prediction_id"]
    assert http.get(f"/reviews/{name}").json()["status"] == "pending"
    local_service.wait_until(lambda: name in ReviewQueue.read(folder / "reviews").states, seconds=60)
    with review_cases.open_desk(folder) as desk:
        at = (dt.datetime.now(dt.UTC) - review_cases.MONDAY) / dt.timedelta(minutes=1)
        desk.record(review_cases.make_action(name, "ann", 3, at=at))
    found = http.get(f"/reviews/{name}").json()
    assert (found["status"], found["decision"], found["reviewers"]) == ("decided", False, ["ann"])
    local_service.wait_until(lambda: list_told(receiver, name), seconds=60)
    other = ask(http, "LGA")["prediction_id"]
    local_service.wait_until(lambda: list_told(receiver, other), seconds=60)
    assert (list_told(receiver, name), list_told(receiver, other)) == (["decided"], ["defaulted"])
    assert http.get(f"/reviews/{other}").json()["status"] == "defaulted"


def test_a_probe_gets_the_headers_of_the_answer_alone(http: httpx.Client) -> None:
    name = ask(http, "JFK")["prediction_id"]
    probe, answer = http.head(f"/reviews/{name}"), http.get(f"/reviews/{name}")
    assert (probe.status_code, probe.content) == (200, b"")
    assert probe.headers["content-length"] == answer.headers["content-length"]


def test_an_unknown_id_and_another_key_are_refused_in_words(http: httpx.Client) -> None:
    unknown = http.get("/reviews/1a202da4e018946e5-0")
    assert (unknown.status_code, "has no prediction" in unknown.json()["error"]) == (404, True)
    other = http.get("/reviews/1a202da4e018946e5-0", headers={"authorization": f"Bearer {FEEDBACK}"})
    assert (other.status_code, "takes one for predict" in other.json()["error"]) == (403, True)
