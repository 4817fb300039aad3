"""The frame of an archive's part: what its columns say of a line."""

import datetime as dt

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penumbra.logs.append_log import encode_json
from penumbra.logs.archiving.archive_frames import build_archive_frame, join_archive_frames, write_archive_frames

times = st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2200, 1, 1), timezones=st.just(dt.UTC))
whole_seconds = times.map(lambda time: time.replace(microsecond=0))


@given(st.lists(times | whole_seconds | st.just("yesterday") | st.none()))
def test_times_are_those_of_the_lines_whatever_their_fractions_and_null_for_what_is_none(said):
    frames = [build_archive_frame([encode_json({"id": "a", "time": time})], None) for time in said]
    frame = join_archive_frames([build_archive_frame([], None), *frames])
    assert frame["time"].to_list() == [time if isinstance(time, dt.datetime) else None for time in said]


@pytest.mark.parametrize("at_once", [1, 3])
def test_where_the_task_has_changed_within_a_part_answers_are_text(tmp_path, at_once):
    said = [{"output": 0.5, "decision": True}, {"output": [0.2, 0.8], "decision": "rain"}, {}]
    lines = list(map(encode_json, said))
    pieces = [build_archive_frame(lines[n : n + at_once], None) for n in range(0, 3, at_once)]
    write_archive_frames(pieces, tmp_path / "part.parquet")
    frame = pl.read_parquet(tmp_path / "part.parquet")
    assert frame["output"].to_list() == ["0.5", "[0.2,0.8]", None]
    assert frame["decision"].to_list() == ["true", "rain", None]
