"""Batches of a query: each row in one, the same bytes in whatever order the database has them."""

import datetime as dt
import re
import sqlite3

import duckdb
import polars as pl
import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penumbra.sources import SqlQuery, TableFiles
from penumbra.sources.databases import fill_in_variables
from tests.helpers.servers.postgres_server import PASSWORD

TIMES = st.datetimes(dt.datetime(2023, 11, 1), dt.datetime(2024, 3, 31))


@pytest.fixture
def shop(tmp_path):
    """A database of DuckDB with three orders; returns its address."""
    with duckdb.connect(tmp_path / "shop.duckdb") as connection:
        connection.execute("create table orders (number integer, ordered timestamp, paid decimal(8, 2), note text)")
        connection.execute(
            "insert into orders values (3, '2024-03-05 12:00:00', 7.5, null), (1, '2024-01-31 23:59:59', 1.25, 'a:b'), "
            "(2, '2024-01-02 08:00:00', 2, '100 %')"
        )
    return f"duckdb:///{tmp_path}/shop.duckdb"


@pytest.mark.slow
def test_a_query_is_cut_into_periods_from_its_first_row_to_its_last(shop):
    source = SqlQuery(shop, "select * from orders", time="ordered")
    batches = source.batches()
    assert [(batch.name, batch.complete.isoformat()) for batch in batches] == [
        ("2024-01", "2024-02-01"),
        ("2024-02", "2024-03-01"),
        ("2024-03", "2024-04-01"),
    ]
    rows = [source.parse(source.fetch(batch.name)) for batch in batches]
    assert [each["number"].to_list() for each in rows] == [[1, 2], [], [3]]
    assert rows[0].schema["ordered"] == pl.Datetime("us")


@pytest.mark.slow
@settings(max_examples=10, deadline=None)
@given(st.lists(st.tuples(TIMES, st.integers(0, 3)), min_size=1, max_size=8), st.randoms())
def test_the_same_rows_give_the_same_bytes_in_any_order(rows, random):
    tables = [pl.DataFrame(each, orient="row", schema=["at", "n"]) for each in (rows, random.sample(rows, len(rows)))]
    written = ["values " + ", ".join(f"(timestamp '{time}', {n})" for time, n in table.rows()) for table in tables]
    sources = [
        SqlQuery("duckdb://", f"select * from ({query}) v(moment, n);", time="moment", period="quarter")
        for query in written
    ]
    names = [batch.name for batch in sources[0].batches()]
    assert [sources[0].fetch(name) for name in names] == [sources[1].fetch(name) for name in names]
    found = [row for name in names for row in sources[0].parse(sources[0].fetch(name)).rows()]
    assert sorted(found) == sorted(tables[0].rows())


def test_files_are_queried_without_a_database(tmp_path):
    (tmp_path / "orders.csv").write_text("n,day\n1,2024-01-02\n2,2024-02-03\n")
    source = SqlQuery("duckdb://", f"select * from '{tmp_path}/*.csv' -- all of them", time="day", period="quarter")
    assert [batch.name for batch in source.batches()] == ["2024-Q1"]
    assert source.parse(source.fetch("2024-Q1"))["day"].to_list() == [dt.datetime(2024, 1, 2), dt.datetime(2024, 2, 3)]


def test_periods_go_by_the_calendar_of_the_zone():
    query = "select timestamptz '2024-01-31 23:30:00+00' as moment"
    source = SqlQuery("duckdb://", query, time="moment", time_zone="Europe/Berlin")
    assert [batch.name for batch in source.batches()] == ["2024-02"]
    assert source.parse(source.fetch("2024-02"))["moment"].to_list() == [
        dt.datetime(2024, 1, 31, 23, 30, tzinfo=dt.UTC)
    ]


def test_any_database_that_sqlalchemy_reaches_is_a_source(tmp_path):
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        connection.execute('create table orders ("ordered at" text, note text, share real)')
        rows = [
            ("2024-01-31 23:59:59", "12:30 :x 5%", None),
            ("2024-02-01", None, 0.5),
            ("2024-02-01 00:00:00", "b", 1),
        ]
        connection.executemany("insert into orders values (?, ?, ?)", rows)
    connection.close()
    query = "select * from orders where note is null or note <> ':none'"
    source = SqlQuery(f"sqlite:///{tmp_path}/shop.db", query, time="ordered at")
    assert [batch.name for batch in source.batches()] == ["2024-01", "2024-02"]
    assert source.parse(source.fetch("2024-01")).rows() == [("2024-01-31T23:59:59", "12:30 :x 5%", None)]
    assert source.parse(source.fetch("2024-02")).rows() == [
        ("2024-02-01T00:00:00", None, 0.5),
        ("2024-02-01T00:00:00", "b", 1.0),
    ]


def test_postgresql_is_a_source(postgres, monkeypatch):
    address = postgres.create_database("orders_source")
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(
            "create table orders (id uuid default gen_random_uuid(), moment timestamptz, paid numeric(8, 2))"
        )
        connection.execute(
            "insert into orders (moment, paid) values ('2024-01-31 23:30+00', 1.25), ('2024-02-02', null)"
        )
    monkeypatch.setenv("ORDERS_PASSWORD", PASSWORD)
    query = "select id, moment, paid::text as paid from orders where moment::time <> '12:30'"
    url = address.replace(PASSWORD, "${ORDERS_PASSWORD}")
    source = SqlQuery(url, query, time="moment", period="day", time_zone="Europe/Berlin")
    assert [batch.name for batch in source.batches()] == ["2024-02-01", "2024-02-02"]
    assert source.fetch("2024-02-01") == source.fetch("2024-02-01")
    rows = source.parse(source.fetch("2024-02-01"))
    assert rows.drop("id").rows() == [(dt.datetime(2024, 1, 31, 23, 30, tzinfo=dt.UTC), "1.25")]
    assert rows.schema["id"] == pl.String
    twice = SqlQuery(url, "select moment, paid, paid from orders", time="moment")
    with pytest.raises(ValueError, match="the query of the source names a column twice: it has moment, paid, paid"):
        twice.fetch("2024-01")


@pytest.fixture
def events(tmp_path):
    """Writes texts of times into SQLite; returns a source of them."""

    def write(*times, **options):
        with sqlite3.connect(tmp_path / "events.db") as connection:
            connection.execute("create table events (at text, kind text)")
            connection.executemany("insert into events values (?, 'N/A')", [(time,) for time in times])
        connection.close()
        return SqlQuery(f"sqlite:///{tmp_path}/events.db", "select * from events", **{"time": "at", **options})

    return write


@pytest.mark.parametrize(
    ("zone", "days"),
    [
        (None, {"2024-03-31": 2, "2024-04-01": 2, "2024-04-02": 2}),
        ("Europe/Berlin", {"2024-03-31": 1, "2024-04-01": 3, "2024-04-02": 2}),
    ],
)
def test_periods_of_text_go_by_the_calendar_and_not_by_the_date_as_written(events, tmp_path, zone, days):
    times = ["2024-04-01T00:10:00-05:00", "2024-04-01T00:30:00+05:00", "2024-03-31T23:30:00Z", "2024-04-01 12:00:00+00"]
    times = [*times, "2024-04-01T23:00:00-08:00", "2024-04-02T09:00:00+02:00"]
    source = events(*times, period="day", time_zone=zone)
    found = {batch.name: source.parse(source.fetch(batch.name)).height for batch in source.batches()}
    (tmp_path / "events.csv").write_text("\n".join(["at", *times]))
    files = TableFiles(tmp_path / "events.csv", time="at", period="day", time_zone=zone)
    assert found == {batch.name: files.parse(files.fetch(batch.name)).height for batch in files.batches()} == days


def test_text_that_begins_with_a_date_and_is_no_time_is_in_one_batch(events):
    source = events("2024-01-05", "2024-01-31 late", "2024-02-30", "2024-03-01 00:00")
    found = {batch.name: source.parse(source.fetch(batch.name))["at"].to_list() for batch in source.batches()}
    assert found == {
        "2024-01": ["2024-01-05T00:00:00", "2024-01-31 late"],
        "2024-02": ["2024-02-30"],
        "2024-03": ["2024-03-01T00:00:00"],
    }


@pytest.mark.parametrize("odd", ["2023-1-5", "2023-03-5 10:00", "NULL", " 2023-03-05"])
def test_text_that_the_database_does_not_sort_by_time_is_refused(events, odd):
    with pytest.raises(ValueError, match=rf"has values from .*{odd}.*\(with leading zeros\)"):
        events("2023-01-01", odd, "2023-10-01").batches()


def test_a_period_without_rows_is_an_empty_frame_whatever_the_database(events):
    source = events("2024-01-05", "2024-03-05")
    assert [source.parse(source.fetch(name)).height for name in ("2024-01", "2024-02", "2024-03")] == [1, 0, 1]


def test_words_for_missing_values_are_null(events):
    source = events("2024-01-05", null_words=("", "N/A"))
    assert source.parse(source.fetch("2024-01")).rows() == [("2024-01-05T00:00:00", None)]


@pytest.mark.parametrize(
    "far",
    [
        "timestamp 'infinity'",
        "timestamptz '-infinity'",
        "date 'infinity'",
        "date '10000-01-01'",
        "timestamp '44-03-15 (BC)'",
    ],
)
def test_infinite_and_far_times_are_refused_as_time_of_a_row_and_missing_elsewhere(far):
    dtype = far.split()[0]
    rows = f"select {far} as ends, {dtype} '2024-01-05' as begins"
    with pytest.raises(ValueError, match="the column 'ends' of the query has values from an infinite or far time to"):
        SqlQuery("duckdb://", rows, time="ends").batches()
    source = SqlQuery("duckdb://", rows, time="begins")
    assert source.parse(source.fetch("2024-01"))["ends"].to_list() == [None]


def test_durations_of_duckdb_are_read():
    query = "select date '2024-01-05' as at, interval '90 minutes' as \"it \"\"took\"\"\", [interval '1 day'] as list"
    source = SqlQuery("duckdb://", query, time="at")
    rows = source.parse(source.fetch("2024-01"))
    assert rows.row(0)[1:] == (dt.timedelta(minutes=90), "[1 day]")


@pytest.mark.parametrize("end", [";", "; ;\n", ";\n-- done", "; -- a\n/* b;\n */ ;", " -- a; b"])
def test_what_ends_a_statement_is_no_part_of_the_query(end):
    assert len(SqlQuery("duckdb://", f"select date '2024-01-05' as at{end}", time="at").batches()) == 1


def test_a_query_without_rows_has_no_batches(shop):
    assert SqlQuery(shop, "select * from orders where number > 7", time="ordered").batches() == []


def test_secrets_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("SHOP_PASSWORD", "p@ss/w:rd")
    assert fill_in_variables("postgresql://me:${SHOP_PASSWORD}@host/shop") == "postgresql://me:p%40ss/w:rd@host/shop"
    monkeypatch.setenv("SHOP_URL", "postgresql://me:p%40ss@host/shop")
    assert fill_in_variables("${SHOP_URL}") == "postgresql://me:p%40ss@host/shop"


@pytest.mark.parametrize(
    ("url", "query", "error", "words"),
    [
        ("{shop}", "select * from nothing", ValueError, "the query of the source fails: Catalog Error"),
        (
            "{shop}",
            "select note as ordered from orders",
            ValueError,
            "values from '100 %' to 'a:b': expected timestamps",
        ),
        (
            "{shop}",
            "select number as ordered from orders",
            ValueError,
            "values from 1 to 3: expected timestamps, dates",
        ),
        ("{shop}", "select number from orders", ValueError, "the query of the source fails: Binder Error"),
        ("duckdb:///gone.duckdb", "select 1", FileNotFoundError, "there is no database"),
        ("sqlite:///gone.db", "select 1", FileNotFoundError, "there is no database"),
        ("orders", "select 1", ValueError, "'orders' is no address of a database: expected dialect://"),
        (
            "oracle://me@host/shop",
            "",
            ValueError,
            "oracle://me@host/shop takes a driver that isn't installed: No module",
        ),
        ("abacus://host/shop", "", ValueError, "abacus://host/shop takes a driver that isn't installed: Can't load"),
        ("postgresql://me:${GONE}@host/shop", "", ConnectionError, "the environment variable GONE isn't set, which"),
        (
            "postgresql://me:secret@127.0.0.1:1/shop",
            "",
            ConnectionError,
            "postgresql://me:***@127.0.0.1:1/shop can't be",
        ),
    ],
)
def test_what_is_wrong_is_named_without_secrets(shop, monkeypatch, url, query, error, words):
    monkeypatch.setenv("GONE", "")
    with pytest.raises(error, match=re.escape(words)) as raised:
        SqlQuery(url.replace("{shop}", shop), query, time="ordered").batches()
    assert "secret" not in str(raised.value)


def test_a_batch_without_its_file_is_refused(shop):
    with pytest.raises(ValueError, match=r"file rows\.parquet is missing; the batch has other\.csv"):
        SqlQuery(shop, "select * from orders", time="ordered").parse({"other.csv": b""})


def test_a_batch_without_the_time_column_is_refused(shop):
    files = SqlQuery(shop, "select * from orders", time="ordered").fetch("2024-01")
    with pytest.raises(
        ValueError, match=r"rows\.parquet has no column 'moment': expected one of number, ordered, paid"
    ):
        SqlQuery(shop, "", time="moment").parse(files)


def test_an_option_of_another_type_is_refused_at_once():
    with pytest.raises(ValueError, match=r"SqlQuery\(…\) with null_words = 'NA': expected a list of texts"):
        SqlQuery("duckdb://", "select 1", time="at", null_words="NA")
