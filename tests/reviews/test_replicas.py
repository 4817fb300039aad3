"""What people do with cases of many replicas is logged once, whichever machine they or the passes are at."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from penumbra.core.settings import Settings
from penumbra.logs.append_log import read_entries
from penumbra.logs.replicas.log_union import fetch_logs
from penumbra.reviews.desk import ReviewDesk
from penumbra.reviews.notifier import DecisionNotifier
from penumbra.reviews.queue import ReviewQueue
from penumbra.reviews.selection.case_picker import pick_cases
from service.processes.shipper import LogShipper
from tests.helpers.logs.prediction_logs import log_predictions
from tests.helpers.logs.replica_logs import get_logs, make_replica, ship
from tests.helpers.logs.review_cases import PROBLEM, make_action, make_moment, pick_predictions
from tests.helpers.logs.reviewed_rows import DEFERRING, RULED, log_rows, make_row
from tests.helpers.servers.small_server import MessageReceiver, run_small_server


@pytest.fixture
def replicas(tmp_path: Path, receiver: MessageReceiver) -> list[Settings]:
    """Two that answer, and a dashboard."""
    hook = f"http://127.0.0.1:{receiver.server_port}/hook"
    environ = {"PENUMBRA_REVIEW__PER_DAY": "24", "PENUMBRA_REVIEW__WEBHOOK": hook}
    return [make_replica(tmp_path / name, str(tmp_path / "state"), **environ) for name in ("a", "b", "board")]


@pytest.fixture
def receiver() -> Iterator[MessageReceiver]:
    with run_small_server(MessageReceiver()) as server:
        yield server


def read_everywhere(replicas: list[Settings], log: str) -> list[list[dict[str, Any]]]:
    """A log's entries on each machine, once all has been shipped and fetched."""
    for each in replicas:
        ship(each)
    for each in replicas:
        fetch_logs(each)
    return [list(read_entries(get_logs(each).folders[log])) for each in replicas]


def answer(replica: Settings, case: str, reviewer: str = "ann") -> None:
    with closing(ReviewDesk(replica, PROBLEM)) as desk:
        desk.record(make_action(case, reviewer, 42), make_moment(2))


def complete(replica: Settings) -> None:
    with closing(ReviewDesk(replica, PROBLEM)) as desk:
        desk.complete(make_moment(3))


def test_an_answer_on_another_machine_is_one_label_everywhere(replicas: list[Settings], tmp_path: Path) -> None:
    (case,) = pick_predictions(tmp_path / "a")
    ship(replicas[0])
    answer(replicas[2], case)  # the case is fetched before it is answered
    read_everywhere(replicas, "reviews")
    for each in replicas:
        complete(each)
    for labels in read_everywhere(replicas, "labels"):
        assert [(entry["prediction"], entry["label"]) for entry in labels] == [(case, {"arr_delay": 42})]


def test_people_who_agree_on_two_machines_are_one_label(replicas: list[Settings], tmp_path: Path) -> None:
    (case,) = pick_predictions(tmp_path / "a", reviewers=2)
    ship(replicas[0])
    answer(replicas[0], case, "ann")
    answer(replicas[2], case, "bob")
    for labels in read_everywhere(replicas, "labels"):
        assert [entry["reviewers"] for entry in labels] == [["ann", "bob"]]


@pytest.mark.slow
def test_an_answer_whose_label_is_missing_is_completed_by_one_machine(
    replicas: list[Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (case,) = pick_predictions(tmp_path / "a")
    ship(replicas[0])
    with monkeypatch.context() as killed:
        killed.setattr("penumbra.reviews.desk._list_missing_labels", raise_after_the_action([]))
        with pytest.raises(KeyboardInterrupt):
            answer(replicas[2], case)
    assert read_everywhere(replicas, "labels") == [[], [], []]
    for each in (*replicas, *replicas):
        complete(each)
    assert [len(labels) for labels in read_everywhere(replicas, "labels")] == [1, 1, 1]


def raise_after_the_action(calls: list[Any]) -> Any:
    """The process ends at the second look for missing labels, which comes after an action was logged."""

    def look(*arguments: Any) -> Iterator[Any]:
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return iter(())

    return look


@pytest.mark.slow
def test_replicas_share_what_people_look_at_in_a_day_and_no_row_is_picked_twice(
    replicas: list[Settings], tmp_path: Path
) -> None:
    for each in replicas[:2]:
        log_rows(tmp_path / each.service.predictions.parent.name, 40)
    for each in (*replicas, *replicas):
        LogShipper(each, get_logs(each)).run_pass()
    read_everywhere(replicas, "predictions")
    blocks = [pick_cases(each, RULED, now=make_moment(60)) for each in (*replicas, *replicas)]
    assert [block and (block.rows, block.picked) for block in blocks] == [(40, 12), (40, 12), *[None] * 4]
    for cases in read_everywhere(replicas, "reviews"):
        assert len({entry["prediction"] for entry in cases if "prediction" in entry}) == 24
    assert [len(ReviewQueue.read(each.review.folder).states) for each in replicas] == [24, 24, 24]


def test_a_row_that_a_rule_defers_is_picked_by_the_replica_that_answered_it(
    replicas: list[Settings], tmp_path: Path
) -> None:
    (name,) = log_predictions(tmp_path / "a", make_row(1, pending=True, rules=["ask"]))
    read_everywhere(replicas, "predictions")
    for each in replicas:
        pick_cases(each, DEFERRING, budget=0, now=make_moment(1))
    for cases in read_everywhere(replicas, "reviews"):
        assert [entry["prediction"] for entry in cases] == [name]


def test_a_decision_is_told_once_over_all_machines(
    replicas: list[Settings], tmp_path: Path, receiver: MessageReceiver
) -> None:
    (case,) = pick_predictions(tmp_path / "a", due=make_moment(60), default=True)
    read_everywhere(replicas, "reviews")
    for each in (*replicas, *replicas):
        with closing(DecisionNotifier(each, pause=0.0)) as notifier:
            assert notifier.notify(make_moment(61)) == ""
    assert [(message["prediction_id"], message["status"]) for message in receiver.received] == [(case, "defaulted")]
