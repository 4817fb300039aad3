"""Files are read as one table, or refused by name: nothing is read twice, left out, or in another encoding."""

import datetime as dt

import polars as pl
import pytest

from penumbra.drafting.draft import DraftRefused
from penumbra.drafting.reading.tables import open_table

UMLAUTS, PLAIN = "city,n\nMünchen,1\n", "city,n\nBonn,2\n"


def read_folder(folder):
    """The rows of all files in a folder, and the options of their source."""
    with open_table(str(folder), "") as table:
        return table.rows.collect().rows(), dict(table.options)


def test_files_in_ascii_are_read_with_those_of_one_encoding(tmp_path):
    (tmp_path / "a.csv").write_text(PLAIN)
    (tmp_path / "b.csv").write_bytes(UMLAUTS.encode("cp1252"))
    assert read_folder(tmp_path) == ([("Bonn", "2"), ("München", "1")], {"encoding": "cp1252"})
    (tmp_path / "b.csv").write_bytes(UMLAUTS.encode())
    assert read_folder(tmp_path) == ([("Bonn", "2"), ("München", "1")], {})


@pytest.mark.parametrize(
    ("first", "second"), [("cp1252", "utf-8"), ("utf-8", "utf-16"), ("ascii", "utf-16"), ("utf-16", "cp1252")]
)
def test_files_of_different_encodings_are_refused_by_name(tmp_path, first, second):
    (tmp_path / "a.csv").write_bytes((PLAIN if first == "ascii" else UMLAUTS).encode(first))
    (tmp_path / "b.csv").write_bytes(UMLAUTS.encode(second))
    with pytest.raises(DraftRefused, match=rf"a\.csv is in {first} and b\.csv in {second}: write all files in one"):
        read_folder(tmp_path)


def test_a_file_that_is_utf_8_but_for_a_line_is_refused_with_the_line(tmp_path):
    (tmp_path / "a.csv").write_bytes(UMLAUTS.encode() * 9 + "Köln,3\n".encode("cp1252"))
    with pytest.raises(DraftRefused, match=r"a\.csv is UTF-8 in other lines, but not in line 19"):
        read_folder(tmp_path)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_name_with_brackets_is_no_pattern(tmp_path, suffix):
    for name in ("a1", "a[1]"):
        table = pl.DataFrame({"name": [name]})
        (table.write_csv if suffix == "csv" else table.write_parquet)(tmp_path / f"{name}.{suffix}")
    assert read_folder(tmp_path)[0] == [("a1",), ("a[1]",)]


def test_empty_lines_are_no_rows(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"\r\nn,m\r\n\r\n1,2\r\n\r\n,\r\n")
    assert read_folder(tmp_path)[0] == [("1", "2"), (None, None)]


def test_columns_without_a_name_are_called_by_their_place(tmp_path):
    (tmp_path / "a.csv").write_text("n,,\n1,,x\n")
    with open_table(str(tmp_path), "") as table:
        assert table.rows.collect().to_dicts() == [{"n": "1", "column_2": None, "column_3": "x"}]


def test_lines_that_end_with_cr_alone_are_refused(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"n,m\r1,2\r")
    with pytest.raises(DraftRefused, match=r"a\.csv ends its lines with CR alone: expected LF or CRLF"):
        read_folder(tmp_path)


def test_a_column_that_no_dtype_holds_in_all_files_is_refused_by_name(tmp_path):
    pl.DataFrame({"at": [dt.datetime(2024, 1, 1)]}).write_parquet(tmp_path / "a.parquet")
    pl.DataFrame({"at": [dt.datetime(2024, 1, 1, tzinfo=dt.UTC)]}).write_parquet(tmp_path / "b.parquet")
    with pytest.raises(DraftRefused, match=r"'at' is Datetime.* in a\.parquet and Datetime.* in b\.parquet: write all"):
        read_folder(tmp_path)


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("a.jsonl", 'JSON: have a query read it, as with --from duckdb:// --query "select * from read_json('),
        ("a.XLSX", "a spreadsheet: save it as CSV"),
        ("a.sqlite", "a database: pass a --query that gives its rows"),
    ],
)
def test_a_file_that_is_another_kind_of_table_by_its_name_is_refused_with_what_to_do(tmp_path, name, advice):
    (tmp_path / name).write_text('{"city": "Bonn", "n": 2}\n')
    with pytest.raises(DraftRefused) as refused, open_table(str(tmp_path / name), ""):
        pass
    assert f"{name} is {advice}" in str(refused.value)
