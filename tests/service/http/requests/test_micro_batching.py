"""Requests of one turn of the event loop: one write, then all answers."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from penumbra.logs import append_log
from problem.schema import EXAMPLE
from service.http.asgi import JSON_HEADER, RawResponse
from service.http.requests.micro_batching import MicroBatcher
from tests.helpers.servers import local_service

BODY = json.dumps(EXAMPLE).encode()
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # BentoML's use of pydantic


@pytest.fixture
def predictor(tmp_path: Path) -> Iterator[Any]:
    local_service.deploy_version(tmp_path, "1")
    made = (
        local_service.build_service(local_service.make_service_settings(tmp_path), local_service.PROBLEM)
        .inner()
        .predictor
    )
    yield made
    made.logs.close()


def read_logged_ids(predictor: Any) -> list[str]:
    return [entry["id"] for entry in append_log.read_entries(predictor.logs.predictions.folder)]


def accept_in_one_turn(predictor: Any, *bodies: bytes) -> tuple[list[RawResponse], list[list[str]]]:
    """The responses to bodies that arrive in one turn, and which ids were in the log when each of them left."""
    responses: list[RawResponse] = []
    known: list[list[str]] = []

    def respond(response: RawResponse) -> None:
        responses.append(response)
        known.append(read_logged_ids(predictor))

    async def turn() -> None:
        batcher = MicroBatcher(lambda: predictor)
        assert all(batcher.try_accept([JSON_HEADER], body, respond) for body in bodies)
        await asyncio.sleep(0)

    asyncio.run(turn())
    return responses, known


def test_all_answers_of_a_turn_are_in_the_log_before_the_first_leaves(predictor: Any) -> None:
    responses, known = accept_in_one_turn(predictor, BODY, BODY, BODY)
    ids = [json.loads(body)["prediction_id"] for _, body, _ in responses]
    assert [status for status, _, _ in responses] == [200, 200, 200]
    assert known == [ids] * 3


def test_each_gets_the_answer_that_it_would_get_alone(predictor: Any) -> None:
    bodies = [json.dumps({**EXAMPLE, "distance": distance}).encode() for distance in range(100, 2000, 100)]
    batcher, _ = accept_in_one_turn(predictor, *bodies)
    alone = [response for body in bodies for response in accept_in_one_turn(predictor, body)[0]]
    assert [json.loads(body)["probability"] for _, body, _ in batcher] == [
        json.loads(body)["probability"] for _, body, _ in alone
    ]


def test_what_is_refused_is_told_at_once_and_keeps_nobody_from_an_answer(predictor: Any) -> None:
    responses, known = accept_in_one_turn(predictor, BODY, b"{", BODY)
    assert [status for status, _, _ in responses] == [400, 200, 200]
    assert [len(ids) for ids in known] == [0, 2, 2]


def test_where_the_log_cant_be_written_all_answers_say_so(predictor: Any) -> None:
    predictor.logs.predictions.folder.write_text("a file where the folder should be")
    responses, _ = accept_in_one_turn(predictor, BODY, BODY)
    assert [json.loads(body)["logged"] for _, body, _ in responses] == [False, False]
    predictor.logs.predictions.folder.unlink()


def test_a_list_is_left_to_others(predictor: Any) -> None:
    assert not MicroBatcher(lambda: predictor).try_accept([JSON_HEADER], b"[%b]" % BODY, lambda response: None)
