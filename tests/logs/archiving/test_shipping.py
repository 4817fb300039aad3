"""Several services ship to one archive: nothing of one replaces anything of another, and their union can be read."""

import datetime as dt
import shutil
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penumbra.core.system.http_client import find_free_port
from penumbra.logs import append_log
from penumbra.logs.archiving import archive, archive_parts, shipping
from penumbra.logs.archiving.archive_parts import DamagedArchive
from penumbra.logs.queries import samples
from tests.helpers.logs import prediction_logs
from tests.helpers.logs.prediction_logs import make_prediction

TOMORROW = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=1)
LATER = dt.datetime.now(dt.UTC) + dt.timedelta(days=40)


def log_and_compact(folder: Path, *flights: int) -> list[str]:
    """Log predictions to a segment that is closed and becomes a part; their ids."""
    ids = prediction_logs.append_to_new_segment(folder, [make_prediction(flight) for flight in flights])
    archive.compact_segments(folder, archive.seal_closed_segments(folder), TOMORROW)
    return ids


def ship_and_delete(folder: Path, place: str) -> list[str]:
    shipped = shipping.ship_parts(folder, place)
    archive.delete_archived_files(folder, place, LATER)
    return shipped


def move_to_old_name(folder: Path, place: Path) -> Path:
    """Let the log's only part have been shipped under the name that parts had before services were told apart."""
    ((facts, part),) = archive_parts.list_parts(folder)
    old = place / facts.with_suffix(archive_parts.TABLE_SUFFIX).name
    Path(part.shipped.removeprefix("file://")).rename(old)
    part.shipped = f"file://{old}"
    archive_parts.write_part_facts(facts, part)
    return old


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An S3 server of this process, and the address of a bucket in it."""
    moto = pytest.importorskip("moto.server", exc_type=ImportError)
    port = find_free_port()
    server = moto.ThreadedMotoServer("127.0.0.1", port, verbose=False)
    server.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing-a-store")
    fsspec.filesystem("s3", skip_instance_cache=True).mkdir("logs")
    yield "s3://logs/predictions"
    server.stop()


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.slow)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "archive") if request.param == "folder" else request.getfixturevalue("s3")


@pytest.mark.slow
def test_two_services_with_one_archive_lose_nothing(tmp_path: Path, place: str) -> None:
    logs = [tmp_path / name for name in ("one", "two", "three")]
    ids = {log: log_and_compact(log, *range(60)) for log in logs}
    addresses = [address for log in logs for address in ship_and_delete(log, place)]
    assert len(set(addresses)) == 3
    for log in logs:
        assert append_log.list_segments(log) == list((log / "days").glob("*.parquet")) == []
        assert [archive_parts.find_entry(log, name)["id"] for name in ids[log]] == ids[log]  # type: ignore[index]


def test_the_union_of_all_services_is_read_where_the_facts_of_all_are(tmp_path: Path) -> None:
    place = tmp_path / "archive"
    ids = [name for log in ("one", "two") for name in log_and_compact(tmp_path / log, 1, 2)]
    for log in ("one", "two"):
        ship_and_delete(tmp_path / log, str(place))
    (tmp_path / "union" / "days").mkdir(parents=True)
    for facts in place.glob("*.json"):
        shutil.copy(facts, tmp_path / "union" / "days")
    union = tmp_path / "union"
    assert all(archive_parts.find_entry(union, name) for name in ids)
    content = b"".join(lines for _, lines in archive_parts.read_deleted_segments(union, lambda segment: False))
    assert content.count(b"\n") == len(ids)


def test_parts_that_were_shipped_under_the_old_names_are_read(tmp_path: Path) -> None:
    log, place = tmp_path / "log", tmp_path / "archive"
    (name,) = log_and_compact(log, 1)
    shipping.ship_parts(log, str(place))
    assert move_to_old_name(log, place).name.endswith(".000.parquet")
    archive.delete_archived_files(log, str(place), LATER)
    assert list(log.glob("days/*.parquet")) == []
    assert archive_parts.find_entry(log, name) is not None


def test_a_copy_that_another_service_replaced_is_shipped_anew_before_anything_is_deleted(tmp_path: Path) -> None:
    log, place = tmp_path / "log", tmp_path / "archive"
    (name,) = log_and_compact(log, 1)
    shipping.ship_parts(log, str(place))
    move_to_old_name(log, place).write_bytes(b"of another service")
    with pytest.raises(DamagedArchive, match=r"\.000\.parquet is not what was shipped any more"):
        archive.delete_archived_files(log, str(place), LATER)
    assert len(ship_and_delete(log, str(place))) == 1
    assert append_log.list_segments(log) == list(log.glob("days/*.parquet")) == []
    assert archive_parts.find_entry(log, name) is not None


def test_nothing_is_deleted_while_the_archive_has_lost_the_copy(tmp_path: Path) -> None:
    log, place = tmp_path / "log", tmp_path / "archive"
    log_and_compact(log, 1)
    shipping.ship_parts(log, str(place))
    shutil.rmtree(place)
    failures: list[Exception] = []
    assert archive.delete_archived_files(log, str(place), LATER, on_failure=failures.append) == []
    assert len(append_log.list_segments(log)) == len(failures) == 1


def test_the_same_content_shipped_again_changes_nothing(tmp_path: Path) -> None:
    log, place = tmp_path / "log", tmp_path / "archive"
    log_and_compact(log, 1)
    (address,) = shipping.ship_parts(log, str(place))
    ((facts, part),) = archive_parts.list_parts(log)
    part.shipped = ""  # killed before that was noted
    archive_parts.write_part_facts(facts, part)
    copy = Path(address.removeprefix("file://"))
    before = copy.stat()
    assert shipping.ship_parts(log, str(place)) == [address]
    assert (copy.stat().st_mtime_ns, copy.stat().st_ino) == (before.st_mtime_ns, before.st_ino)


def test_other_content_of_the_same_day_gets_another_name_and_each_prediction_is_read_once(tmp_path: Path) -> None:
    log, place = tmp_path / "log", tmp_path / "archive"
    ids = log_and_compact(log, 1, 2)
    shipping.ship_parts(log, str(place))
    ((facts, _),) = archive_parts.list_parts(log)
    facts.unlink()  # lost: the next pass makes the part anew, with one more segment
    ids += log_and_compact(log, 3)
    ship_and_delete(log, str(place))
    for shipped in place.glob("*.json"):
        shutil.copy(shipped, log / "days")
    assert len(list(place.glob("*.parquet"))) == 2
    assert sorted(samples.read_records_by_id(log, ids, {})["penumbra.id"]) == sorted(ids)
    rows, indexed = prediction_logs.make_index(tmp_path / "indexed"), tmp_path / "indexed/predictions"
    shutil.copytree(log, indexed)
    assert rows.catch_up() == len(ids)


@pytest.mark.slow
@settings(max_examples=10)
@given(st.lists(st.lists(st.integers(0, 99), min_size=1, max_size=3), min_size=1, max_size=3))
def test_however_services_log_and_ship_every_prediction_is_found(
    tmp_path_factory: pytest.TempPathFactory, services: list[list[int]]
) -> None:
    folder = tmp_path_factory.mktemp("services")
    logs = {folder / str(number): flights for number, flights in enumerate(services)}
    ids = {log: log_and_compact(log, *flights) for log, flights in logs.items()}
    for log in logs:
        ship_and_delete(log, str(folder / "archive"))
    assert all(archive_parts.find_entry(log, name) for log, names in ids.items() for name in names)
