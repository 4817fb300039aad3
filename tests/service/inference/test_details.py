"""Details are made in a thread of their own, in parts: nothing else waits for them, and what is cancelled ends soon."""

import asyncio
import threading
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from service.inference import details
from service.inference.details import PART_RECORDS, Detail, DetailThread
from service.inference.runs.batch_run import ScoredRecord

MODELS: Any = {"1": SimpleNamespace(version="1")}


def score(count: int) -> list[ScoredRecord]:
    return [ScoredRecord(b"{}", "1", (float(n),), 0.5, None, {}) for n in range(count)]  # type: ignore[arg-type]


class HeldDetail:
    """A detail that waits until it may go on, and keeps the sizes of the parts that it was asked for."""

    def __init__(self) -> None:
        self.has_begun, self.may_go_on, self.sizes = threading.Event(), threading.Event(), list[int]()

    def describe(self, _: Any, scored: Sequence[ScoredRecord]) -> list[dict[str, Any]]:
        self.sizes.append(len(scored))
        self.has_begun.set()
        assert self.may_go_on.wait(20)
        return [{"first": each.inputs[0]} for each in scored]


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> HeldDetail:
    detail = HeldDetail()
    monkeypatch.setitem(details.DETAILS, "held", Detail("", detail.describe))
    return detail


def test_the_parts_of_a_list_are_joined_in_order(held: HeldDetail) -> None:
    held.may_go_on.set()
    found = asyncio.run(DetailThread().describe(MODELS, score(2 * PART_RECORDS + 1), ["held"]))
    assert [each["first"] for each in found] == list(range(2 * PART_RECORDS + 1))
    assert held.sizes == [PART_RECORDS, PART_RECORDS, 1]


def test_lists_are_scored_while_many_requests_wait_for_details(held: HeldDetail) -> None:
    async def score_beside() -> str:
        thread = DetailThread()
        waiting = [asyncio.create_task(thread.describe(MODELS, score(1), ["held"])) for _ in range(40)]
        await asyncio.sleep(0)
        scored = await asyncio.wait_for(asyncio.to_thread(lambda: "scored"), 5)
        held.may_go_on.set()
        await asyncio.gather(*waiting)
        return scored

    assert asyncio.run(score_beside()) == "scored"


def test_a_cancelled_request_takes_no_more_than_the_part_that_has_begun(held: HeldDetail) -> None:
    async def cancel_and_ask_again() -> None:
        thread = DetailThread()
        long = asyncio.create_task(thread.describe(MODELS, score(50 * PART_RECORDS), ["held"]))
        await asyncio.to_thread(held.has_begun.wait, 20)
        queued = asyncio.create_task(thread.describe(MODELS, score(2), ["held"]))
        await asyncio.sleep(0)
        for task in (long, queued):
            task.cancel()
        await asyncio.gather(long, queued, return_exceptions=True)
        held.may_go_on.set()
        await thread.describe(MODELS, score(1), ["held"])

    asyncio.run(cancel_and_ask_again())
    assert held.sizes == [PART_RECORDS, 1]
