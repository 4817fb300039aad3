"""Some rows of the log by their ids, from segments and from Parquet."""

import datetime as dt

import msgspec
import polars as pl
import pytest

from penumbra.logs.archiving import archive
from penumbra.logs.daily.frames import LogFrameReader
from penumbra.logs.queries import samples
from penumbra.logs.queries.labels import join_labels
from penumbra.storage.sealed import DamagedFile
from problem import schema
from tests.helpers.logs import prediction_logs

DAY = prediction_logs.NOON.date()
TOMORROW = DAY + dt.timedelta(days=1)


def test_what_a_model_answered_is_found_by_the_days_of_the_rows(tmp_path):
    mine, _ = prediction_logs.log_predictions(
        tmp_path, prediction_logs.make_prediction(1), prediction_logs.make_prediction(2, model="8")
    )
    index = prediction_logs.make_updated_index(tmp_path)
    found = samples.read_sampled_records(index, "7", DAY, TOMORROW, {"flight": pl.Int32()})
    assert found.rows() == [(mine, 1)]
    assert samples.read_sampled_records(index, "7", TOMORROW, TOMORROW + dt.timedelta(days=1), {}).is_empty()


def test_what_was_asked_is_kept_where_the_log_is_no_more(tmp_path):
    names = prediction_logs.log_predictions(
        tmp_path, prediction_logs.make_prediction(5), prediction_logs.make_prediction(6)
    )
    index = prediction_logs.make_updated_index(tmp_path)
    for path in (tmp_path / "predictions").iterdir():
        path.unlink()
    assert samples.read_sampled_records(index, "7", DAY, TOMORROW, {}).sort("penumbra.id")[
        "penumbra.id"
    ].to_list() == sorted(names)


@pytest.mark.parametrize(
    "change",
    [lambda rows: rows.replace(b'"UA"', b'"UB"'), lambda rows: rows[:-1], lambda rows: rows.replace(b"-", b"\xff")],
)
def test_a_changed_byte_of_the_sample_is_no_row_of_it(tmp_path, change):
    prediction_logs.log_predictions(tmp_path, prediction_logs.make_prediction(5))
    index = prediction_logs.make_updated_index(tmp_path)
    with index.open() as db:
        ((rows,),) = db.execute("SELECT rows FROM drawn")
        db.execute("UPDATE drawn SET rows = ?", (change(rows),))
    with pytest.raises(DamagedFile, match="isn't what the logs say"):
        samples.read_sampled_records(index, "7", DAY, TOMORROW, {})


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE drawn SET rows = CAST(x'FF00' AS TEXT)",
        "UPDATE sqlite_schema SET rootpage = 1 WHERE name = 'drawn_by_day'",
    ],
    ids=["text in place of bytes", "a page of another kind"],
)
def test_a_changed_byte_that_sqlite_stumbles_over_is_a_damaged_file(tmp_path, damage):
    prediction_logs.log_predictions(tmp_path, prediction_logs.make_prediction(5))
    index = prediction_logs.make_updated_index(tmp_path)
    with index.open() as db:
        db.execute("PRAGMA writable_schema = ON")
        db.execute(damage)
    with pytest.raises(DamagedFile, match="`penumbra doctor` makes it again"):
        samples.read_sampled_records(index, "7", DAY, TOMORROW, {})


def test_records_come_with_the_dtypes_asked_for_and_null_for_what_they_lack(tmp_path):
    (name,) = prediction_logs.log_predictions(tmp_path, prediction_logs.make_prediction(5))
    asked = {"carrier": pl.Enum(["UA"]), "flight": pl.Int32(), "temp": pl.Float64()}
    found = samples.read_records_by_id(tmp_path / "predictions", [name, "none"], asked)
    assert found.schema == {"penumbra.id": pl.String, "carrier": pl.String, "flight": pl.Int32, "temp": pl.Float64}
    assert found.rows() == [(name, "UA", 5, None)]


@pytest.mark.parametrize(("text", "duration"), [("PT1H30M", dt.timedelta(hours=1, minutes=30)), ("soon", None)])
def test_a_duration_is_read_as_its_request_had_it(tmp_path, text, duration):
    prediction = prediction_logs.make_prediction(5)
    prediction.record["wait"] = text
    (name,) = prediction_logs.log_predictions(tmp_path, prediction)
    found = samples.read_records_by_id(tmp_path / "predictions", [name], {"wait": pl.Duration("ms")})
    assert found["wait"].to_list() == [duration]


def test_records_whose_segment_is_in_parquet_only_are_found_there(tmp_path):
    names = prediction_logs.log_predictions(
        tmp_path, prediction_logs.make_prediction(5), prediction_logs.make_prediction(6)
    )
    folder = tmp_path / "predictions"
    closed = archive.seal_closed_segments(folder)
    archive.compact_segments(folder, closed, dt.datetime.now(dt.UTC).date() + dt.timedelta(days=1))
    for path in closed:
        path.unlink()
    assert samples.read_records_by_id(folder, names[1:], {"flight": pl.Int32()}).rows() == [(names[1], 6)]


def test_rows_are_found_as_profiles_count_them_but_those_that_are_not_in_the_log_or_cannot_be_read(tmp_path):
    entry = prediction_logs.make_prediction(5)
    whole = msgspec.structs.replace(entry, record={**entry.record, "temp": 50.0})
    odd = msgspec.structs.replace(entry, record={**entry.record, "temp": "warm"})
    names = prediction_logs.log_predictions(tmp_path, whole, odd)
    found, rows = samples.read_profile_rows(tmp_path / "predictions", [*names, "none"], LogFrameReader(schema))
    assert found.to_list() == names[:1]
    assert rows.select("temp", "penumbra.prediction", "penumbra.day").rows() == [(50.0, 0.5, DAY)]


def test_a_row_that_was_logged_before_the_contract_had_a_column_has_no_value_there(tmp_path):
    entry = prediction_logs.make_prediction(5)
    assert "temp" not in entry.record
    names = prediction_logs.log_predictions(tmp_path, entry)
    found, rows = samples.read_profile_rows(tmp_path / "predictions", names, LogFrameReader(schema))
    assert (found.to_list(), rows["temp"].to_list()) == (names, [None])


def test_rows_that_are_in_parquet_as_columns_are_found_as_such_and_the_others_as_lines(tmp_path, monkeypatch):
    entry = prediction_logs.make_prediction(5)
    warm, cold = (msgspec.structs.replace(entry, record={**entry.record, "temp": degrees}) for degrees in (50.0, 20.0))
    answered, folder = LogFrameReader(schema), tmp_path / "predictions"
    names = prediction_logs.log_predictions(tmp_path, warm)
    archive.compact_segments(folder, archive.seal_closed_segments(folder), dt.date.max, answered.read_archived)
    names += prediction_logs.log_predictions(tmp_path, cold)
    monkeypatch.setattr(LogFrameReader, "read_aligned", lambda self, lines: {1: aligned}[len(lines)](self, lines))
    found, rows = samples.read_profile_rows(folder, names, answered)
    assert dict(zip(found, rows["temp"], strict=True)) == dict(zip(names, [50.0, 20.0], strict=True))


aligned = LogFrameReader.read_aligned


def test_joined_rows_can_be_asked_for_by_id(tmp_path):
    names = prediction_logs.log_predictions(
        tmp_path, prediction_logs.make_prediction(5), prediction_logs.make_prediction(6)
    )
    assert join_labels(prediction_logs.make_updated_index(tmp_path), ids=names[:1])["id"].to_list() == names[:1]
