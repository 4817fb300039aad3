"""Volumes that were restored from a backup or copied: of each segment the longest version counts, once."""

import datetime as dt
import shutil
from pathlib import Path

from penumbra.core.settings import Settings
from penumbra.logs import segments
from penumbra.logs.append_log import list_segments
from penumbra.logs.archiving import archive, archive_parts, shipping
from penumbra.logs.daily.frames import LogFrameReader
from penumbra.logs.daily.profiles import ProfileStore
from penumbra.logs.queries.samples import read_lines_by_id
from penumbra.logs.replicas import log_shipping
from penumbra.logs.replicas.log_union import fetch_logs, find_logged_prediction
from problem import schema
from tests.helpers.logs.replica_logs import get_logs, log_answers, make_replica, read_union, ship

TOMORROW = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=1)
LATER = dt.datetime.now(dt.UTC) + dt.timedelta(days=40)


def make_replicas(folder: Path, *names: str) -> list[Settings]:
    return [make_replica(folder / name, str(folder / "state")) for name in names]


def restore_first_lines(replica: Settings, lines: int) -> None:
    """What a snapshot of the volume had of its only segment, while that was written."""
    (path,) = list_segments(replica.service.predictions)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:lines]))
    for suffix in (segments.SEAL_SUFFIX, segments.SHIPPED_SUFFIX):
        path.with_suffix(suffix).unlink(missing_ok=True)


def archive_all(replica: Settings) -> None:
    """What the archiver does on another day."""
    folder, place = replica.service.predictions, f"{get_logs(replica).archive}/predictions"
    archive.compact_segments(
        folder, archive.seal_closed_segments(folder), TOMORROW, LogFrameReader(schema).read_archived
    )
    shipping.ship_parts(folder, place)
    log_shipping.delete_archived_copies(get_logs(replica), "predictions")
    list(archive.delete_archived_files(folder, place, LATER, lambda path: False))


def count_rows(reader: Settings) -> int:
    """How many rows the profiles of a machine have that begins anew."""
    fetched = fetch_logs(reader)
    assert fetched
    assert fetched.damaged == []
    store = ProfileStore(reader.monitor.folder, reader.service.predictions, schema)
    store.update(lambda model: None)
    return sum(sum(store.days(model).values()) for model in store.models())


def find_in_archive(reader: Settings, ids: list[str]) -> list[str]:
    return sorted(name for name, _ in read_lines_by_id(reader.service.predictions, ids))


def test_a_segment_that_is_shipped_again_shorter_counts_whole_everywhere(tmp_path: Path) -> None:
    replica, reader = make_replicas(tmp_path, "a", "reader")
    ids = log_answers(replica, 1, 2, 3)
    ship(replica)
    restore_first_lines(replica, 1)
    ship(replica)
    assert read_union(reader) == sorted(ids)
    assert read_union(replica) == sorted(ids)
    fetched = fetch_logs(reader)
    assert fetched
    assert (fetched.damaged, fetched.segments) == ([], 0)


def test_a_reader_that_has_the_shorter_version_takes_the_longer_one(tmp_path: Path) -> None:
    replica, reader = make_replicas(tmp_path, "a", "reader")
    ids = log_answers(replica, 1, 2, 3)
    shutil.copytree(replica.service.predictions, tmp_path / "later")
    restore_first_lines(replica, 1)
    ship(replica)
    assert read_union(reader) == ids[:1]
    (segment,) = list_segments(tmp_path / "later")
    (here,) = list_segments(replica.service.predictions)
    here.write_bytes(segment.read_bytes())
    for suffix in (segments.SEAL_SUFFIX, segments.SHIPPED_SUFFIX):
        here.with_suffix(suffix).unlink()
    ship(replica)
    assert read_union(reader) == sorted(ids)
    assert [path.stem for path in segments.list_own_segments(reader.service.predictions)] == []


def test_what_a_replica_shipped_after_its_backup_comes_back_as_its_own(tmp_path: Path) -> None:
    replica, _ = make_replicas(tmp_path, "a", "reader")
    first = log_answers(replica, 1)
    ship(replica)
    shutil.copytree(replica.service.predictions, tmp_path / "backup")
    second = log_answers(replica, 2, 3)
    ship(replica)
    shutil.rmtree(replica.service.predictions)
    shutil.copytree(tmp_path / "backup", replica.service.predictions)
    assert find_logged_prediction(replica, second[0])
    assert read_union(replica) == sorted(first + second)
    assert len(segments.list_own_segments(replica.service.predictions)) == 2
    assert ship(replica) == 0


def test_what_was_archived_after_a_backup_comes_back_and_is_archived_once(tmp_path: Path) -> None:
    replica, reader = make_replicas(tmp_path, "a", "reader")
    log_answers(replica, 1)
    shutil.copytree(replica.service.predictions, tmp_path / "backup")
    ids = log_answers(replica, 2, 3)
    ship(replica)
    archive_all(replica)
    shutil.rmtree(replica.service.predictions)
    shutil.copytree(tmp_path / "backup", replica.service.predictions)
    assert find_logged_prediction(replica, ids[0])
    archive_all(replica)
    assert [len(part.segments) for _, part in archive_parts.list_parts(replica.service.predictions)] == [2]
    assert count_rows(reader) == 3


def test_a_segment_in_two_parts_is_counted_once_with_all_its_rows(tmp_path: Path) -> None:
    replica, reader, later = make_replicas(tmp_path, "a", "reader", "later")
    get_logs(replica).replica  # noqa: B018 - makes the id, which the backup has
    ids = log_answers(replica, 1, 2, 3)
    shutil.copytree(replica.service.predictions, tmp_path / "backup")
    ship(replica)
    archive_all(replica)
    shutil.rmtree(replica.service.predictions)
    shutil.copytree(tmp_path / "backup", replica.service.predictions)
    restore_first_lines(replica, 1)
    ship(replica)
    archive_all(replica)
    assert count_rows(reader) == 3
    assert find_in_archive(reader, ids) == sorted(ids)
    assert all(find_logged_prediction(later, name) for name in ids)


def test_a_copied_volume_that_archives_too_counts_no_answer_twice(tmp_path: Path) -> None:
    one, other, reader = make_replicas(tmp_path, "a", "b", "reader")
    get_logs(one).replica  # noqa: B018 - makes the id, which the copy has
    log_answers(one, 1)
    shutil.copytree(one.service.predictions, other.service.predictions)
    log_answers(one, 2)
    log_answers(other, 3, 4)
    for replica in (one, other):
        ship(replica)
        archive_all(replica)
    assert count_rows(reader) == 4
