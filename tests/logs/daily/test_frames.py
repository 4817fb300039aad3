"""Lines of the prediction log as frames of one layout, whatever lines there are."""

import datetime as dt

import msgspec
import pytest
from polars.testing import assert_frame_equal

from penumbra.core.loading.problem_loading import load_problem
from penumbra.logs import append_log, log_pieces
from penumbra.logs.daily.frames import LogFrameReader
from tests.helpers.logs import prediction_logs


@pytest.mark.parametrize("lines", [[], [b""], [b"{torn"]])
def test_lines_of_which_none_counts_have_the_columns_of_those_that_do(lines: list[bytes]) -> None:
    reader = LogFrameReader(load_problem(["schema"]).schema)
    rows = reader.read_aligned(lines)
    assert (rows.height, reader.has_profile_columns(rows)) == (len(lines), True)


def test_lines_are_read_alike_however_few_are_decoded_at_a_time(tmp_path, monkeypatch):
    entries = [prediction_logs.make_prediction(number) for number in range(4)]
    entries[1] = msgspec.structs.replace(entries[1], fallback="previous")
    prediction_logs.log_predictions(tmp_path, *entries)
    (path,) = append_log.list_segments(tmp_path / "predictions")
    content, reader = path.read_bytes() + b"damaged\n", LogFrameReader(load_problem(["schema"]).schema)
    rows = reader.frame(content)
    monkeypatch.setattr(log_pieces, "DECODED_BYTES", 1)
    assert_frame_equal(rows, reader.frame(content))
    assert rows.height == 3


def test_the_archive_counts_the_lines_that_the_monitor_counts_whatever_its_own_columns_say(tmp_path):
    prediction_logs.log_predictions(tmp_path, prediction_logs.make_prediction(1))
    (path,) = append_log.list_segments(tmp_path / "predictions")
    (line,) = path.read_bytes().splitlines()
    entry = msgspec.json.decode(line)
    del entry["crc"]
    lines = [line, *(msgspec.json.encode({**entry, name: 5}) for name in ("contract", "id", "model"))]
    reader = LogFrameReader(load_problem(["schema"]).schema)
    entries, archived = reader.read_archived(lines)
    assert_frame_equal(archived, reader.read_aligned(lines))
    assert [entry is None for entry in entries] == [False, True, True, True]
    assert_frame_equal(reader.frame(b"\n".join([*lines, b""])), archived.drop_nulls("penumbra.day"))
    assert archived["penumbra.day"].null_count() == 1


def test_an_answer_of_another_task_counts_without_its_prediction(tmp_path):
    entries = [prediction_logs.make_prediction(number) for number in (1, 2)]
    entries[0] = msgspec.structs.replace(entries[0], output=[0.2, 0.8], decision="rain")
    prediction_logs.log_predictions(tmp_path, *entries)
    (path,) = append_log.list_segments(tmp_path / "predictions")
    reader = LogFrameReader(load_problem(["schema"]).schema)
    rows = reader.frame(path.read_bytes())
    assert rows["penumbra.prediction"].to_list() == [None, 0.2]
    assert reader.has_profile_columns(rows)


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        ("2013-04-01T23:30:00-02:00", dt.date(2013, 4, 2)),
        ("1969-12-31T12:00:00Z", dt.date(1969, 12, 31)),
        ("2013-04-01", dt.date(2013, 4, 1)),
        ("0001-01-01T00:00:00+05:00", None),
        ("yesterday", None),
    ],
)
def test_a_row_is_of_the_day_of_its_time_in_utc_and_of_none_without_such(moment, day):
    entry = prediction_logs.make_prediction(1)
    line = msgspec.json.encode(msgspec.structs.replace(entry, record={**entry.record, "time_hour": moment}))
    reader = LogFrameReader(load_problem(["schema"]).schema)
    assert reader.read_aligned([line])["penumbra.day"].to_list() == [day]
