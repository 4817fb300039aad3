"""Tables are scored as problem/source.py reads its own: their layout, their time, and the values of their text."""

import datetime as dt
from types import SimpleNamespace

import dataframely as dy
import polars as pl
import pytest

from flows.steps.score.parts.record_check import RecordCheck, RowsRefused
from flows.steps.score.receipts import BROKEN_CONTRACT, UNREADABLE, NothingAnswered, format_receipts, require_answers
from flows.steps.score.score_order import ScoreRefused, make_order
from penumbra.core.settings import load_settings
from penumbra.sources import SqlQuery, TableFiles, read_numbers
from penumbra.sources.row_reading import RowReading, find_row_reading
from problem import schema
from problem import source as flights_source
from tests.flows.score.scored_flights import make_flights, score_files, write_flights
from tests.helpers.servers import local_service

NOW = dt.datetime(2026, 3, 1, 12, 30, tzinfo=dt.UTC)


class Row(dy.Schema):
    """A car that is for sale."""

    year = dy.Datetime()
    miles = dy.Float64(nullable=True)


class Labelled(Row):
    """With its price."""

    price = dy.Float64(nullable=True)


CARS = SimpleNamespace(Row=Row, Labelled=Labelled, CHECKS=())


def read_cars(source, rows, *conversions, name="new.csv"):
    """The rows that keep the contract, and the reasons of the others."""
    problem = SimpleNamespace(source=SimpleNamespace(parse=source.parse, CONVERSIONS=conversions))
    checked = RecordCheck(CARS, find_row_reading(problem)).check(pl.DataFrame(rows), 0, name, NOW)
    return checked.good.rows(), checked.rejected["penumbra.broken"].to_list()


def test_times_are_read_in_the_form_of_the_source_and_as_requests_have_them():
    source = TableFiles("cars.csv", time="year", time_format="%Y")
    rows = {"year": ["1987", "1988-02-01T00:00:00", "87?"], "miles": ["1", "2", "3"]}
    found, reasons = read_cars(source, rows)
    assert found == [(dt.datetime(1987, 1, 1), 1.0), (dt.datetime(1988, 2, 1), 2.0)]
    assert reasons == [["year|dtype"]]


def test_conversions_hold_for_text_also_where_the_outcome_is_missing():
    source = TableFiles("cars.csv", time="year", time_format="%Y")
    conversion = read_numbers("miles", "price", decimal=",", thousands=".")
    assert read_cars(source, {"year": ["1987"], "miles": ["1.234,5"]}, conversion)[0][0][1] == 1234.5
    assert read_cars(source, {"year": ["1987"], "miles": [1234.5]}, conversion)[0][0][1] == 1234.5
    assert read_cars(source, {"year": ["1987"], "miles": ["many"]}, conversion) == ([], [["miles|dtype"]])


def test_rows_without_time_get_that_of_scoring_where_the_source_makes_days_up():
    rows = {"miles": ["1"]}
    assert read_cars(TableFiles("cars.csv", time="year", rows_per_day=7), rows)[0] == [(NOW.replace(tzinfo=None), 1.0)]
    with pytest.raises(RowsRefused, match="has no column year"):
        read_cars(TableFiles("cars.csv", time="year"), rows)


def test_of_a_column_that_the_sources_query_makes_a_table_that_lacks_it_is_told_to_be_queried_too():
    rows = {"miles": ["1"]}
    with pytest.raises(RowsRefused, match=r"no column year; it has miles; .* score a query that makes such a column"):
        read_cars(SqlQuery("duckdb://", "select make_date(y, 1, 1) as year, * from 'cars.csv'", time="year"), rows)


def test_tables_are_read_as_the_sources_files_where_a_parse_of_its_own_stands_beside_it():
    source = TableFiles("cars.csv", time="year", time_format="%Y", separator=";", encoding="cp1252")
    own = SimpleNamespace(parse=lambda files: source.parse(files), fetch=source.fetch, CONVERSIONS=())
    reading = find_row_reading(SimpleNamespace(source=own))
    assert (reading.layout.separator, reading.encoding) == (";", "cp1252")
    check = RecordCheck(CARS, reading)
    assert check.check(pl.DataFrame({"year": ["1987"]}), 0, "new.csv", NOW).good["year"].item() == dt.datetime(
        1987, 1, 1
    )
    with pytest.raises(
        RowsRefused, match=r"no column year; it has built; parse\(\) of problem/source.py is for batches"
    ):
        check.check(pl.DataFrame({"built": ["1987"]}), 0, "new.csv", NOW)


def test_a_conversion_joins_the_names_of_a_column_that_was_renamed():
    source = TableFiles("cars.csv", time="year", time_format="%Y")
    joined = pl.coalesce("^(miles|Meilen)$").alias("miles")
    for name in ("miles", "Meilen"):
        assert read_cars(source, {"year": ["1987"], name: ["7"]}, joined)[0] == [(dt.datetime(1987, 1, 1), 7.0)]


def test_rows_of_dated_files_get_the_date_of_their_name():
    source = TableFiles("cars/", time="year", dated_names=True)
    assert read_cars(source, {"miles": ["1"]}, name="cars-2024-03-05.csv")[0] == [(dt.datetime(2024, 3, 5), 1.0)]
    with pytest.raises(ValueError, match="has no date in its name"):
        read_cars(source, {"miles": ["1"]}, name="cars.csv")


def test_a_conversion_that_fails_is_named():
    source = TableFiles("cars.csv", time="year")
    with pytest.raises(RowsRefused, match=r"CONVERSIONS of problem/source\.py fail for new\.csv"):
        read_cars(source, {"year": ["1987-01-01"], "miles": ["1"]}, pl.col("kilometres") * 2)


def make_source_order(*reading, **options):
    """An order of a project that has such a source."""
    source = TableFiles("cars.csv", time="year", **options)
    problem = SimpleNamespace(source=SimpleNamespace(parse=source.parse, CONVERSIONS=()))
    return make_order(load_settings().score, "in.csv", "out.csv", "", problem, *reading)


def test_an_order_reads_files_as_the_source_but_for_what_it_says():
    options = {"separator": ";", "encoding": "cp1252", "null_words": ("", "NA"), "quote": "'"}
    order = make_source_order(**options)
    assert (order.layout.separator, order.layout.quote, order.layout.null_words) == (";", "'", ("", "NA"))
    assert order.encoding == "cp1252"
    own = make_source_order("\t", None, "utf-8", ["?"], **options)
    assert (own.layout.separator, own.layout.null_words, own.encoding) == ("\t", ("", "NA", "?"), "utf-8")
    with pytest.raises(ScoreRefused, match="expected one ASCII character"):
        make_source_order("||")


def test_a_table_is_scored_anew_once_its_time_is_read_in_another_form():
    assert make_source_order().identify("content") == make_source_order().identify("content")
    assert make_source_order(time_format="%Y").identify("content") != make_source_order().identify("content")


def test_a_query_is_a_source_too_and_functions_leave_rows_as_they_are():
    query = SqlQuery("duckdb://", "select 1", time="year", null_words=("", "NA"))
    assert query.row_reading.layout.null_words == ("", "NA")
    assert find_row_reading(SimpleNamespace(source=flights_source)) == RowReading()


@pytest.mark.slow
def test_a_table_without_an_answer_is_refused_the_second_time_too(tmp_path):
    local_service.deploy_version(tmp_path, "1", baseline=0.25)
    flights = make_flights(3).with_columns(distance=pl.lit("far"))
    source = write_flights(tmp_path / "in.csv", flights)
    for repeated in (False, True):
        scored = score_files(tmp_path, source)
        said = "\n".join(format_receipts(scored, schema))
        assert said.startswith("in.csv: no row answered")
        assert ("as on" in said) == repeated
        assert "3 rows without an answer (distance|dtype 3)" in said
        assert said.endswith(f"  {BROKEN_CONTRACT}{UNREADABLE}")
        with pytest.raises(NothingAnswered, match=r"no row of in\.csv has an answer"):
            require_answers(scored)


@pytest.mark.slow
def test_rows_without_an_answer_are_named_the_second_time_too(tmp_path):
    local_service.deploy_version(tmp_path, "1", baseline=0.25)
    far = pl.when(pl.int_range(pl.len()) == 1).then(pl.lit("far")).otherwise("distance").alias("distance")
    source = write_flights(tmp_path / "in.csv", make_flights(3).with_columns(far))
    score_files(tmp_path, source)
    nothing_new, rejected, expected, _ = format_receipts(score_files(tmp_path, source), schema)
    assert nothing_new.startswith("in.csv: nothing new, scored on ")
    where = tmp_path / "scores.rejected.parquet"
    assert rejected == f"  1 row is still without an answer (distance|dtype 1), in {where}"
    assert expected == "  expected: distance a whole number that Int16 holds, such as 7"


@pytest.mark.slow
def test_what_a_rule_of_the_contract_expects_is_told_with_its_name(tmp_path):
    local_service.deploy_version(tmp_path, "1", baseline=0.25)
    late = pl.when(pl.int_range(pl.len()) == 0).then(2400).otherwise("sched_dep_time")
    flights = make_flights(3).with_columns(sched_dep_time=late)
    said = "\n".join(format_receipts(score_files(tmp_path, write_flights(tmp_path / "in.csv", flights)), schema))
    assert "(sched_dep_time|max 1)" in said
    assert "  expected: sched_dep_time at most 2359\n" in said


@pytest.mark.slow
def test_sentences_call_the_rows_of_a_query_the_query(tmp_path):
    local_service.deploy_version(tmp_path, "1", baseline=0.25)
    source = write_flights(tmp_path / "in.parquet", make_flights(3))
    scored = score_files(tmp_path, f"select * from '{source}'")
    assert next(format_receipts(scored, schema)).startswith("the query: 3 of 3 rows answered by version 1")
    with pytest.raises(RowsRefused, match="the query has no column dest"):
        score_files(tmp_path, f"select * exclude dest from '{source}'", "others.parquet")
