"""Tables of every kind are opened: dialects of CSV, folders whose files differ, Parquet, databases."""

import codecs
import datetime as dt
import gzip
import sqlite3

import duckdb
import pandas as pd
import polars as pl
import pytest

from penumbra.drafting.analysis.problem_analysis import draft_problem
from penumbra.drafting.draft import DraftQuestion, DraftRefused
from penumbra.drafting.reading import samples
from penumbra.drafting.reading.tables import DataTable
from penumbra.sources import SqlQuery
from tests.helpers.problems.drafted_orders import ROWS, get_column, make_orders, write_csv
from tests.helpers.problems.written_problems import count_broken_rules, load_written


def draft(path, **options):
    return draft_problem(str(path), "late", **options)


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_a_separator_is_found_even_beside_commas_in_the_values(tmp_path, separator):
    table = make_orders(weight=["3,5", "12,25"], note=["a, b", "c"])
    found = draft(write_csv(tmp_path / "data.csv", table, separator=separator))
    assert found.source.options == {"separator": separator}
    assert get_column(found, "note").categories == ("a, b", "c")
    assert get_column(found, "weight").maximum == 50


@pytest.mark.parametrize(
    ("encoding", "options"),
    [("utf-8", {}), ("utf-8-sig", {}), ("utf-16", {"encoding": "utf-16"}), ("cp1252", {"encoding": "cp1252"})],
)
def test_an_encoding_is_found(tmp_path, encoding, options):
    table = make_orders() | {"größe": ["groß €", "klein"] * (ROWS // 2)}
    found = draft(write_csv(tmp_path / "data.csv", table, encoding=encoding))
    assert found.source.options == options
    assert get_column(found, "größe").categories == ("groß €", "klein")
    assert found.columns[0].name == "day"


def test_bytes_that_are_no_text_of_windows_are_read_as_latin_1(tmp_path):
    path = write_csv(tmp_path / "data.csv", make_orders(place=["Köln", "Bonn"]), encoding="latin-1")
    path.write_bytes(path.read_bytes().replace(b"Bonn", b"B\x81nn"))
    assert draft(path).notes == ("the files aren't UTF-8 and are read as latin-1 (Western European)",)


def test_quoted_values_keep_their_separators_and_line_ends(tmp_path):
    found = draft(write_csv(tmp_path / "data.csv", make_orders(note=["a\nb", "c;d,e"])))
    assert get_column(found, "note").categories == ("a\nb", "c;d,e")
    assert found.rows == ROWS


@pytest.mark.slow
def test_quotation_marks_within_values_are_part_of_them(tmp_path):
    path = write_csv(tmp_path / "data.csv", make_orders(note=["INCH pipe", "7 INCH rod"]))
    path.write_text(path.read_text().replace("INCH", '5"'))
    found = draft(path)
    assert (found.source.options, get_column(found, "note").categories) == ({"quote": ""}, ('5" pipe', '7 5" rod'))
    with load_written(found, tmp_path, ("schema", "source", "features")) as problem:
        assert count_broken_rules(problem) == ({}, ROWS)


def test_a_compressed_file_is_read(tmp_path):
    plain = write_csv(tmp_path / "data.csv", make_orders())
    (tmp_path / "data.csv.gz").write_bytes(gzip.compress(plain.read_bytes()))
    assert draft(tmp_path / "data.csv.gz").rows == ROWS


def test_a_file_without_names_gets_some(tmp_path):
    table = make_orders()
    path = write_csv(tmp_path / "data.csv", {"0": table["amount"], "x": table["day"], "y": table["late"]})
    path.write_text(path.read_text().partition("\n")[2])
    found = draft_problem(str(path), "column_3")
    assert [column.name for column in found.columns] == ["column_1", "column_2", "column_3"]
    assert found.source.options == {"columns": ("column_1", "column_2", "column_3")}
    assert found.notes == ("the first line has no names, so the columns are called column_1, column_2, …",)
    assert found.rows == ROWS


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "data.csv is empty: expected a line with the columns' names, and rows"),
        ("day,late\n", "data.csv has columns and no rows: expected some"),
        ("day,late,late\n1,2,3\n", "data.csv has late more than once: expected a name of its own for each column"),
        ("sep=;\nday;late\n1;2\n", "data.csv begins with the line 'sep=;': remove it, so that the names are first"),
        ("day,late\n" + "1,2\n" * 50 + "1,2,3\n", "data.csv, line 52: 3 values, expected 2: 1,2,3"),
    ],
)
def test_a_file_that_is_no_table_is_refused_with_the_place(tmp_path, content, sentence):
    (tmp_path / "data.csv").write_text(content)
    with pytest.raises(DraftRefused) as refused:
        draft(tmp_path / "data.csv")
    assert str(refused.value).removeprefix(f"{tmp_path}/") == sentence


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_blanks_around_names_and_words_are_left_out_by_the_source_too(tmp_path, suffix):
    table = make_orders(place=[" north ", "north", "south"], weight=[" 1.5", "NA ", "-"])
    rows = pl.DataFrame({f" {name}": values for name, values in table.items()})
    (rows.write_csv if suffix == "csv" else rows.write_parquet)(tmp_path / f"orders.{suffix}")
    found = draft(tmp_path / f"orders.{suffix}")
    assert found.source.options == {"trim_blanks": True, "null_words": ("", "NA", "-")}
    assert (found.source.time, get_column(found, "place").categories) == ("day", ("north", "south"))
    with load_written(found, tmp_path, ("schema", "source", "features")) as problem:
        assert count_broken_rules(problem) == ({}, ROWS)


def test_blanks_before_quotation_marks_are_left_out(tmp_path):
    table = make_orders(place=['"Bonn, Rhein"', '"Köln"'])
    lines = [table, *zip(*table.values(), strict=True)]
    (tmp_path / "data.csv").write_text("".join(f"{', '.join(line)}\n" for line in lines))
    found = draft(tmp_path / "data.csv")
    assert (found.source.options, get_column(found, "place").categories) == (
        {"trim_blanks": True},
        ("Bonn, Rhein", "Köln"),
    )


def test_a_compressed_file_of_another_encoding_is_read(tmp_path):
    plain = write_csv(tmp_path / "data.csv", make_orders(place=["Köln", "Bonn"]), encoding="cp1252")
    (tmp_path / "data.csv.gz").write_bytes(gzip.compress(plain.read_bytes()))
    found = draft(tmp_path / "data.csv.gz")
    assert (found.source.options, get_column(found, "place").categories) == ({"encoding": "cp1252"}, ("Bonn", "Köln"))


def test_nothing_there_is_a_sentence(tmp_path):
    with pytest.raises(DraftRefused, match=r"no file is found by .*nothing\.csv': expected CSV or Parquet"):
        draft(tmp_path / "nothing.csv")


# Folders


def write_months(folder, *tables):
    for number, table in enumerate(tables, start=1):
        write_csv(folder / f"2024-0{number}.csv", table)
    return folder


@pytest.mark.slow
def test_a_folder_and_a_pattern_are_one_table(tmp_path):
    write_months(tmp_path, make_orders(300), make_orders(200))
    assert draft(tmp_path).rows == 500
    assert draft(tmp_path / "2024-*.csv").rows == 500
    assert draft(tmp_path).source.location == str(tmp_path)


def test_columns_in_another_order_are_the_same_columns(tmp_path):
    other = dict(reversed(make_orders(200).items()))
    found = draft(write_months(tmp_path, make_orders(300), other))
    assert (found.rows, found.notes) == (500, ())


def test_a_column_that_some_file_lacks_is_left_out_with_the_file(tmp_path):
    found = draft(write_months(tmp_path, make_orders(weight=["1", "2"]), make_orders()))
    weight = get_column(found, "weight")
    assert (weight.role, weight.reason) == ("unused", "the file 2024-02.csv hasn't it")


def test_a_column_that_begins_where_another_ends_is_named_beside_it(tmp_path):
    found = draft(write_months(tmp_path, make_orders(weight=["1", "2"]), make_orders(mass=["1", "2"])))
    advice = "if it is the same column, see 'A column that was renamed' in docs/recipes.md"
    assert get_column(found, "weight").reason == (
        f"the file 2024-02.csv hasn't it; 'mass' is there in its place: {advice}"
    )
    assert get_column(found, "mass").reason == (
        f"the file 2024-01.csv hasn't it; 'weight' is there in its place: {advice}"
    )


def test_a_target_that_some_file_lacks_is_refused_with_the_file(tmp_path):
    table = make_orders()
    del table["late"]
    with pytest.raises(DraftRefused, match=r"has the target 'late', but the file 2024-02.csv hasn't it$"):
        draft(write_months(tmp_path, make_orders(), table))


@pytest.mark.parametrize(("above", "line"), [("Orders of 2024\n", 2), ('"Orders of 2024",,\n\n', 3)])
def test_lines_above_the_names_are_told_with_the_line_that_has_the_target(tmp_path, above, line):
    path = tmp_path / "data.csv"
    path.write_text(f'{above}day;"late"\n2024-01-01;yes\n')
    with pytest.raises(DraftRefused, match=rf"; line {line} of data\.csv has that name: remove the lines above it"):
        draft(path)


def test_files_of_different_tables_are_refused(tmp_path):
    with pytest.raises(DraftRefused, match=r"2024-02.csv has no column of 2024-01.csv: it has a, b, and not day, amou"):
        draft(write_months(tmp_path, make_orders(), {"a": ["1"], "b": ["2"]}))


@pytest.mark.parametrize(
    ("days", "period"),
    [([1, 31, 32, 60, 61, 91], "month"), ([1, 7, 8, 14, 15, 21], "week"), ([1, 31, 31, 60, 61, 91], "week")],
)
def test_the_period_is_that_of_which_each_file_has_the_rows(tmp_path, days, period):
    for number in range(0, len(days), 2):
        table = make_orders(200)
        first, last = (dt.date(2024, 1, 1) + dt.timedelta(days=day - 1) for day in days[number : number + 2])
        length = (last - first).days + 1
        table["day"] = [(first + dt.timedelta(days=n * length // 200)).isoformat() for n in range(200)]
        write_csv(tmp_path / f"{number}.csv", table)
    assert draft(tmp_path).source.period == period


def test_csv_beside_parquet_is_refused(tmp_path):
    write_csv(tmp_path / "a.csv", make_orders())
    pl.DataFrame(make_orders()).write_parquet(tmp_path / "b.parquet")
    with pytest.raises(DraftRefused, match="has CSV and Parquet files: keep one kind there, or pass a glob such as"):
        draft(tmp_path)


def test_dates_in_the_files_names_are_the_time_where_no_column_has_one(tmp_path):
    table = make_orders(100)
    del table["day"]
    found = draft(write_months(tmp_path, *[table] * 5))
    assert (found.columns[0].name, found.columns[0].example) == ("time", "2024-05-31T00:00:00")
    assert found.columns[0].reason == "the date in the name of a row's file"
    assert (found.source.time, found.source.period, found.source.options) == ("time", "month", {"dated_names": True})
    assert (found.first_day, found.last_day, found.days) == (dt.date(2024, 1, 1), dt.date(2024, 5, 31), 5)


# Parquet


def make_typed(**columns):
    chance = pl.DataFrame(make_orders())
    base = chance.with_columns(pl.col("day").str.to_date(), pl.col("amount").cast(pl.Int64), pl.col("late") == "yes")
    return base.with_columns(**columns)


WHEN = dt.datetime(2023, 5, 1, 12)


@pytest.mark.parametrize(
    ("values", "dtype", "feature"),
    [
        (pl.Series([1, 300] * 200, dtype=pl.UInt16), pl.Int16(), "number"),
        (pl.Series([1.5, None] * 200, dtype=pl.Float32), pl.Float64(), "number"),
        (pl.Series([1.0, float("nan")] * 200), pl.Int8(), "number"),
        (pl.Series(["1.50", "2.25"] * 200).str.to_decimal(scale=2), pl.Float64(), "number"),
        (pl.Series([True, False, False, True] * 100), pl.Boolean(), "category"),
        (pl.Series(["a", "b", "b", "a"] * 100, dtype=pl.Categorical), pl.Enum(["a", "b"]), "category"),
        (pl.Series(["a", "b", "b", "a"] * 100, dtype=pl.Enum(["b", "a"])), pl.Enum(["a", "b"]), "category"),
        (pl.Series([WHEN - dt.timedelta(days=n) for n in range(400)]), None, "weekday"),
        (pl.Series([WHEN, WHEN.replace(day=2)] * 200, dtype=pl.Datetime("ns")), pl.Datetime("us"), "weekday"),
        (
            pl.Series([WHEN, WHEN.replace(day=2)] * 200).dt.replace_time_zone("Europe/Berlin"),
            pl.Datetime("us", "UTC"),
            "weekday",
        ),
        (pl.Series([dt.time(12), dt.time(13)] * 200), pl.Time(), "hour"),
        (pl.Series(["3,5", "12,25"] * 200), pl.Float64(), "number"),
    ],
)
def test_a_column_of_parquet_keeps_its_meaning(tmp_path, values, dtype, feature):
    make_typed(value=values).write_parquet(tmp_path / "data.parquet")
    column = get_column(draft(tmp_path / "data.parquet", time="day"), "value")
    assert column.features == (feature,)
    assert dtype in (None, column.dtype)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (pl.Series([[1], [2, 3]] * 200), "lists, which no kind of feature reads"),
        (pl.Series([{"a": 1}] * 400), "structs, which no kind of feature reads"),
        (pl.Series([[1, 2]] * 400, dtype=pl.Array(pl.Int64, 2)), "arrays, which no kind of feature reads"),
        (pl.Series([b"a", b"b"] * 200), "bytes, which no kind of feature reads"),
        (
            pl.Series([dt.timedelta(1)] * 400),
            "a duration, which no kind of feature reads: have the source make a numbe",
        ),
        (pl.Series([None] * 400), "no row has a value"),
    ],
)
def test_a_column_of_parquet_that_no_feature_reads_is_left_out_with_the_reason(tmp_path, values, reason):
    make_typed(value=values).write_parquet(tmp_path / "data.parquet")
    column = get_column(draft(tmp_path / "data.parquet"), "value")
    assert (column.role, column.reason[: len(reason)]) == ("unused", reason)


def test_words_for_missing_values_in_parquet_are_read_as_missing_by_the_source_too(tmp_path):
    quantity, place = pl.Series(["1", "2", "NULL", "N/A"] * 100), pl.Series(["north", "south", "NULL", "NULL"] * 100)
    make_typed(qty=quantity, place=place).write_parquet(tmp_path / "a.parquet")
    found = draft(tmp_path / "a.parquet")
    assert get_column(found, "place").categories == ("north", "south")
    with load_written(found, tmp_path, ("schema", "source", "features")) as problem:
        assert count_broken_rules(problem) == ({}, ROWS)


def test_whole_floats_of_a_sample_have_decimals_where_any_row_has(tmp_path, monkeypatch):
    monkeypatch.setattr(samples, "SAMPLE_ROWS", 40)
    amounts = pl.Series([1.0, 2.0] * 200)
    sampled = samples.draw_sample(DataTable(pl.LazyFrame({"n": range(ROWS)})), "data").rows["n"]
    amounts[next(n for n in range(ROWS) if n not in sampled)] = 0.5
    make_typed(value=amounts).write_parquet(tmp_path / "a.parquet")
    found = draft(tmp_path / "a.parquet")
    assert (get_column(found, "value").dtype, found.notes) == (pl.Float64(), ())


# Databases


def test_a_query_of_duckdb_is_a_table(tmp_path):
    with duckdb.connect(tmp_path / "shop.duckdb") as connection:
        orders = make_typed()
        connection.execute("create table orders as select * from orders")
        assert orders.height == ROWS
    url = f"duckdb:///{tmp_path}/shop.duckdb"
    found = draft(url, query="select * from orders where amount > 0;")
    assert (found.source.kind, found.source.location, found.rows) == ("sql", url, ROWS)
    assert found.source.query == "select * from orders where amount > 0;"
    assert (found.source.time, found.target.positive) == ("day", True)


def test_a_query_of_sqlite_is_a_table_whose_text_is_read_as_that_of_files(tmp_path):
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        table = make_orders()
        connection.execute("create table orders (day text, amount integer, late text)")
        connection.executemany("insert into orders values (?, ?, ?)", zip(*table.values(), strict=True))
    found = draft(f"sqlite:///{tmp_path}/shop.db", query="select * from orders")
    assert [(column.name, column.role) for column in found.columns] == [
        ("day", "time"),
        ("amount", "feature"),
        ("late", "outcome"),
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("make", "form"), [("strftime(day, '%d.%m.%Y')", "%d.%m.%Y"), ("epoch(day)::bigint", "s")])
def test_a_query_whose_time_is_not_sorted_by_a_database_is_refused(tmp_path, make, form):
    write_csv(tmp_path / "orders.csv", make_orders())
    query = f"select amount, late, {make} as day from '{tmp_path}/orders.csv'"
    with pytest.raises(
        DraftRefused, match=f"'day' of the query has times in the form '{form}', which a database doesn't"
    ):
        draft("duckdb://", query=query, time="day")


@pytest.mark.slow
def test_rows_of_a_query_without_a_time_get_a_date_by_the_query(tmp_path):
    write_csv(tmp_path / "orders.csv", make_orders())
    query = f"select amount, late from '{tmp_path}/orders.csv'"
    with pytest.raises(
        DraftRefused, match="the rows of a query have no order in which they could be dealt to days: hav"
    ):
        draft("duckdb://", query=query, time=None)
    with pytest.raises(DraftQuestion, match="no column has times: have the query give each row a date, and pass it as"):
        draft("duckdb://", query=query)


@pytest.mark.slow
def test_words_for_missing_values_of_a_query_are_read_by_the_source(tmp_path):
    write_csv(tmp_path / "orders.csv", make_orders(note=["a", "NULL", "b"]))
    found = draft("duckdb://", query=f"select * from '{tmp_path}/orders.csv'")
    assert found.source.options == {"null_words": ("", "NULL")}
    source = SqlQuery("duckdb://", found.source.query, time="day", **found.source.options)
    assert set(source.parse(source.fetch("2024-01"))["note"]) == {"a", "b", None}


def test_a_query_that_fails_is_a_sentence_without_the_password(tmp_path):
    with pytest.raises(DraftRefused, match="the query of the source fails"):
        draft("duckdb://", query="select * from nowhere")
    with pytest.raises(DraftRefused) as refused:
        draft("postgresql://me:secret@127.0.0.1:9/shop", query="select 1")
    assert "secret" not in str(refused.value)


def test_the_mark_at_a_file_s_beginning_is_no_part_of_a_name(tmp_path):
    (tmp_path / "data.csv").write_bytes(codecs.BOM_UTF8 + b"day,late\n" + b"2024-01-01,yes\n2024-01-02,no\n" * 200)
    assert draft(tmp_path / "data.csv").source.time == "day"


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_an_index_of_pandas_without_a_name_is_left_out_and_no_key(tmp_path, suffix):
    frame = pd.DataFrame(make_orders()).sample(frac=1, random_state=1)
    (frame.to_csv if suffix == "csv" else frame.to_parquet)(path := tmp_path / f"orders.{suffix}")
    found = draft(path)
    assert [column.name for column in found.columns if column.role != "unused"] == ["day", "amount", "late"]
    (index,) = (column for column in found.columns if column.role == "unused")
    assert index.reason in ("column 1, which has no name", "pandas' index, which has no name")
