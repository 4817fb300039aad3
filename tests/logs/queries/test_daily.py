"""What was asked, by the day of the row's own time."""

import datetime as dt
from pathlib import Path

import msgspec
import pytest

from penumbra.logs.archiving import archive
from penumbra.logs.queries import labels, shadow
from penumbra.logs.queries.daily import DAY_IDS_QUERY, count_daily_answers, read_day_records, summarise_broken_records
from penumbra.logs.schema import BrokenCountEntry, get_broken_counts_folder
from problem import schema
from tests.helpers.logs.local_shadow import log_entries, make_entry
from tests.helpers.logs.prediction_logs import MORNING, append_to_new_segment, make_prediction, make_updated_index

DAY = dt.date(2013, 4, 1)
NEXT = DAY + dt.timedelta(1)


def test_records_come_with_the_contracts_columns_and_types(tmp_path: Path) -> None:
    log_entries(tmp_path, make_entry(100), make_entry(200, temp=None))
    found = read_day_records(make_updated_index(tmp_path), DAY, schema)
    assert found.columns == list(schema.Row.columns())
    assert found["distance"].to_list() == [100, 200]
    assert found["temp"].to_list() == [55.4, None]
    assert found["time_hour"].dt.date().unique().to_list() == [DAY]


def test_a_row_counts_to_the_day_of_its_own_time_not_of_the_answer(tmp_path: Path) -> None:
    log_entries(tmp_path, make_entry(100), make_entry(200, time_hour="2013-04-02T00:00:00Z"))
    index = make_updated_index(tmp_path)
    assert read_day_records(index, DAY, schema)["distance"].to_list() == [100]
    assert read_day_records(index, NEXT, schema)["distance"].to_list() == [200]


def test_the_last_microsecond_there_is_counts_to_its_day(tmp_path: Path) -> None:
    answer = make_prediction(1)
    far = {**answer.record, "time_hour": "9999-12-31T23:59:59.999999Z"}
    append_to_new_segment(tmp_path / "predictions", [msgspec.structs.replace(answer, record=far)])
    index = make_updated_index(tmp_path)
    assert count_daily_answers(index)["day"].to_list() == [dt.date.max]
    assert labels.compute_label_coverage(index, "day", 24)["day"].to_list() == ["9999-12-31"]


def test_what_is_in_parquet_only_is_found_too(tmp_path: Path) -> None:
    log_entries(tmp_path, make_entry(100), make_entry(200))
    index, log = make_updated_index(tmp_path), tmp_path / "predictions"
    archive.compact_segments(log, archive.seal_closed_segments(log), dt.date(2100, 1, 1))
    archive.delete_archived_files(log, "", dt.datetime(2100, 1, 2, tzinfo=dt.UTC))
    assert not list(log.glob("*.jsonl"))
    assert read_day_records(index, DAY, schema)["distance"].to_list() == [100, 200]


@pytest.mark.parametrize("value", ["far", 1_000_000])
def test_what_does_not_fit_its_column_is_missing(tmp_path: Path, value: object) -> None:
    odd = {"carrier": "UA", "flight": 1, "time_hour": "2013-04-01T12:00:00Z", "distance": value}
    line = {"time": MORNING, "contract": "c", "record": odd, "inputs": [], "output": 0.5, "decision": True}
    append_to_new_segment(tmp_path / "predictions", [{**line, "model": "1", "micros": 8}])
    assert read_day_records(make_updated_index(tmp_path), DAY, schema)["distance"].to_list() == [None]


def test_where_nothing_was_asked_there_are_no_rows(tmp_path: Path) -> None:
    assert read_day_records(make_updated_index(tmp_path), DAY, schema).is_empty()


def test_of_very_many_rows_some_are_read_the_same_ones_each_time(tmp_path: Path) -> None:
    log_entries(tmp_path, *(make_entry(distance) for distance in range(100, 110)))
    index = make_updated_index(tmp_path)
    first, second = (read_day_records(index, DAY, schema, most=4)["distance"].to_list() for _ in range(2))
    assert first == second
    assert len(first) == 4


def test_rows_are_counted_by_day_and_model(tmp_path: Path) -> None:
    log_entries(tmp_path, make_entry(100), make_entry(200), make_entry(300, time_hour="2013-04-02T00:00:00Z"))
    assert count_daily_answers(make_updated_index(tmp_path)).rows() == [(DAY, "1", 2), (NEXT, "1", 1)]


def test_what_broke_the_contract_is_counted_by_day_of_arrival(tmp_path: Path) -> None:
    folder = get_broken_counts_folder(tmp_path / "predictions")
    append_to_new_segment(
        folder,
        [BrokenCountEntry(MORNING, 3, {"temp": 3, "dewp": 1}), BrokenCountEntry(MORNING, 2, {"dewp": 1, "temp": 1})],
    )
    log_entries(tmp_path, make_prediction(1))
    assert summarise_broken_records(make_updated_index(tmp_path), schema).rows() == [(DAY, 5, "temp", 1)]


def test_names_that_the_contract_doesn_t_have_are_counted_together(tmp_path: Path) -> None:
    folder = get_broken_counts_folder(tmp_path / "predictions")
    append_to_new_segment(folder, [BrokenCountEntry(MORNING, 3, {"<b id=marker>": 2, "colour": 2, "temp": 3})])
    assert summarise_broken_records(make_updated_index(tmp_path), schema)["field"].to_list() == ["penumbra.unknown"]


def test_where_nothing_broke_the_contract_there_are_no_refusals(tmp_path: Path) -> None:
    assert summarise_broken_records(make_updated_index(tmp_path), schema).is_empty()


@pytest.mark.parametrize("query", [DAY_IDS_QUERY, labels.ANSWERS_WITH_TARGETS_QUERY, shadow.PAIRED_OUTPUTS_QUERY])
def test_a_day_is_found_without_reading_the_others(tmp_path: Path, query: str) -> None:
    with make_updated_index(tmp_path).open() as db:
        steps = [step for *_, step in db.execute(f"EXPLAIN QUERY PLAN {query}", [0] * query.count("?"))]
    assert "INDEX predictions_by_event (event>? AND event<?)" in steps[0]
    assert not [step for step in steps if step.startswith("SCAN")]
