"""Blanks around text, and words for a missing value, in CSV and Parquet alike."""

import polars as pl
import pytest

from penumbra.sources import TableFiles

PADDED = {
    " n": ["1 ", "2"],
    "at ": [" 2024-01-02", "2024-01-03 "],
    "place": [" north\u00a0", "\tNA"],
    " note ": ["a b", " "],
}


def write_table(folder, suffix, columns):
    path = folder / f"orders.{suffix}"
    table = pl.DataFrame(columns)
    (table.write_csv if suffix == "csv" else table.write_parquet)(path)
    return path


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_blanks_around_text_and_names_are_left_out_where_the_source_says_so(tmp_path, suffix):
    path = write_table(tmp_path, suffix, PADDED)
    source = TableFiles(path, time="at", null_words=("", "NA"), trim_blanks=True)
    assert source.parse(source.fetch("2024-01")).rows(named=True) == [
        {"n": "1", "at": "2024-01-02T00:00:00", "place": "north", "note": "a b"},
        {"n": "2", "at": "2024-01-03T00:00:00", "place": None, "note": None},
    ]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_blanks_are_part_of_text_and_names_by_themselves(tmp_path, suffix):
    source = TableFiles(write_table(tmp_path, suffix, PADDED), time="at ")
    rows = source.parse(source.fetch("2024-01"))
    assert (rows.columns, rows[" note "].to_list()) == ([" n", "at ", "place", " note "], ["a b", " "])


@pytest.mark.parametrize(
    ("written", "value"),
    [
        (' "a, b" ', "a, b"),
        (' "a"', "a"),
        ('"a" ', "a"),
        (' ""', None),
        (' " a "', "a"),
        (' "a\n, b"', "a\n, b"),
        ('"a, ""b"" , c"', 'a, "b" , c'),
        (' "a ""b"""', 'a "b"'),
        (" a b ", "a b"),
    ],
)
@pytest.mark.parametrize("after", ["", ","])
def test_blanks_stand_beside_quotation_marks(tmp_path, written, value, after):
    (tmp_path / "orders.csv").write_text(f"at, note{after}\n2024-01-02,{written}{after}\n 2024-01-03,x{after}\n")
    source = TableFiles(tmp_path, time="at", trim_blanks=True)
    assert source.parse(source.fetch("2024-01"))["note"].to_list() == [value, "x"]


def test_what_is_fetched_keeps_its_blanks(tmp_path):
    source = TableFiles(write_table(tmp_path, "csv", PADDED), time="at", trim_blanks=True)
    assert source.fetch("2024-01") == {"orders.csv": (tmp_path / "orders.csv").read_bytes()}


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_names_that_differ_in_blanks_alone_are_refused_where_these_are_left_out(tmp_path, suffix):
    path = write_table(tmp_path, suffix, {"at": ["2024-01-02"], "n": ["1"], "n ": ["2"]})
    with pytest.raises(ValueError, match=f"orders.{suffix} has n more than once: expected a name of its own"):
        TableFiles(path, time="at", trim_blanks=True).batches()
