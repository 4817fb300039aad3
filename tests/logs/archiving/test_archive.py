import datetime as dt
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penumbra.logs import append_log, segments
from penumbra.logs.append_log import LogWriter, encode_json
from penumbra.logs.archiving import archive, archive_parts, archive_repair, shipping
from penumbra.logs.archiving.archive_health import read_archive_health, save_archive_health
from penumbra.reviews.selection.case_picker import pick_cases
from penumbra.storage.locks import is_file_locked
from penumbra.storage.sealed import hash_file
from penumbra.storage.work_lock import PassInProgress, hold_pass_lock
from service.processes import archiver
from service.processes.archiver import archive_due_segments
from tests.helpers.logs import prediction_logs
from tests.helpers.logs.prediction_logs import make_prediction
from tests.helpers.servers import local_service

TODAY = dt.datetime.now(dt.UTC).date()
TOMORROW = TODAY + dt.timedelta(days=1)
LATER = dt.datetime.now(dt.UTC) + dt.timedelta(days=40)


def closed(folder: Path, *flights: int) -> list[str]:
    """A closed segment with predictions of these flights."""
    return prediction_logs.append_to_new_segment(folder, [make_prediction(flight) for flight in flights])


def compacted(folder: Path, today: dt.date = TOMORROW) -> list[Path]:
    return archive.compact_segments(folder, archive.seal_closed_segments(folder), today)


def test_a_segment_is_open_as_long_as_its_writer_lives(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path)
    writer.append([encode_json(make_prediction(1))])
    (path,) = append_log.list_segments(tmp_path)
    assert is_file_locked(path)
    assert archive.seal_closed_segments(tmp_path) == []
    writer.close()
    assert archive.seal_closed_segments(tmp_path) == [path]


@pytest.mark.parametrize("at_once", [1, 7, 1 << 16])
def test_of_a_segment_without_an_end_of_a_line_nothing_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(segments, "TAIL_BYTES", at_once)
    path = tmp_path / "019fa1c2d3e000000.jsonl"
    for content, kept in ((b"", b""), (b"torn", b""), (b"whole\n", b"whole\n"), (b"whole\n\nto", b"whole\n\n")):
        path.write_bytes(content)
        assert segments.repair_segment(path) == len(content) - len(kept)
        assert path.read_bytes() == kept


def test_a_torn_last_line_is_cut_off_before_the_checksum(tmp_path: Path) -> None:
    closed(tmp_path, 1)
    (path,) = append_log.list_segments(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"id":"torn')
    archive.seal_closed_segments(tmp_path)
    assert path.read_bytes() == whole
    assert path.with_suffix(segments.SEAL_SUFFIX).read_text() == hash_file(path)


def test_a_day_becomes_one_parquet_file_with_every_line_of_its_segments(tmp_path: Path) -> None:
    ids = [name for flights in ([1, 2], [3]) for name in closed(tmp_path, *flights)]
    (facts,) = compacted(tmp_path)
    frame = pl.read_parquet(facts.with_suffix(archive_parts.TABLE_SUFFIX))
    assert sorted(frame["id"]) == sorted(ids)
    assert sorted(frame["output"]) == [0.1, 0.2, 0.3]
    assert frame["time"].dtype == pl.Datetime("us", "UTC")
    assert [line + "\n" for line in frame["line"]] == [
        line for path in append_log.list_segments(tmp_path) for line in path.read_text().splitlines(keepends=True)
    ]


@pytest.mark.parametrize("microsecond", [0, 500_000, 123_456])
def test_the_time_of_a_line_is_a_column_to_the_microsecond(tmp_path: Path, microsecond: int) -> None:
    time = dt.datetime(2013, 4, 1, 9, 30, 1, microsecond, tzinfo=dt.UTC)
    prediction_logs.append_to_new_segment(tmp_path, [make_prediction(1, time)])
    (facts,) = compacted(tmp_path)
    assert pl.read_parquet(facts.with_suffix(archive_parts.TABLE_SUFFIX))["time"].to_list() == [time]


def test_a_damaged_line_is_kept_and_has_no_columns(tmp_path: Path) -> None:
    name, _ = closed(tmp_path, 1, 2)
    (path,) = append_log.list_segments(tmp_path)
    path.write_bytes(path.read_bytes().replace(b'"flight":1,', b'"flight":7,'))
    (facts,) = compacted(tmp_path)
    frame = pl.read_parquet(facts.with_suffix(archive_parts.TABLE_SUFFIX))
    assert (frame["id"][0], frame["line"][0]) == (None, path.read_text().splitlines()[0])
    path.unlink()
    assert archive_parts.find_entry(tmp_path, name) is None


def test_a_segment_that_ends_within_a_line_after_it_was_sealed_is_not_archived(tmp_path: Path) -> None:
    closed(tmp_path, 1)
    (path,) = archive.seal_closed_segments(tmp_path)
    path.write_bytes(path.read_bytes() + b'{"id":"torn')
    with pytest.raises(archive_parts.DamagedArchive, match=f"{path} ends within a line, though it was sealed"):
        archive.compact_segments(tmp_path, [path], TOMORROW)


def test_a_segment_of_which_only_a_torn_line_was_left_is_archived_as_nothing(tmp_path: Path) -> None:
    (tmp_path / "019fa1c2d3e000000.jsonl").write_bytes(b'{"id":"torn')
    (facts,) = compacted(tmp_path)
    assert pl.read_parquet(facts.with_suffix(archive_parts.TABLE_SUFFIX)).height == 0


def test_today_is_left_for_tomorrow(tmp_path: Path) -> None:
    closed(tmp_path, 1)
    assert compacted(tmp_path, TODAY) == []
    assert len(compacted(tmp_path)) == 1
    assert compacted(tmp_path) == []


def test_a_segment_closed_late_goes_to_a_further_part(tmp_path: Path) -> None:
    for flight in (1, 2):
        closed(tmp_path, flight)
        compacted(tmp_path)
    assert [path.name for path, _ in archive_parts.list_parts(tmp_path)] == [f"{TODAY}.000.json", f"{TODAY}.001.json"]


lines = st.lists(st.binary(max_size=20).filter(lambda line: b"\n" not in line), min_size=1, max_size=5)


@pytest.mark.slow
@given(st.lists(lines, min_size=1, max_size=3))
def test_whatever_was_logged_comes_back_byte_by_byte(
    tmp_path_factory: pytest.TempPathFactory, contents: list[list[bytes]]
) -> None:
    folder = tmp_path_factory.mktemp("log")
    for number, content in enumerate(contents):
        (folder / f"019fa1c2d3e{number:06}.jsonl").write_bytes(b"".join(line + b"\n" for line in content))
    before = {path.stem: path.read_bytes() for path in append_log.list_segments(folder)}
    compacted(folder)
    for path in append_log.list_segments(folder):
        path.unlink()
    assert dict(archive_parts.read_deleted_segments(folder, lambda segment: False)) == before


def test_a_prediction_is_found_in_its_segment_in_parquet_and_in_the_archive(tmp_path: Path) -> None:
    folder, place = tmp_path / "log", str(tmp_path / "archive")
    name, other = closed(folder, 1, 2)
    expected = append_log.find_entry_in_segments(folder, name)
    compacted(folder)
    assert archive_parts.find_entry(folder, name) == expected
    assert {p.suffix for p in archive.delete_archived_files(folder, "", LATER)} == {".jsonl"}
    assert archive_parts.find_entry(folder, name) == expected
    shipping.ship_parts(folder, place)
    assert {p.suffix for p in archive.delete_archived_files(folder, place, LATER)} == {".parquet"}
    assert archive_parts.find_entry(folder, name) == expected
    assert archive_parts.find_entry(folder, other)["record"]["flight"] == 2  # type: ignore[index]
    assert archive_parts.find_entry(folder, name[:-1] + "f") is None


def test_nothing_is_deleted_that_is_needed_young_unshipped_or_damaged(tmp_path: Path) -> None:
    closed(tmp_path, 1)
    (facts,) = compacted(tmp_path)
    (path,) = append_log.list_segments(tmp_path)
    assert archive.delete_archived_files(tmp_path, "", LATER, needed=lambda path: True) == []
    assert archive.delete_archived_files(tmp_path, "", dt.datetime.now(dt.UTC)) == []
    assert archive.delete_archived_files(tmp_path, "memory://archive", LATER) == []
    facts.with_suffix(archive_parts.TABLE_SUFFIX).write_bytes(b"damaged")
    with pytest.raises(archive_parts.DamagedArchive, match="the segments in it are kept"):
        archive.delete_archived_files(tmp_path, "", LATER)
    assert path.exists()


def test_segments_stay_whose_table_is_gone_and_was_never_shipped(tmp_path: Path) -> None:
    closed(tmp_path, 1)
    (facts,) = compacted(tmp_path)
    facts.with_suffix(archive_parts.TABLE_SUFFIX).unlink()
    with pytest.raises(archive_parts.DamagedArchive, match="gone and wasn't shipped"):
        archive.delete_archived_files(tmp_path, "", LATER)
    assert len(append_log.list_segments(tmp_path)) == 1


def test_a_pass_that_was_killed_between_segment_and_table_is_continued(tmp_path: Path) -> None:
    folder, place = tmp_path / "log", str(tmp_path / "archive")
    closed(folder, 1)
    closed(folder, 2)
    (facts,) = compacted(folder)
    shipping.ship_parts(folder, place)
    first, second = append_log.list_segments(folder)
    first.unlink()

    def needed(path: Path) -> bool:
        return path.stat().st_size > 0  # as the index that has yet to read it, whose size is asked

    assert archive.delete_archived_files(folder, place, LATER, needed) == []
    assert archive.delete_archived_files(folder, place, LATER) == [second, facts.with_suffix(".parquet")]
    assert sorted(path.suffix for path in folder.iterdir()) == [""]


def test_one_bad_item_keeps_no_other_from_being_archived_and_is_told(tmp_path: Path) -> None:
    settings = local_service.make_service_settings(tmp_path)
    predictions = settings.service.predictions
    for flight in (1, 2):
        closed(predictions, flight)
        compacted(predictions)
    bad, _ = (path.with_suffix(".parquet") for path, _ in archive_parts.list_parts(predictions))
    bad.write_bytes(b"damaged")
    prediction_logs.make_updated_index(tmp_path)
    passes = iter([True, False])
    archiver.run_archiver(settings, local_service.PROBLEM, lambda: next(passes, False))
    assert read_archive_health(predictions).failures == []  # nothing of today is due
    failures: list[Exception] = []
    done = list(archive_due_segments(settings, local_service.PROBLEM, LATER, failures.append))
    assert [str(each) for each in failures] == [f"{bad} is not what was written: the segments in it are kept"]
    assert [path.suffix for path in append_log.list_segments(predictions)] == [".jsonl"]
    assert any("is deleted" in each for each in done)


def test_what_is_shipped_is_read_again(tmp_path: Path) -> None:
    closed(tmp_path, 1)
    (facts,) = compacted(tmp_path)
    facts.with_suffix(archive_parts.TABLE_SUFFIX).write_bytes(b"damaged")
    with pytest.raises(archive_parts.DamagedArchive, match="is not what was shipped"):
        shipping.ship_parts(tmp_path, "memory://archive")
    assert archive_parts.list_parts(tmp_path)[0][1].shipped == ""


def test_the_archiver_keeps_what_the_index_or_the_shadow_has_yet_to_read(tmp_path: Path) -> None:
    name = closed(tmp_path / "predictions", 1)[0]
    settings = local_service.make_service_settings(tmp_path)
    assert not any("is deleted" in done for done in archive_due_segments(settings, local_service.PROBLEM, LATER))
    prediction_logs.make_updated_index(tmp_path)
    assert any("is deleted" in done for done in archive_due_segments(settings, local_service.PROBLEM, LATER))
    assert append_log.list_segments(tmp_path / "predictions") == []
    assert archive_parts.find_entry(tmp_path / "predictions", name) is not None


def test_once_rows_are_picked_for_review_the_archiver_keeps_what_was_in_no_block_yet(tmp_path: Path) -> None:
    closed(tmp_path / "predictions", 1)
    settings = local_service.make_service_settings(tmp_path)
    pick_cases(settings, local_service.PROBLEM, 9)
    closed(tmp_path / "predictions", 2)
    prediction_logs.make_updated_index(tmp_path)
    list(archive_due_segments(settings, local_service.PROBLEM, LATER))
    assert len(append_log.list_segments(tmp_path / "predictions")) == 1
    pick_cases(settings, local_service.PROBLEM, 9)
    list(archive_due_segments(settings, local_service.PROBLEM, LATER))
    assert append_log.list_segments(tmp_path / "predictions") == []


def test_a_second_archiver_leaves_the_logs_alone(tmp_path: Path) -> None:
    settings = local_service.make_service_settings(tmp_path)
    with hold_pass_lock(settings.service.predictions, "archive"), pytest.raises(PassInProgress):
        list(archive_due_segments(settings, local_service.PROBLEM, LATER))


def test_the_health_says_since_when_something_fails(tmp_path: Path) -> None:
    first, second, third = (dt.datetime(2024, 1, day, tzinfo=dt.UTC) for day in (1, 2, 3))
    save_archive_health(tmp_path, ["a", "a"], first)
    save_archive_health(tmp_path, ["b"], second)
    assert (read_archive_health(tmp_path).since, read_archive_health(tmp_path).failures) == (first, ["b"])
    save_archive_health(tmp_path, [], third)
    assert read_archive_health(tmp_path).since is None


def test_damaged_facts_of_a_part_are_made_again_from_its_table(tmp_path: Path) -> None:
    closed(tmp_path, 1, 2)
    (facts,) = compacted(tmp_path)
    whole = facts.read_bytes()
    facts.write_bytes(b"x" + whole[1:])
    assert archive_parts.list_parts(tmp_path)[0][1].segments.keys() == {append_log.list_segments(tmp_path)[0].stem}
    assert facts.read_bytes() == whole


def test_a_damaged_table_is_made_again_from_its_segments(tmp_path: Path) -> None:
    closed(tmp_path, 1)
    (facts,) = compacted(tmp_path)
    table = facts.with_suffix(archive_parts.TABLE_SUFFIX)
    whole = table.read_bytes()
    table.write_bytes(whole[:-1] + b"x")
    (said,) = archive_repair.repair_parts(tmp_path)
    assert f"{table} is not what was written" in said
    assert compacted(tmp_path) == [facts]
    assert table.read_bytes() == whole


def test_a_damaged_table_without_segments_is_fetched_from_where_it_was_shipped(tmp_path: Path) -> None:
    folder, place = tmp_path / "log", str(tmp_path / "archive")
    closed(folder, 1)
    (facts,) = compacted(folder)
    shipping.ship_parts(folder, place)
    for path in append_log.list_segments(folder):
        path.unlink()
    table = facts.with_suffix(archive_parts.TABLE_SUFFIX)
    whole = table.read_bytes()
    table.write_bytes(whole[:-1] + b"x")
    (said,) = archive_repair.repair_parts(folder)
    assert "brought back from" in said
    assert table.read_bytes() == whole
    table.write_bytes(b"x")
    Path(archive_parts.list_parts(folder)[0][1].shipped.removeprefix("file://")).unlink()
    with pytest.raises(archive_parts.DamagedArchive, match="backup"):
        list(archive_repair.repair_parts(folder))
