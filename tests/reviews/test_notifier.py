"""The webhook that is told of deferred answers: a server that is there, slow to come to itself, or not there."""

from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from penumbra.core.system.http_client import find_free_port
from penumbra.logs.append_log import LogWriter
from penumbra.reviews.notifier import DecisionNotifier
from tests.helpers.logs.review_cases import make_action, make_moment, make_review_settings, open_desk, pick_predictions
from tests.helpers.servers.small_server import MessageReceiver, run_small_server

DUE = make_moment(60)


@contextmanager
def open_notifier(folder: Path, address: str) -> Iterator[DecisionNotifier]:
    with closing(DecisionNotifier(make_review_settings(folder, webhook=address), pause=0.0)) as notifier:
        yield notifier


@pytest.fixture
def receiver() -> Iterator[MessageReceiver]:
    with run_small_server(MessageReceiver()) as server:
        yield server


@pytest.fixture
def notify(receiver: MessageReceiver, tmp_path: Path) -> Any:
    """A function that tells what is new at so many minutes, and returns all statuses that were told by then."""

    def tell(minutes: float) -> list[str]:
        with open_notifier(tmp_path, f"http://127.0.0.1:{receiver.server_port}/hook") as notifier:
            assert notifier.notify(make_moment(minutes)) == ""
        return [message["status"] for message in receiver.received]

    return tell


def answer(folder: Path, case: str, minutes: int = 42, at: float = 1, **fields: Any) -> None:
    with open_desk(folder) as desk:
        desk.record(make_action(case, "ann", minutes, at=at, **fields), now=make_moment(at))


def test_a_decision_is_told_once_with_the_id_and_no_word_of_anybody(
    tmp_path: Path, notify: Any, receiver: MessageReceiver
) -> None:
    (case,) = pick_predictions(tmp_path, due=DUE, default=True)
    assert notify(0.5) == []
    answer(tmp_path, case, note="<!channel>", at=1)
    assert notify(2) == notify(3) == notify(90) == ["decided"]
    message = {"text": f"review of {case}: decided", "prediction_id": case, "status": "decided"}
    assert receiver.received == [message]


def test_a_decision_is_told_once_though_the_clock_was_put_back(tmp_path: Path, notify: Any) -> None:
    (case,) = pick_predictions(tmp_path, due=DUE, default=True)
    answer(tmp_path, case, at=30)
    assert notify(2) == notify(3) == notify(31) == ["decided"]


def test_a_default_is_told_once_it_counts_and_a_late_answer_changes_nothing(tmp_path: Path, notify: Any) -> None:
    (case,) = pick_predictions(tmp_path, due=DUE, default=True)
    assert notify(59) == []
    assert notify(60) == ["defaulted"]
    answer(tmp_path, case, at=61)
    assert notify(62) == ["defaulted"]


def test_another_decision_after_an_undo_is_told_again(tmp_path: Path, notify: Any) -> None:
    (case,) = pick_predictions(tmp_path, due=DUE, default=True)
    answer(tmp_path, case, at=1)
    assert notify(2) == ["decided"]
    with open_desk(tmp_path) as desk:
        desk.record(make_action(case, "ann", kind="undo", at=3), now=make_moment(3))
    assert notify(4) == ["decided"]
    answer(tmp_path, case, 5, at=5)
    assert notify(6) == ["decided", "decided"]


def test_cases_that_no_answer_waits_for_are_told_to_nobody(tmp_path: Path, notify: Any) -> None:
    (case,) = pick_predictions(tmp_path)
    answer(tmp_path, case)
    assert notify(2) == []


def test_old_news_are_not_told_when_a_webhook_is_set(tmp_path: Path, notify: Any) -> None:
    pick_predictions(tmp_path, due=DUE, default=True)
    assert notify(60 * 24 * 8) == []


def test_what_a_webhook_that_is_away_was_not_told_is_told_when_it_is_back(tmp_path: Path, notify: Any) -> None:
    pick_predictions(tmp_path, flights=2, due=DUE, default=True)
    with open_notifier(tmp_path, f"http://127.0.0.1:{find_free_port()}/secret") as notifier:
        assert "URLError" in (reason := notifier.notify(make_moment(61)))
        assert "secret" not in reason
    assert notify(62) == ["defaulted", "defaulted"]


class Stop(BaseException):
    """The process ends here."""


def test_after_a_kill_between_post_and_note_it_is_told_again_and_then_no_more(
    tmp_path: Path, notify: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pick_predictions(tmp_path, due=DUE, default=True)

    def end(*_: Any) -> Any:
        raise Stop

    with monkeypatch.context() as killed, suppress(Stop):
        killed.setattr(LogWriter, "append", end)
        notify(61)
    assert notify(62) == notify(63) == ["defaulted", "defaulted"]


def test_without_a_webhook_nothing_is_noted(tmp_path: Path) -> None:
    pick_predictions(tmp_path, due=DUE, default=True)
    before = sorted(path.name for path in (tmp_path / "reviews").iterdir())
    with open_notifier(tmp_path, "") as notifier:
        assert notifier.notify(make_moment(61)) == ""
    assert sorted(path.name for path in (tmp_path / "reviews").iterdir()) == before
