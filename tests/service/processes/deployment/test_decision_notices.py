import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from service.processes.deployment import decision_notices
from tests.helpers.logs.review_cases import make_review_settings


class Notifier:
    """Fails with these reasons in turn."""

    def __init__(self, *reasons: Any) -> None:
        self.reasons, self.is_closed = list(reasons), False

    def notify(self) -> str:
        reason = self.reasons.pop(0)
        if isinstance(reason, Exception):
            raise reason
        return str(reason)

    def close(self) -> None:
        self.is_closed = True


def run(notifier: Any, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Until it has no reasons left; how long it waited between them."""
    waits: list[float] = []

    def wait(seconds: float, running: Callable[[], bool]) -> None:
        waits.append(seconds)

    monkeypatch.setattr(decision_notices, "sleep_while_running", wait)
    decision_notices.run_notices(notifier, lambda: bool(notifier.reasons), poll=2.0)
    return waits


def test_while_the_webhook_is_away_it_is_asked_less_and_less_often_and_complained_of_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    notifier = Notifier("", "away", "away", OSError("the disk is full"), "", "")
    with caplog.at_level(logging.ERROR):
        assert run(notifier, monkeypatch) == [2, 4, 8, 16, 2, 2]
    assert [record.getMessage().partition("again: ")[2] for record in caplog.records] == [
        "away",
        "OSError: the disk is full",
    ]
    assert notifier.is_closed


def test_without_a_webhook_no_thread_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decision_notices.threading, "Thread", None)
    decision_notices.start_notices(make_review_settings(tmp_path), lambda: True)
