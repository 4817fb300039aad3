"""Look-ups wait for a store that is away by themselves: answers and rollbacks need none of their threads."""

import asyncio
import contextlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from penumbra.logs.replicas import log_union
from penumbra.reviews.case_lineage import explain_reviewed_prediction
from service.http.requests.look_ups import MAX_LOOK_UPS, LookUps
from tests.helpers.logs.replica_logs import make_replica

UNKNOWN_ID = "1a22724c8abc5ac32-0"


@contextlib.contextmanager
def hold_look_ups() -> Iterator[threading.Event]:
    """An event for which look-ups wait; it is set at the end."""
    is_over = threading.Event()
    try:
        yield is_over
    finally:
        is_over.set()


def test_answers_do_not_wait_for_look_ups_and_too_many_are_told_to_come_back() -> None:
    async def ask_at_once() -> tuple[str, int, list[int]]:
        look_ups = LookUps()
        with hold_look_ups() as is_over:
            waiting = [
                asyncio.create_task(look_ups.answer(lambda name: is_over.wait(20) and name, "GET", str(number)))
                for number in range(MAX_LOOK_UPS)
            ]
            await asyncio.sleep(0)
            batch = await asyncio.wait_for(asyncio.to_thread(lambda: "scored"), 5)
            refused, _, _ = await look_ups.answer(str, "GET", "one more")
        return batch, refused, [status for status, _, _ in await asyncio.gather(*waiting)]

    assert asyncio.run(ask_at_once()) == ("scored", 503, [200] * MAX_LOOK_UPS)


def test_a_finished_look_up_leaves_its_place() -> None:
    async def ask_one_by_one() -> set[int]:
        look_ups = LookUps()
        return {(await look_ups.answer(str, "GET", "x"))[0] for _ in range(2 * MAX_LOOK_UPS)}

    assert asyncio.run(ask_one_by_one()) == {200}


@pytest.mark.slow
def test_a_store_that_is_away_is_503_with_the_reason_and_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setattr(log_union, "LOOK_UP_PATIENCE_SECONDS", 0.2)
    replica = make_replica(tmp_path, "s3://away/state")

    def explain(name: str) -> Any:
        return explain_reviewed_prediction(replica, name)

    status, body, headers = asyncio.run(LookUps().answer(explain, "GET", UNKNOWN_ID))
    assert (status, dict(headers)[b"retry-after"]) == (503, b"5")
    assert "can't be looked up now: s3://away/state/logs/predictions: no answer" in json.loads(body)["error"]


def test_another_method_than_get_is_refused() -> None:
    assert asyncio.run(LookUps().answer(str, "POST", "x"))[0] == 405
