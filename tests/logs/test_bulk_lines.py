"""Lines made of columns are those that a writer of single entries writes, but for the width of positions."""

import datetime as dt
import tempfile
from pathlib import Path

import msgspec
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penumbra.logs import bulk_lines
from penumbra.logs.append_log import decode_entry, encode_json, find_entry_in_segments, read_entries
from penumbra.logs.bulk_lines import can_write_columns, write_segment, write_times_as_text

SEGMENT = "1a22a002a325f1485"
CELLS = st.fixed_dictionaries(
    {
        "text": st.none() | st.text(st.characters(codec="utf-8")),
        "number": st.none() | st.floats(allow_nan=False, allow_infinity=False),
        "count": st.none() | st.integers(-(2**63), 2**63 - 1),
        "flag": st.none() | st.booleans(),
        "day": st.none() | st.dates(dt.date(1, 1, 1)),
        "moment": st.none() | st.datetimes(dt.datetime(1000, 1, 1), timezones=st.just(dt.UTC)),
        "plain": st.none() | st.datetimes(dt.datetime(1000, 1, 1)),
    }
)
DTYPES = {
    "text": pl.String,
    "number": pl.Float64,
    "count": pl.Int64,
    "flag": pl.Boolean,
    "day": pl.Date,
    "moment": pl.Datetime("us", "UTC"),
    "plain": pl.Datetime("us"),
}
TYPED = msgspec.defstruct(
    "Row",
    [
        ("text", str | None),
        ("number", float | None),
        ("count", int | None),
        ("flag", bool | None),
        ("day", dt.date | None),
        ("moment", dt.datetime | None),
        ("plain", dt.datetime | None),
    ],
)


def write_lines(folder, *tables, others=()):
    """The lines of a segment with these entries, and their ids."""
    path = Path(folder) / f"{SEGMENT}.jsonl"
    ids = write_segment(path, tables, others)
    return path.read_bytes().split(b"\n")[:-1], ids.to_list()


@given(st.lists(CELLS, min_size=1, max_size=5))
def test_a_record_has_the_values_that_the_encoder_of_single_entries_writes(cells):
    rows = pl.DataFrame(cells, DTYPES)
    with tempfile.TemporaryDirectory() as folder:
        lines, _ = write_lines(folder, pl.DataFrame({"record": write_times_as_text(rows).to_struct()}))
    records = [msgspec.json.encode(decode_entry(line)["record"]) for line in lines]
    decoded = [msgspec.json.decode(record, type=TYPED) for record in records]
    assert decoded == [msgspec.json.decode(encode_json(each), type=TYPED) for each in cells]


def test_times_without_fractions_are_written_as_of_single_entries():
    rows = pl.DataFrame({"at": [dt.datetime(2024, 3, 1, 12, tzinfo=dt.UTC), None]})
    assert write_times_as_text(rows)["at"].to_list() == ["2024-03-01T12:00:00Z", None]


def test_times_of_another_zone_are_written_in_utc():
    rows = pl.DataFrame({"at": [dt.datetime(2024, 3, 1, 12)]}).select(pl.col("at").dt.replace_time_zone("Asia/Tokyo"))
    assert write_times_as_text(rows)["at"].to_list() == ["2024-03-01T03:00:00Z"]


def test_every_entry_is_found_by_its_id_and_read_as_whole(tmp_path):
    entries = pl.DataFrame({"model": ["1", "2"], "inputs": [[1.0, float("nan")], [2.0, 3.0]]})
    marked = pl.DataFrame({"model": ["3"], "rules": [["far"]]})
    _, ids = write_lines(tmp_path, entries, marked, others=[b'{"model":"4"}'])
    assert [entry["model"] for entry in read_entries(tmp_path)] == ["1", "2", "3", "4"]
    assert [find_entry_in_segments(tmp_path, name)["model"] for name in ids] == ["1", "2", "3", "4"]
    assert find_entry_in_segments(tmp_path, ids[0])["inputs"] == [1.0, None]


def test_a_changed_byte_is_told_by_the_checksum(tmp_path):
    write_lines(tmp_path, pl.DataFrame({"model": ["1", "2"]}))
    path = tmp_path / f"{SEGMENT}.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"model":"1"', b'"model":"7"'))
    assert [entry["model"] for entry in read_entries(tmp_path)] == ["2"]


def test_every_entry_is_found_by_its_id_however_many_are_written_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(bulk_lines, "PIECE_ROWS", 2)
    models = [str(number) for number in range(8)]
    _, ids = write_lines(
        tmp_path, pl.DataFrame({"model": models[:5]}), others=[encode_json({"model": m}) for m in models[5:]]
    )
    assert [entry["id"] for entry in read_entries(tmp_path)] == ids
    assert [find_entry_in_segments(tmp_path, name)["model"] for name in ids] == models


def test_rows_after_a_chunk_without_rows_are_written_too(tmp_path):
    rows = pl.concat(pl.DataFrame({"model": [name, name]}) for name in "abc")
    kept = rows.lazy().filter(pl.col("model") != "b").collect()
    lines, ids = write_lines(tmp_path, pl.DataFrame({"record": kept.to_struct("record")}))
    assert [decode_entry(line)["record"]["model"] for line in lines] == ["a", "a", "c", "c"]
    assert len(ids) == 4


def test_a_segment_may_have_no_columns_at_all(tmp_path):
    (line,), ids = write_lines(tmp_path, others=[b'{"rule":"far"}'])
    assert decode_entry(line) == {"id": ids[0], "rule": "far"}


def test_a_name_that_no_log_reads_is_refused(tmp_path):
    with pytest.raises(ValueError, match="'batch-7' is no segment's name: expected 17 hexadecimal digits"):
        write_segment(tmp_path / "batch-7.jsonl", [], [b'{"rule":"far"}'])


@pytest.mark.parametrize("dtype", [pl.Decimal(10, 2), pl.Duration(), pl.Time(), pl.List(pl.Int64), pl.Binary()])
def test_columns_of_other_kinds_are_left_to_the_encoder_of_single_entries(dtype):
    assert not can_write_columns({"a": pl.Int64(), "b": dtype})
