"""Turns at logs that machines share: who has lost one logs nothing more, and ships nothing."""

import json
from pathlib import Path

import pytest

from penumbra.core.settings import Settings
from penumbra.logs.append_log import list_segments, read_entries
from penumbra.logs.replicas.shared_turn import take_shared_turn
from penumbra.storage.shared.lease import LeaseLost
from penumbra.storage.shared.object_sequence import ObjectSequence
from tests.helpers.logs.prediction_logs import append_to_new_segment, make_label_by_id
from tests.helpers.logs.replica_logs import get_logs, make_replica, read_union


@pytest.fixture
def replicas(tmp_path: Path) -> list[Settings]:
    return [make_replica(tmp_path / name, str(tmp_path / "state")) for name in ("a", "reader")]


def let_another_take_over(replica: Settings) -> None:
    """What another machine does once the lease has expired."""
    sequence = ObjectSequence(get_logs(replica).state.locate("leases") + "/labels")
    number = max(sequence.list_numbers())
    record = json.loads(sequence.read(number)) | {"token": "other", "holder": "process 7 on b"}
    assert sequence.create(number + 1, json.dumps(record).encode())


def log_label(replica: Settings) -> list[str]:
    return append_to_new_segment(replica.labels.folder, [make_label_by_id("1a202ae38d061e769-0", 30)])


def test_a_turn_ships_what_was_logged(replicas: list[Settings]) -> None:
    with take_shared_turn(replicas[0], "labels", ("labels",)) as check:
        check()
        ids = log_label(replicas[0])
    assert read_union(replicas[1], "labels") == ids


def test_who_has_lost_the_turn_is_told_before_anything_is_logged(replicas: list[Settings]) -> None:
    with pytest.raises(LeaseLost, match="process 7 on b"):
        log_after_take_over(replicas[0])
    assert list_segments(replicas[0].labels.folder) == []


def log_after_take_over(replica: Settings) -> None:
    with take_shared_turn(replica, "labels", ("labels",)) as check:
        let_another_take_over(replica)
        check()
        log_label(replica)


def test_who_has_lost_the_turn_ships_nothing(replicas: list[Settings]) -> None:
    with pytest.raises(LeaseLost, match="process 7 on b"):
        log_before_take_over(replicas[0])
    assert read_union(replicas[1], "labels") == []
    assert len(list(read_entries(replicas[0].labels.folder))) == 1


def log_before_take_over(replica: Settings) -> None:
    with take_shared_turn(replica, "labels", ("labels",)) as check:
        check()
        log_label(replica)
        let_another_take_over(replica)
