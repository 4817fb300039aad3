"""The logs of several replicas are one log: whatever is shipped, fetched and killed when, each entry is there once."""

import datetime as dt
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penumbra.core.settings import Settings
from penumbra.logs import segments
from penumbra.logs.append_log import LogWriter, encode_json, read_entries
from penumbra.logs.archiving import archive, shipping
from penumbra.logs.indexing.index import LogIndex
from penumbra.logs.replicas import log_shipping
from penumbra.logs.replicas.log_union import fetch_logs, find_logged_prediction
from penumbra.storage.shared.object_store import ObjectStore
from tests.helpers.logs.prediction_logs import LABEL_SPEC, append_to_new_segment, make_label_by_id, make_prediction
from tests.helpers.logs.replica_logs import get_logs, log_answers, make_replica, read_union, ship

TOMORROW = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=1)
LATER = dt.datetime.now(dt.UTC) + dt.timedelta(days=40)
ACTIONS = st.lists(st.sampled_from(["log", "ship", "fetch", "kill shipping", "kill fetching", "archive"]), max_size=12)


@pytest.mark.slow
def test_a_reader_has_the_entries_of_three_replicas(tmp_path: Path, bucket: str) -> None:
    replicas = [make_replica(tmp_path / name, f"{bucket}/state") for name in "abc"]
    ids = [name for number, replica in enumerate(replicas) for name in log_answers(replica, number, number + 10)]
    assert [ship(replica) for replica in replicas] == [1, 1, 1]
    assert read_union(make_replica(tmp_path / "reader", f"{bucket}/state")) == sorted(ids)


def test_every_log_is_shipped(tmp_path: Path) -> None:
    replica, reader = (make_replica(tmp_path / name, str(tmp_path / "state")) for name in ("a", "reader"))
    for folder in get_logs(replica).folders.values():
        append_to_new_segment(folder, [make_prediction(1)])
    assert ship(replica) == 6
    fetch_logs(reader)
    assert all(list(read_entries(folder)) for folder in get_logs(reader).folders.values())


def test_an_open_segment_is_shipped_once_it_is_closed(tmp_path: Path) -> None:
    replica = make_replica(tmp_path / "a", str(tmp_path / "state"))
    writer = LogWriter(replica.service.predictions)
    writer.append([encode_json(make_prediction(1))])
    assert ship(replica) == 0
    writer.close()
    assert ship(replica) == 1


def test_a_segment_that_is_shipped_twice_is_the_same_object(tmp_path: Path) -> None:
    replica = make_replica(tmp_path / "a", str(tmp_path / "state"))
    log_answers(replica, 1)
    ship(replica)
    before = get_logs(replica).open_store("predictions").list_shipped()
    (path,) = segments.list_own_segments(replica.service.predictions)
    path.with_suffix(segments.SHIPPED_SUFFIX).unlink()
    assert ship(replica) == 1
    assert get_logs(replica).open_store("predictions").list_shipped() == before


def test_what_was_fetched_is_not_shipped_again(tmp_path: Path) -> None:
    one, other = (make_replica(tmp_path / name, str(tmp_path / "state")) for name in "ab")
    log_answers(one, 1)
    ship(one)
    read_union(other)
    assert ship(other) == 0
    assert segments.list_own_segments(other.service.predictions) == []


def test_a_second_fetch_reads_no_segment_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, reader = (make_replica(tmp_path / name, str(tmp_path / "state")) for name in "ab")
    log_answers(one, 1)
    ship(one)
    read_union(reader)
    monkeypatch.setattr(ObjectStore, "read", lambda store, name: pytest.fail(name))
    fetched = fetch_logs(reader)
    assert fetched
    assert fetched.segments == 0


def test_a_torn_last_line_is_cut_off_before_a_segment_is_shipped(tmp_path: Path) -> None:
    one, reader = (make_replica(tmp_path / name, str(tmp_path / "state")) for name in "ab")
    ids = log_answers(one, 1)
    (path,) = segments.list_own_segments(one.service.predictions)
    with path.open("ab") as file:
        file.write(b'{"id":"torn')
    ship(one)
    assert read_union(reader) == ids


def test_a_shipped_segment_with_a_changed_byte_is_left_out_and_said(tmp_path: Path) -> None:
    one, reader = (make_replica(tmp_path / name, str(tmp_path / "state")) for name in "ab")
    log_answers(one, 1)
    ship(one)
    (place,) = (tmp_path / "state/logs/predictions").rglob("*.jsonl")
    place.write_bytes(place.read_bytes().replace(b"UA", b"DL"))
    fetched = fetch_logs(reader)
    assert fetched
    assert "is not what was shipped" in fetched.damaged[0]
    assert list(read_entries(reader.service.predictions)) == []


def test_two_replicas_with_a_segment_of_one_name_are_said(tmp_path: Path) -> None:
    one, other = (make_replica(tmp_path / name, str(tmp_path / "state")) for name in "ab")
    log_answers(one, 1)
    log_answers(other, 2)
    (path,), (twin,) = (segments.list_own_segments(replica.service.predictions) for replica in (one, other))
    twin.rename(twin.with_name(path.name))
    ship(one)
    ship(other)
    fetched = fetch_logs(one)
    assert fetched
    assert "has the name of another replica's segment" in fetched.damaged[0]
    reader = fetch_logs(make_replica(tmp_path / "reader", str(tmp_path / "state")))
    assert reader
    assert len(reader.damaged) == 1


def test_an_answer_of_another_replica_is_found_by_its_id(tmp_path: Path) -> None:
    one, other = (make_replica(tmp_path / name, str(tmp_path / "state")) for name in "ab")
    first, second = log_answers(one, 1)[0], log_answers(one, 2)[0]
    ship(one)
    found = find_logged_prediction(other, first)
    assert found
    assert found["id"] == first
    assert [path.stem for path in segments.read_own_segment_sizes(other.service.predictions)] == []
    assert not (other.service.predictions / f"{second.partition('-')[0]}.jsonl").exists()


def test_an_archived_answer_of_another_replica_is_found_by_its_id(tmp_path: Path) -> None:
    one, other = (make_replica(tmp_path / name, str(tmp_path / "state")) for name in "ab")
    (name,) = log_answers(one, 1)
    ship(one)
    archive_all(one)
    assert get_logs(one).open_store("predictions").list_shipped() == []
    found = find_logged_prediction(other, name)
    assert found
    assert found["id"] == name


@pytest.mark.parametrize("name", ["", "unlogged-1", "fffffffffffffffff-0", "0" * 17 + "-0"])
def test_an_id_that_nobody_has_is_not_found(tmp_path: Path, name: str) -> None:
    assert find_logged_prediction(make_replica(tmp_path, str(tmp_path / "state")), name) is None


def test_labels_are_shipped_before_the_answers_of_people_that_they_follow_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replica = make_replica(tmp_path / "a", str(tmp_path / "state"))
    for folder in (replica.review.folder, replica.labels.folder):
        append_to_new_segment(folder, [make_label_by_id("1a202ae38d061e769-0", 1)])
    shipped: list[str] = []
    monkeypatch.setattr(ObjectStore, "write", lambda store, name, content: shipped.append(store.url.rpartition("/")[2]))
    monkeypatch.setattr(ObjectStore, "read", lambda store, name: b"")
    log_shipping.ship_logs(get_logs(replica), on_failure=lambda error: None)
    assert shipped == ["labels", "reviews"]


class Killed(BaseException):
    """A process ended here."""


def archive_all(replica: Settings) -> None:
    """What the archiver does on another day."""
    folder, place = replica.service.predictions, f"{get_logs(replica).archive}/predictions"
    archive.compact_segments(folder, archive.seal_closed_segments(folder), TOMORROW)
    shipping.ship_parts(folder, place)
    log_shipping.delete_archived_copies(get_logs(replica), "predictions")
    archive.delete_archived_files(folder, place, LATER, lambda path: not segments.is_segment_shipped(path))


@pytest.mark.slow
@given(ACTIONS, st.lists(st.integers(0, 2), min_size=12, max_size=12), st.integers(0, 9))
def test_whatever_is_shipped_fetched_and_killed_each_entry_is_there_once(
    actions: list[str], who: list[int], step: int
) -> None:
    with tempfile.TemporaryDirectory() as place:
        replicas = [make_replica(Path(place) / name, f"{place}/state") for name in "abc"]
        ids: list[str] = []
        for action, number in zip(actions, who, strict=False):
            replica = replicas[number]
            if action == "log":
                ids += log_answers(replica, len(ids))
            elif action == "archive":
                ship(replica)
                archive_all(replica)
            elif action in ("ship", "fetch"):
                (ship if action == "ship" else fetch_logs)(replica)
            else:
                kill_after(step, ship if action == "kill shipping" else fetch_logs, replica)
        for replica in replicas:
            ship(replica)
        reader = make_replica(Path(place) / "reader", f"{place}/state")
        for each in (*replicas, reader):
            fetch_logs(each)
            assert all(find_logged_prediction(each, name) for name in ids)
            assert count_by_id(each) == dict.fromkeys(ids, 1)


def kill_after(steps: int, work: Callable[[Settings], object], replica: Settings) -> None:
    """Do something until so many files were renamed or objects written."""
    left = steps

    def step(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            nonlocal left
            if left == 0:
                raise Killed
            left -= 1
            return original(*arguments)

        return call

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", step(os.replace))
        patch.setattr(ObjectStore, "write", step(ObjectStore.write))
        try:
            work(replica)
        except Killed:
            return


def count_by_id(reader: Settings) -> dict[str, int]:
    """How often the index's reader meets each entry."""
    index = LogIndex(reader.service.predictions, reader.labels.folder, LABEL_SPEC)
    taken = index.catch_up()
    with index.open() as db:
        found = dict(db.execute("SELECT id, 1 FROM predictions"))
    assert taken == len(found)
    return found
