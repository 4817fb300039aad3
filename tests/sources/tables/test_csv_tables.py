"""CSV files as tables: every line is a row or is named."""

import pytest

from penumbra.core.raw_files import write_raw_files
from penumbra.sources import TableFiles, table_files
from penumbra.sources.tables import csv_records
from penumbra.sources.tables.csv_tables import CsvLayout, read_csv_table
from tests.helpers.problems.table_sources import read_batches


def test_a_file_without_header_gets_the_names_that_it_is_given(tmp_path):
    (tmp_path / "orders.csv").write_text("1,2024-01-02\n2,2024-02-03\n")
    source = TableFiles(tmp_path / "orders.csv", time="at", columns=("n", "at"))
    assert source.fetch("2024-02") == {"orders.csv": b"2,2024-02-03\n"}
    assert source.parse(source.fetch("2024-02")).rows(named=True) == [{"n": "2", "at": "2024-02-03T00:00:00"}]


def test_null_words_are_missing_values(tmp_path):
    (tmp_path / "orders.csv").write_text("n,at\nNA,2024-01-02\n,2024-01-03\n-,2024-01-04\n")
    source = TableFiles(tmp_path / "orders.csv", time="at", null_words=("", "NA"))
    assert source.parse(source.fetch("2024-01"))["n"].to_list() == [None, None, "-"]


def test_a_line_with_too_many_values_is_named(tmp_path):
    (tmp_path / "orders.csv").write_text('at,note\n2024-01-02,"a\nb"\n2024-01-03,c,d\n')
    source = TableFiles(tmp_path / "orders.csv", time="at")
    with pytest.raises(ValueError, match=r"orders\.csv, line 4: 3 values, expected 2: 2024-01-03,c,d"):
        source.parse(source.fetch("2024-01"))


@pytest.mark.parametrize(("mark", "option"), [(";", "';'"), ("\t", r"\$'\\t'")])
def test_a_line_with_too_many_values_names_the_separator_that_the_header_has(mark, option):
    content = f"at{mark}price\n2024-01-02{mark}1,5\n".encode()
    with pytest.raises(ValueError, match=rf"line 2: 2 values, expected 1: .*--separator {option}$"):
        read_csv_table(content, CsvLayout(), "orders.csv")


def test_the_header_of_a_large_file_is_checked_before_its_rows_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(table_files, "LARGE_BYTES", 10)
    for header, words in (("n,n\n", "rows.csv has n more than once"), ("n,m\n", "rows.csv has no column 'at'")):
        files = write_raw_files(tmp_path / header[0], {"rows.csv": (header * 9).encode()})
        with pytest.raises(ValueError, match=words):
            TableFiles("rows.csv", time="at").parse(files)


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
    assert {name: rows.height for name, rows in read_batches(source).items()} == {"2024-01": 2, "2024-02": 1}


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
