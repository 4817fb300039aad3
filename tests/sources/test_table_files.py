"""Batches of tables in files: every row once, the same bytes every time, and whatever was there stays as it was."""

import csv
import datetime as dt
import io
import re
import tempfile
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penumbra.core.raw_files import write_raw_files
from penumbra.sources import TableFiles, table_files
from penumbra.sources.tables import table_runs
from penumbra.sources.tables.locations import find_table_files
from tests.helpers.problems.table_sources import ORDERS_CSV, read_batches

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)
TIMES = st.datetimes(dt.datetime(2023, 11, 1), dt.datetime(2024, 3, 31)).map(lambda time: time.isoformat()[:19])
ROWS = st.lists(st.tuples(TIMES | st.sampled_from(["soon", ""]), TEXT, TEXT), min_size=1, max_size=12)


def write_record(values, ending, separator=","):
    """A record as a program writes it, with quotation marks where they are needed."""
    target = io.StringIO(newline="")
    csv.writer(target, delimiter=separator, lineterminator=ending).writerow(values)
    return target.getvalue().encode()


def find_months(rows):
    """The month that each row belongs to: its own, or that of a neighbour where it has no time."""
    months = [time[:7] if re.match(r"\d", time) else None for time, *_ in rows]
    for n in range(1, len(months)):
        months[n] = months[n] or months[n - 1]
    for n in reversed(range(len(months) - 1)):
        months[n] = months[n] or months[n + 1]
    return months


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(
    ROWS, st.sampled_from(["\n", "\r\n"]), st.sampled_from([",", ";", "\t"]), st.sampled_from([b"", b"\xef\xbb\xbf"])
)
def test_every_row_of_a_csv_file_is_in_one_batch_as_it_stands(rows, ending, separator, bom):
    header = bom + write_record(["at", "this", "that"], ending, separator)
    records = [write_record(row, ending, separator) for row in rows]
    months = find_months(rows)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.csv")
        path.write_bytes(header + b"".join(records))
        source = TableFiles(path, time="at", separator=separator)
        if None in months:
            with pytest.raises(ValueError, match="expected a time such as 2024-03-01T12:00:00"):
                source.batches()
            return
        assert [batch.name for batch in source.batches()] == sorted(set(months))
        for month in set(months):
            mine = [n for n, each in enumerate(months) if each == month]
            assert source.fetch(month) == {"rows.csv": header + b"".join(records[n] for n in mine)}
            read = source.parse(source.fetch(month))
            assert read.columns == ["at", "this", "that"]
            expected = [tuple(value or None for value in rows[n]) for n in mine]
            assert [tuple(value or None for value in row) for row in read.rows()] == expected


@pytest.mark.slow
@given(ROWS, st.booleans(), TIMES)
def test_earlier_batches_of_a_file_that_grows_stay_as_they_were(rows, ends_in_newline, time):
    rows = [(time, "a", "b"), *rows]
    content = b"at,this,that\n" + b"".join(write_record(row, "\n") for row in rows)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.csv")
        path.write_bytes(content if ends_in_newline else content.removesuffix(b"\n"))
        source = TableFiles(path, time="at")
        before = {batch.name: source.fetch(batch.name) for batch in source.batches()}
        path.write_bytes(content + b"2024-04-01T00:00:00,new,row\n")
        assert {name: source.fetch(name) for name in before} == before
        assert source.batches()[-1].name == "2024-04"


@pytest.mark.slow
@pytest.mark.parametrize("period", ["day", "week", "month", "quarter", "year"])
@given(
    rows=st.lists(
        st.tuples(st.datetimes(dt.datetime(1990, 1, 1), dt.datetime(2030, 1, 1)) | st.none(), TEXT), min_size=1
    )
)
def test_every_row_of_a_parquet_file_is_in_one_batch(period, rows):
    table = pl.DataFrame(rows, orient="row", schema={"at": pl.Datetime("us", "Europe/Berlin"), "text": pl.String})
    if table["at"].null_count() == table.height:
        return
    with tempfile.TemporaryDirectory() as folder:
        table.write_parquet(Path(folder, "rows.parquet"))
        source = TableFiles(Path(folder), time="at", period=period, time_zone="Europe/Berlin")
        found = read_batches(source)
        assert sum(rows.height for rows in found.values()) == table.height
        assert sorted(pl.concat(found.values()).select(pl.col("at").dt.epoch(), "text").rows(), key=repr) == sorted(
            table.select(pl.col("at").dt.epoch(), "text").rows(), key=repr
        )
        for batch in source.batches():
            days = found[batch.name]["at"].dt.convert_time_zone("Europe/Berlin").dt.date().drop_nulls()
            assert days.is_empty() or days.max() < batch.complete


def test_fetching_twice_gives_the_same_bytes_in_another_process_too(tmp_path):
    pl.DataFrame({"at": [dt.date(2024, 1, 2), dt.date(2024, 2, 3)], "n": [1, 2]}).write_parquet(
        tmp_path / "rows.parquet"
    )
    sources = [TableFiles(tmp_path / "rows.parquet", time="at") for _ in range(2)]
    assert sources[0].fetch("2024-02") == sources[1].fetch("2024-02")


def test_a_period_without_rows_is_no_batch_and_each_is_complete_the_day_after_it(tmp_path):
    (tmp_path / "orders.csv").write_text(ORDERS_CSV + "4,2024-12-24,d\n")
    batches = TableFiles(tmp_path / "orders.csv", time="ordered_at").batches()
    assert [(batch.name, batch.complete.isoformat()) for batch in batches] == [
        ("2024-01", "2024-02-01"),
        ("2024-02", "2024-03-01"),
        ("2024-12", "2025-01-01"),
    ]


def test_the_time_column_is_read_by_the_contract_whatever_its_form(tmp_path):
    (tmp_path / "orders.csv").write_text("at\n31.01.2024 23:30\n01.02.2024 00:15\n99.99.2024\n")
    source = TableFiles(tmp_path / "orders.csv", time="at", time_format="%d.%m.%Y %H:%M", time_zone="Europe/Berlin")
    assert {name: rows["at"].to_list() for name, rows in read_batches(source).items()} == {
        "2024-01": ["2024-01-31T22:30:00Z"],
        "2024-02": ["2024-01-31T23:15:00Z", "99.99.2024"],
    }


def test_each_file_may_be_a_batch(tmp_path):
    (tmp_path / "2024-w1.csv").write_text("at\n2024-01-02\n2024-01-05\n")
    (tmp_path / "2024-w2.csv").write_text("at\n2024-01-09\n\n")
    source = TableFiles(tmp_path, time="at", period="file")
    found = [(batch.name, batch.complete.isoformat()) for batch in source.batches()]
    assert found == [("2024-w1", "2024-01-06"), ("2024-w2", "2024-01-10")]
    assert source.fetch("2024-w2") == {"2024-w2.csv": b"at\n2024-01-09\n\n"}


def test_the_date_in_a_name_may_be_the_time_of_its_rows(tmp_path):
    (tmp_path / "orders-2024-03-05.csv").write_text("n\n1\n")
    (tmp_path / "orders-20240401.csv").write_text("n\n2\n")
    source = TableFiles(tmp_path, time="day", dated_names=True)
    assert {name: rows.rows() for name, rows in read_batches(source).items()} == {
        "2024-03": [("1", "2024-03-05T00:00:00")],
        "2024-04": [("2", "2024-04-01T00:00:00")],
    }


def test_rows_without_any_time_are_dealt_to_made_up_days_in_their_order(tmp_path):
    (tmp_path / "a.csv").write_text("n\n" + "".join(f"{n}\n" for n in range(3)))
    (tmp_path / "b.csv").write_text("n\n" + "".join(f"{n}\n" for n in range(3, 65)))
    source = TableFiles(tmp_path, time="day", rows_per_day=2)
    found = read_batches(source)
    assert [rows.height for rows in found.values()] == [62, 3]
    assert found["2000-01"].select("n", pl.col("day").str.head(10)).rows()[:5] == [
        ("0", "2000-01-01"),
        ("1", "2000-01-01"),
        ("2", "2000-01-02"),
        ("3", "2000-01-02"),
        ("4", "2000-01-03"),
    ]


@pytest.mark.parametrize(
    ("content", "options", "words"),
    [
        ("n,when\n1,2024-01-02\n", {}, "orders.csv has no column 'at': expected one of n, when"),
        ("at,n,n\n", {}, "orders.csv has n more than once: expected a name of its own for each column"),
        ("", {}, "orders.csv is empty: expected a header line"),
        ("at,n\r2024-01-02,1\r", {}, "orders.csv ends its lines with CR alone: expected LF or CRLF"),
        ("at\nsoon\n", {}, "no value of the column 'at' of orders.csv is a time, the first is 'soon': expected a time"),
        ("at\n\n", {"columns": ("at", "n")}, "no value of the column 'at' of orders.csv is a time, the first is 'at'"),
        ('at,n\n2024-01-02,1\n2024-01-03,"2\n', {}, "orders.csv, line 3: a quotation mark isn't closed"),
        ("at\n2024-01-02\n", {"time_format": "%d.%m.%Y"}, "expected a time written as '%d.%m.%Y'"),
        ("at\n2024-01-02\n", {"dated_names": True}, "orders.csv has no date in its name: expected one such as"),
        (
            "größe,at\n1,2024-01-02\n".encode("cp1252"),
            {},
            "orders.csv, line 1: byte 0xf6 isn't UTF-8: expected the enc",
        ),
        ("größe,at\n1,2024-01-02\n", {"encoding": "ascii"}, "orders.csv isn't in ascii: 'ascii' codec can't"),
        (
            "größe,at\n1,2024-01-02\n",
            {"encoding": "utf-16"},
            "orders.csv isn't in utf-16: UTF-16 stream does not start with BOM; expected its",
        ),
        (
            "größe,at\n1,2024-01-02\n",
            {"encoding": "cp1252"},
            "orders.csv isn't in cp1252, as all that isn't ASCII in it",
        ),
        (
            "\ufeffat,n\n2024-01-02,1\n",
            {"encoding": "latin-1"},
            'expected encoding="utf-8" in the source, or --encoding',
        ),
        ("n;at\n1;2024-01-02\n", {}, "expected one of n;at; ';' separates the names: expected separator=';' in the"),
        ("n,at\n1,2024-01-02\n", {"separator": "\t"}, "expected one of 'n,at'; ',' separates the names"),
        ("at;n\n2024-01-02;1,5\n", {"columns": ()}, "--separator ';'"),
    ],
)
def test_what_is_wrong_with_a_file_is_named_with_what_was_expected(tmp_path, content, options, words):
    (tmp_path / "orders.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=re.escape(words)):
        TableFiles(tmp_path / "orders.csv", time="at", **options).batches()


@pytest.mark.parametrize(
    ("encoding", "words"), [("cp1252", ["Größe", "Ã¤", "naïve"]), ("cp1251", ["дом", "Щука"]), ("gbk", ["联通"])]
)
def test_text_in_its_own_encoding_is_read_though_some_of_it_may_be_utf_8(tmp_path, encoding, words):
    (tmp_path / "orders.csv").write_text("at,n\n" + "".join(f"2024-01-02,{word}\n" for word in words), encoding)
    source = TableFiles(tmp_path / "orders.csv", time="at", encoding=encoding)
    assert source.parse(source.fetch("2024-01"))["n"].to_list() == words


def test_a_batch_that_is_not_there_is_refused_with_those_that_are(tmp_path):
    (tmp_path / "orders.csv").write_text(ORDERS_CSV)
    source = TableFiles(tmp_path / "orders.csv", time="ordered_at")
    with pytest.raises(ValueError, match="there is no batch '2031-01': expected one of 2024-01, 2024-02"):
        source.fetch("2031-01")
    with pytest.raises(ValueError, match="batch 'new' is no month: expected a name such as 2024-04"):
        source.fetch("new")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"period": "hour"}, "period = 'hour': expected one of day, week, month, quarter, year, file"),
        ({"rows_per_day": 0}, "rows_per_day needs a number of rows from 1 on"),
        ({"separator": "::"}, "separator and quote are one character each"),
        ({"encoding": "idna"}, "encoding = 'idna': expected one of Python's, such as 'cp1252'"),
        ({"encoding": "utf-88"}, "encoding = 'utf-88': expected one of Python's, such as 'cp1252'"),
        ({"time_zone": "Berlin"}, "time_zone = 'Berlin': expected a name such as 'Europe/Berlin'"),
        ({"null_words": "NA"}, r"TableFiles\(…\) with null_words = 'NA': expected a list of texts"),
        ({"null_words": {"NA", "-"}}, "expected a list of texts"),
        ({"columns": ["at", None]}, "columns = \\['at', None\\]: expected a list of texts"),
        ({"trim_blanks": "no"}, "trim_blanks = 'no': expected True or False"),
        ({"rows_per_day": "5"}, "rows_per_day = '5': expected a whole number"),
        ({"separator": None}, "separator = None: expected a text"),
        ({"rows_per_day": 5, "dated_names": True}, "rows_per_day and dated_names exclude each other"),
    ],
)
def test_an_option_that_is_none_is_refused_at_once(options, words):
    with pytest.raises(ValueError, match=words):
        TableFiles("orders.csv", time="at", **options)


@pytest.mark.parametrize("paths", ["", [], ["orders.csv", ""], {"a.csv", "b.csv"}])
def test_no_path_is_refused_in_place_of_the_whole_project_folder(paths):
    with pytest.raises(ValueError, match=r"paths = .*: expected a"):
        TableFiles(paths, time="at")
    with pytest.raises(FileNotFoundError, match="an empty path leads to no file"):
        find_table_files([""])


@pytest.mark.parametrize("period", ["month", "file"])
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_what_is_large_is_fetched_in_pieces_and_parsed_from_its_path(tmp_path, monkeypatch, suffix, period):
    times = [dt.datetime(2024, 1 + n % 2, 1 + n % 28) for n in range(500)]
    table = pl.DataFrame({"n": range(500), "at": times, "share": [0.5, float("nan")] * 250})
    path = tmp_path / f"rows.{suffix}"
    (table.write_csv if suffix == "csv" else table.write_parquet)(path)
    source = TableFiles(path, time="at", period=period)
    name = source.batches()[-1].name
    whole = source.fetch(name)
    expected = source.parse(whole)
    for module in (table_runs, table_files):
        monkeypatch.setattr(module, "LARGE_BYTES", 100)
    pieces = source.fetch(name)
    assert not any(isinstance(content, bytes) for content in pieces.values())
    files = write_raw_files(tmp_path / "raw", pieces)
    rows = source.parse(files)
    assert isinstance(rows, pl.LazyFrame)
    assert rows.collect().equals(expected)
    assert expected.height == (250 if period == "month" else 500)
    assert suffix == "parquet" or dict(files) == whole


def get_fingerprints(source):
    return {batch.name: batch.fingerprint for batch in source.batches()}


def test_the_fingerprint_of_a_batch_is_another_when_one_of_its_files_has_changed(tmp_path):
    for month in ("2024-01", "2024-02"):
        (tmp_path / f"{month}.csv").write_text(f"at,n\n{month}-03,1\n")
    source = TableFiles(tmp_path, time="at")
    before = get_fingerprints(source)
    assert get_fingerprints(TableFiles(tmp_path, time="at")) == before
    (tmp_path / "2024-02.csv").write_text("at,n\n2024-02-03,20\n")
    after = get_fingerprints(source)
    assert after["2024-01"] == before["2024-01"]
    assert after["2024-02"] != before["2024-02"]


def test_where_days_are_made_up_a_change_of_an_earlier_file_is_one_of_the_later_batches(tmp_path):
    (tmp_path / "a.csv").write_text("n\n1\n")
    (tmp_path / "b.csv").write_text("n\n2\n")
    source = TableFiles(tmp_path, time="day", rows_per_day=1, period="day")
    first = get_fingerprints(source)
    (tmp_path / "b.csv").write_text("n\n30\n")
    second = get_fingerprints(source)
    (tmp_path / "a.csv").write_text("n\n10\n")
    third = get_fingerprints(source)
    assert first["2000-01-01"] == second["2000-01-01"] != third["2000-01-01"]
    assert len({each["2000-01-02"] for each in (first, second, third)}) == 3


def test_a_file_whose_name_is_not_utf_8_is_named(tmp_path):
    (tmp_path / "caf\udce9.csv").write_text("at\n2024-03-01\n")
    with pytest.raises(ValueError, match=r"the name of the file 'caf\\udce9.csv' isn't UTF-8: rename it"):
        TableFiles(tmp_path, time="at").batches()
