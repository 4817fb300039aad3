import datetime as dt
import io
import os
import resource
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penumbra.logs.append_log import (
    LogWriter,
    encode_json,
    encode_lines,
    find_entry_in_segments,
    list_segments,
    read_entries,
    read_lines,
    read_tail,
)
from penumbra.logs.line_decoding import find_damaged_lines
from penumbra.logs.schema import PredictionEntry
from penumbra.logs.segments import restore_last_newline, seal_segment

NOON = dt.datetime(2013, 4, 1, 12, tzinfo=dt.UTC)
values = st.none() | st.text() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
records = st.dictionaries(st.text(), values, max_size=4)
requests = st.lists(st.lists(records, min_size=1, max_size=3), min_size=1, max_size=4)


def entry(record: dict, probability: float = 0.25) -> bytes:
    return encode_json(PredictionEntry(NOON, "contract", record, [1.5], probability, False, "7", 80))


@given(st.lists(records))
def test_entries_that_are_encoded_together_are_what_each_is_alone(entries: list[dict]) -> None:
    assert encode_lines(entries) == [encode_json(each) for each in entries]


@contextmanager
def written(*batches: list[dict]) -> Iterator[tuple[Path, list[str]]]:
    with tempfile.TemporaryDirectory() as name:
        writer = LogWriter(Path(name))
        ids = [made for batch in batches for made in writer.append([entry(record) for record in batch])]
        writer.close()
        yield Path(name), ids


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@given(requests)
def test_what_is_written_is_read_back_in_order(batches: list[list[dict]]) -> None:
    with written(*batches) as (folder, ids):
        lines = list(read_entries(folder))
        assert [line["record"] for line in lines] == [record for batch in batches for record in batch]
        assert [line["id"] for line in lines] == ids


@given(requests)
def test_every_id_finds_what_reading_gives(batches: list[list[dict]]) -> None:
    with written(*batches) as (folder, _):
        assert all(find_entry_in_segments(folder, line["id"]) == line for line in read_entries(folder))


@given(requests, st.data())
def test_a_file_cut_off_anywhere_loses_only_the_torn_line_and_those_after_it(
    batches: list[list[dict]], data: st.DataObject
) -> None:
    with written(*batches) as (folder, _):
        (path,) = list_segments(folder)
        whole, before = path.read_bytes(), list(read_entries(folder))
        cut = data.draw(st.integers(0, len(whole)))
        os.truncate(path, cut)
        assert list(read_entries(folder)) == before[: whole[:cut].count(b"\n")]


@given(requests, st.data())
def test_the_tail_is_the_whole_lines_from_a_position_on(batches: list[list[dict]], data: st.DataObject) -> None:
    with written(*batches) as (folder, ids):
        (path,) = list_segments(folder)
        whole = path.read_bytes()
        position = int(data.draw(st.sampled_from(range(len(ids))).map(lambda n: ids[n])).split("-")[1], 16)
        os.truncate(path, data.draw(st.integers(position, len(whole))))
        assert read_tail(path, position) == b"".join(path.read_bytes()[position:].rpartition(b"\n")[:2])


def test_the_tail_of_a_long_segment_comes_in_pieces_of_whole_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penumbra.logs.append_log.CHUNK_BYTES", 10)
    with written([{"n": 1}, {"n": 2}]) as (folder, (_, second)):
        (path,) = list_segments(folder)
        first = read_tail(path, 0)
        assert first == path.read_bytes()[: int(second.split("-")[1], 16)]
        assert first + read_tail(path, len(first)) == path.read_bytes()


def test_a_line_says_when_what_and_by_which_model() -> None:
    with written([{"temp": 1.5}]) as (folder, (name,)):
        assert find_entry_in_segments(folder, name) == {
            "id": name,
            "time": "2013-04-01T12:00:00Z",
            "contract": "contract",
            "record": {"temp": 1.5},
            "inputs": [1.5],
            "output": 0.25,
            "decision": False,
            "model": "7",
            "micros": 80,
        }


@pytest.mark.parametrize(
    "name", ["", "x", "unlogged-12", "0" * 17 + "-0", "../../etc/passwd-0", "0" * 17 + "-" + "f" * 99]
)
def test_an_id_that_was_never_given_finds_nothing(tmp_path: Path, name: str) -> None:
    assert find_entry_in_segments(tmp_path, name) is None


def test_a_position_inside_a_line_finds_nothing() -> None:
    with written([{"a": 1}]) as (folder, (name,)):
        assert find_entry_in_segments(folder, name[:-1] + "5") is None


def test_segments_sort_by_the_time_of_their_beginning(tmp_path: Path) -> None:
    for number in range(3):
        writer = LogWriter(tmp_path)
        writer.append([entry({"n": number})])
        writer.close()
        os.utime(tmp_path)
    assert sorted(line["record"]["n"] for line in read_entries(tmp_path)) == [0, 1, 2]
    assert list_segments(tmp_path) == sorted(list_segments(tmp_path))


def test_an_empty_or_missing_log_has_no_predictions(tmp_path: Path) -> None:
    assert list(read_entries(tmp_path / "missing")) == []


def test_a_folder_that_cannot_be_made_is_an_os_error_until_it_can(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("in the way")
    writer = LogWriter(tmp_path / "log")
    with pytest.raises(FileExistsError):
        writer.append([entry({})])
    assert writer.is_failing
    (tmp_path / "log").unlink()
    writer.recover()
    assert not writer.is_failing


def test_a_write_cut_short_is_an_error_and_the_next_goes_to_a_new_segment(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path)
    first = writer.append([entry({"n": 1})])
    size = list_segments(tmp_path)[0].stat().st_size
    with largest_file(size + 10), pytest.raises(OSError, match="only 10 of"):
        writer.append([entry({"n": 2})])
    third = writer.append([entry({"n": 3})])
    assert {line["id"] for line in read_entries(tmp_path)} == {*first, *third}
    assert [find_entry_in_segments(tmp_path, name)["record"]["n"] for name in first + third] == [1, 3]  # type: ignore[index]
    assert len(list_segments(tmp_path)) == 2


@given(st.data())
def test_of_several_entries_cut_short_none_is_in_the_log(data: st.DataObject) -> None:
    """Whole lines at the beginning of the write are taken back, too: their answers say that they aren't logged."""
    with tempfile.TemporaryDirectory() as name:
        writer = LogWriter(Path(name))
        first = writer.append([entry({"n": 1})])
        size = list_segments(Path(name))[0].stat().st_size
        with largest_file(size + data.draw(st.integers(0, 3 * size - 1))), pytest.raises(OSError, match=r"only|large"):
            writer.append([entry({"n": n}) for n in (2, 3, 4)])
        third = writer.append([entry({"n": 5})])
        assert sorted(line["id"] for line in read_entries(Path(name))) == sorted(first + third)


def test_a_segment_deleted_while_it_is_written_is_brought_back(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path / "log")
    first = writer.append([entry({"n": 1})])
    shutil.rmtree(tmp_path / "log")
    second = writer.append([entry({"n": 2})])
    writer.recover()
    third = writer.append([entry({"n": 3})])
    assert [line["id"] for line in read_entries(tmp_path / "log")] == first + second + third


@pytest.mark.parametrize("take_away", [shutil.rmtree, lambda folder: folder.rename(folder.with_name("moved"))])
@pytest.mark.parametrize("ending", ["close", "recover", "grow"])
def test_a_vanished_segment_is_whole_again_however_its_writer_goes_on(
    tmp_path: Path, take_away: Callable[[Path], object], ending: str
) -> None:
    writer = LogWriter(tmp_path / "log", megabytes=0.0001)
    ids = writer.append([entry({"n": 1})])
    take_away(tmp_path / "log")
    ids += writer.append([entry({"n": 2})]) if ending == "grow" else (getattr(writer, ending)() or [])
    assert sorted(line["id"] for line in read_entries(tmp_path / "log")) == sorted(ids)
    assert not writer.is_failing


def test_what_vanished_is_kept_until_it_can_be_written_and_nothing_is_accepted_meanwhile(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path / "log")
    first = writer.append([entry({"n": 1})])
    shutil.rmtree(tmp_path / "log")
    (tmp_path / "log").write_text("in the way")
    for _ in range(2):
        writer.recover()
        assert writer.is_failing
        with pytest.raises(FileExistsError):
            writer.append([entry({"n": 2})])
        with pytest.raises(FileExistsError):
            writer.close()
    (tmp_path / "log").unlink()
    third = writer.append([entry({"n": 3})])
    assert [line["id"] for line in read_entries(tmp_path / "log")] == first + third


def test_a_vanished_segment_stays_as_long_as_the_disk_has_no_room_for_it(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path / "log")
    ids = writer.append([entry({"n": 1})])
    shutil.rmtree(tmp_path / "log")
    with largest_file(10):
        writer.recover()
        assert writer.is_failing
        assert list_segments(tmp_path / "log") == []
    writer.recover()
    assert not writer.is_failing
    assert [line["id"] for line in read_entries(tmp_path / "log")] == ids


def test_a_segment_that_somebody_put_back_in_part_is_whole_again(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path / "log")
    ids = writer.append([entry({"n": 1}), entry({"n": 2})])
    (path,) = list_segments(tmp_path / "log")
    part = path.read_bytes()[:50]
    path.unlink()
    path.write_bytes(part)
    writer.recover()
    assert [line["id"] for line in read_entries(tmp_path / "log")] == ids


def test_a_large_segment_is_left_for_a_new_one(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path, megabytes=0.0001)
    ids = [writer.append([entry({"n": n})])[0] for n in range(3)]
    assert len(list_segments(tmp_path)) == 3
    assert [find_entry_in_segments(tmp_path, name)["record"]["n"] for name in ids] == [0, 1, 2]  # type: ignore[index]


def test_an_old_segment_is_left_for_a_new_one(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path, hours=0)
    for n in range(2):
        writer.append([entry({"n": n})])
        writer.recover()
    assert len(list_segments(tmp_path)) == 2


def test_a_heading_begins_every_segment(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path, megabytes=0.0001, heading=lambda: b'{"heading":true}')
    for n in range(3):
        writer.append([entry({"n": n})])
    assert [path.read_bytes().count(b"heading") for path in list_segments(tmp_path)] == [1, 1, 1]


def test_a_disk_that_stays_full_collects_no_empty_segments(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path)
    for _ in range(3):
        with largest_file(10), pytest.raises(OSError, match="only 10 of"):
            writer.append([entry({"n": 1})])
    assert list_segments(tmp_path) == []


@given(st.data())
def test_a_line_in_which_a_byte_has_changed_is_left_out_and_found_alone(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("log")
    writer = LogWriter(folder)
    ids = writer.append([encode_json({"n": number, "text": "a" * 9}) for number in range(3)])
    writer.close()
    (path,) = list_segments(folder)
    lines = path.read_bytes().splitlines(keepends=True)
    changed = bytearray(lines[1])
    at = data.draw(st.integers(0, changed.index(b',"crc"') - 1))
    changed[at] ^= data.draw(st.sampled_from([mask for mask in range(1, 256) if changed[at] ^ mask != 10]))
    path.write_bytes(lines[0] + changed + lines[2])
    assert [entry["n"] for entry in read_entries(folder)] == [0, 2]
    assert find_damaged_lines(path) == [len(lines[0])]
    assert find_entry_in_segments(folder, ids[1]) is None


def test_a_closed_segment_whose_last_newline_has_changed_keeps_its_last_line(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path)
    writer.append([encode_json({"n": number}) for number in range(2)])
    writer.close()
    (path,) = list_segments(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + b"x")
    seal_segment(path)
    assert path.read_bytes() == whole
    path.write_bytes(whole + whole[:9])
    assert restore_last_newline(path) is False


class GrowingFile(io.RawIOBase):
    """A file to which more is written whenever a reader has come to its end."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = [each for piece in pieces for each in (piece, b"")]

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._pieces.pop(0) if self._pieces else b""
        buffer[: len(piece)] = piece
        return len(piece)


def test_a_line_that_is_written_while_a_segment_is_read_is_never_read_as_two() -> None:
    file = io.BufferedReader(GrowingFile(b'{"a":1}\n{"b":', b'2}\n{"c":3}\n'))
    segment = SimpleNamespace(open=lambda mode: file)
    assert list(read_lines(segment)) == [b'{"a":1}\n']  # type: ignore[arg-type]
