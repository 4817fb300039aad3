"""The shipper: what a replica logs reaches the others, and what only it has is known."""

import datetime as dt
import shutil
import time
from pathlib import Path

import pytest

from penumbra.logs import segments
from penumbra.logs.append_log import LogWriter, encode_json
from penumbra.logs.lag import SHIP_METRICS_FILE
from penumbra.logs.replicas.heartbeats import ReplicaCoverage, count_known_replicas
from penumbra.logs.replicas.log_union import read_coverage
from penumbra.logs.replicas.shared_logs import SharedLogs
from penumbra.storage.shared.object_store import ObjectStore
from penumbra.storage.shared.store_failures import StoreError
from service.processes.shipper import LogShipper, run_shipper
from tests.helpers.logs.prediction_logs import make_prediction
from tests.helpers.logs.replica_logs import beat, get_logs, log_answers, make_replica, read_union

HOUR = dt.timedelta(hours=1)


def make_shipper(folder: Path, state: Path) -> LogShipper:
    replica = make_replica(folder, str(state))
    return LogShipper(replica, get_logs(replica))


def read_state(shipper: LogShipper, now: dt.datetime | None = None) -> ReplicaCoverage:
    coverage = read_coverage(shipper.settings, now)
    assert coverage
    return coverage


def read_metric(shipper: LogShipper, name: str) -> float:
    lines = (shipper.settings.service.predictions / SHIP_METRICS_FILE).read_text().splitlines()
    return next(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"penumbra_ship_{name}"))


def test_the_heartbeat_counts_what_only_the_replica_has(tmp_path: Path) -> None:
    shipper = make_shipper(tmp_path / "a", tmp_path / "state")
    log_answers(shipper.settings, 1, 2)
    writer = LogWriter(shipper.settings.service.predictions)
    writer.append([encode_json(make_prediction(number)) for number in range(3)])
    shipper.run_pass()
    (heartbeat,) = read_state(shipper).heartbeats
    assert heartbeat.unshipped == {"predictions": 3}
    assert heartbeat.shipped_until < segments.parse_start_time(writer._segment)
    assert list(heartbeat.shipped) == ["predictions"]
    writer.close()
    shipper.run_pass()
    assert not read_state(shipper).heartbeats[0].unshipped


def test_a_replica_that_ends_in_order_ships_what_is_left_and_takes_leave(tmp_path: Path) -> None:
    shipper = make_shipper(tmp_path / "a", tmp_path / "state")
    ids = log_answers(shipper.settings, 1, 2)
    run_shipper(shipper, lambda: False)
    assert read_state(shipper).heartbeats == []
    assert read_union(make_replica(tmp_path / "reader", str(tmp_path / "state"))) == ids


def test_a_replica_that_was_lost_is_counted_with_what_it_had_not_shipped(tmp_path: Path) -> None:
    shipper = make_shipper(tmp_path / "a", tmp_path / "state")
    writer = LogWriter(shipper.settings.service.predictions)
    writer.append([encode_json(make_prediction(number)) for number in range(3)])
    shipper.run_pass()
    now = dt.datetime.now(dt.UTC)
    assert read_state(shipper, now).list_lost() == []
    later = read_state(shipper, now + HOUR)
    assert later.count_missing(now - HOUR, now + HOUR) == 3
    assert later.count_missing(now + HOUR, now + 2 * HOUR) == 0
    assert "3 predictions on its volume only" in later.list_alarms()[0]
    assert later.find_complete_until() == now + HOUR  # it isn't waited for


def test_what_a_lost_replica_answered_after_its_last_heartbeat_is_said_though_nothing_was_unshipped(
    tmp_path: Path,
) -> None:
    shipper = make_shipper(tmp_path / "a", tmp_path / "state")
    log_answers(shipper.settings, 1)
    shipper.run_pass()
    log_answers(shipper.settings, 2, 3)
    now = dt.datetime.now(dt.UTC)
    later = read_state(shipper, now + HOUR)
    (alarm,) = later.list_alarms()
    assert "with nothing on its volume only: that, and what it answered later, is missing" in alarm
    assert later.count_missing(now - HOUR, now + HOUR) == 0
    assert [each.replica for each in later.list_lost_within(now - HOUR, now + HOUR)] == [shipper.logs.replica]
    assert later.list_lost_within(now + HOUR, now + 2 * HOUR) == []


@pytest.mark.slow
@pytest.mark.parametrize(("minutes", "said"), [(-30, "30 min behind"), (30, "30 min ahead of"), (1, "")])
def test_a_replica_whose_clock_is_wrong_is_at_work_and_said(
    tmp_path: Path, bucket: str, minutes: int, said: str
) -> None:
    for place in (str(tmp_path / "state"), bucket):
        replica = make_replica(tmp_path / "a", place)
        beat(replica, dt.datetime.now(dt.UTC) + dt.timedelta(minutes=minutes))
        coverage = read_coverage(replica)
        assert coverage
        assert coverage.list_lost() == []
        assert [said in each for each in coverage.list_alarms() if "clock" in each] == [True] * bool(said)
        lost = read_coverage(replica, dt.datetime.now(dt.UTC) + HOUR)
        assert lost
        assert len(lost.list_lost()) == 1


def test_windows_wait_for_a_replica_that_is_at_work_and_has_not_shipped(tmp_path: Path) -> None:
    shipper, other = (make_shipper(tmp_path / name, tmp_path / "state") for name in "ab")
    writer = LogWriter(shipper.settings.service.predictions)
    writer.append([encode_json(make_prediction(1))])
    shipper.run_pass()
    other.run_pass()
    begun = segments.parse_start_time(writer._segment)
    assert read_state(shipper).find_complete_until() < begun


def test_a_replica_that_cannot_ship_is_an_alarm_and_keeps_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipper = make_shipper(tmp_path / "a", tmp_path / "state")
    ids = log_answers(shipper.settings, 1, 2)
    with monkeypatch.context() as patch:
        patch.setattr(ObjectStore, "write", refuse)
        shipper.run_pass()
        shipper.run_pass()
        assert (read_metric(shipper, "failing"), read_metric(shipper, "failures_total")) == (1, 2)
        assert read_metric(shipper, "unshipped_rows") == 0  # of the first log, that of reviews
        assert [path.stem for path in segments.list_own_segments(shipper.settings.service.predictions)] != []
    shipper.run_pass()
    assert read_metric(shipper, "failing") == 0
    assert read_union(make_replica(tmp_path / "reader", str(tmp_path / "state"))) == ids


def refuse(store: ObjectStore, name: str, content: bytes) -> None:
    raise StoreError("no answer")


def test_a_shipper_whose_parent_is_gone_ends_soon_while_the_store_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"ENDPOINT_URL": "http://127.0.0.1:9", "ACCESS_KEY_ID": "x", "SECRET_ACCESS_KEY": "x"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    replica = make_replica(tmp_path, "s3://away/state")
    log_answers(replica, 1)
    logs = SharedLogs.from_settings(replica, 0.2)
    assert logs
    began = time.monotonic()
    run_shipper(LogShipper(replica, logs), lambda: False)
    assert time.monotonic() - began < 3


def test_of_two_on_copies_of_a_volume_one_takes_an_id_of_its_own_and_nothing_is_lost(tmp_path: Path) -> None:
    one, other = (make_shipper(tmp_path / name, tmp_path / "state") for name in "ab")
    ids = log_answers(one.settings, 1)
    one.run_pass()
    shutil.copytree(one.settings.service.predictions, other.settings.service.predictions)
    assert one.logs.replica == other.logs.replica
    ids += log_answers(one.settings, 2) + log_answers(other.settings, 3)
    for shipper in (other, one, other, one):
        shipper.run_pass()
    assert one.logs.replica != other.logs.replica
    coverage = read_state(one)
    assert {each.replica for each in coverage.heartbeats} == {one.logs.replica, other.logs.replica}
    (alarm,) = coverage.list_alarms()
    assert "is a copy of the other's" in alarm
    assert read_union(make_replica(tmp_path / "reader", str(tmp_path / "state"))) == sorted(ids)


def test_each_replica_knows_how_many_answer(tmp_path: Path) -> None:
    shippers = [make_shipper(tmp_path / name, tmp_path / "state") for name in "abc"]
    for number, shipper in enumerate(shippers[:2]):
        log_answers(shipper.settings, number)
    for shipper in (*shippers, *shippers):
        shipper._fetch_due = 0.0
        shipper.run_pass()
    assert [count_known_replicas(shipper.settings.service.predictions) for shipper in shippers] == [2, 2, 2]


def test_a_replica_that_starts_again_on_its_volume_ships_what_was_left(tmp_path: Path) -> None:
    shipper = make_shipper(tmp_path / "a", tmp_path / "state")
    ids = log_answers(shipper.settings, 1)
    again = make_shipper(tmp_path / "a", tmp_path / "state")
    again.run_pass()
    assert again.logs.replica == shipper.logs.replica
    assert read_union(make_replica(tmp_path / "reader", str(tmp_path / "state"))) == ids
