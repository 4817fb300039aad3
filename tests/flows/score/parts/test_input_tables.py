"""What is scored: files of several forms, folders, what is stored elsewhere, and what queries find."""

import gzip
import sqlite3

import fsspec
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from flows.steps.score.outputs.output_places import OutputRefused
from flows.steps.score.receipts import format_receipts
from flows.steps.score.score_order import ScoreOrder, begin_tables
from flows.steps.score.scoring import score_tables
from penumbra.sources.tables.csv_tables import CsvLayout
from problem import schema
from tests.flows.score.scored_flights import (
    make_flights,
    make_problem,
    make_score_settings,
    read_logged,
    score_files,
    write_flights,
)


@pytest.mark.slow
def test_csv_and_parquet_get_the_same_answers(folder):
    flights = make_flights()
    for name in ("a.csv", "b.parquet"):
        score_files(folder, write_flights(folder / name, flights), f"out-{name[0]}.parquet")
    scores = [pl.read_parquet(folder / f"out-{name}.parquet").drop("prediction_id") for name in "ab"]
    assert_frame_equal(*scores)


@pytest.mark.slow
def test_keys_in_csv_are_written_as_the_service_writes_them(folder):
    flights = make_flights(30).with_columns(pl.col("time_hour").dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
    flights.write_csv(folder / "in.csv")
    score_files(folder, folder / "in.csv", "out.csv")
    texts = pl.read_csv(folder / "out.csv", infer_schema=False)
    assert texts["time_hour"].to_list() == flights["time_hour"].to_list()


@pytest.mark.slow
def test_a_table_without_rows_gets_an_output_without_rows(folder):
    for name in ("none.csv", "none.parquet"):
        ((receipt, _),) = score_files(folder, write_flights(folder / name, make_flights().clear()), f"{name}.parquet")
        assert (receipt.facts.rows, pl.read_parquet(folder / f"{name}.parquet").height) == (0, 0)


@pytest.mark.slow
def test_a_folder_becomes_a_folder_compressed_tables_too(folder):
    write_flights(folder / "in/a.parquet", make_flights(50))
    csv = write_flights(folder / "in/2024/b.csv", make_flights(60, seed=2))
    (folder / "in/2024/b.csv.gz").write_bytes(gzip.compress(csv.read_bytes()))
    csv.unlink()
    scored = score_files(folder, folder / "in", "out")
    assert sorted(receipt.facts.rows for receipt, _ in scored) == [50, 60]
    assert [pl.read_parquet(folder / "out" / name).height for name in ("a.parquet", "2024/b.parquet")] == [50, 60]


@pytest.mark.slow
def test_tables_may_be_elsewhere_and_answers_go_there(folder):
    store = fsspec.filesystem("memory")
    store.pipe(f"{folder}/in/a.parquet", write_flights(folder / "a.parquet", make_flights(50)).read_bytes())
    odd = make_flights(40).with_columns(distance=0)
    store.pipe(f"{folder}/in/b.csv", write_flights(folder / "b.csv", odd).read_bytes())
    settings = make_score_settings(folder)
    asked = ScoreOrder(f"memory://{folder}/in", f"memory://{folder}/out")
    scored = list(score_tables(settings, make_problem(), asked, begin_tables(settings, asked)))
    assert [(receipt.facts.answered, receipt.facts.rejected) for receipt, _ in scored] == [(50, 0), (0, 40)]
    assert sorted(path.removeprefix(f"{folder}/out/") for path in store.find(f"{folder}/out")) == [
        "a.parquet",
        "b.parquet",
        "b.rejected.parquet",
    ]
    assert [new for _, new in score_tables(settings, make_problem(), asked, begin_tables(settings, asked))] == [
        False
    ] * 2


def test_two_tables_with_one_output_are_refused(folder):
    for name in ("a.csv", "a.parquet"):
        write_flights(folder / "in" / name, make_flights(5))
    with pytest.raises(OutputRefused, match=r"a\.parquet and a\.csv would both become .*: expected names that differ"):
        score_files(folder, folder / "in", "out")
    with pytest.raises(OutputRefused, match=r"would both become .*scores\.csv: expected a folder"):
        score_files(folder, folder / "in", "scores.csv")


@pytest.mark.slow
def test_how_a_csv_file_is_written_is_said_with_the_order(folder):
    flights = make_flights().with_columns(pl.col("temp").fill_null(1).cast(pl.String), dewp=None)
    odd = flights.with_columns(temp=pl.lit("NA"))
    path = folder / "in.csv"
    odd.write_csv(path, separator=";", datetime_format="%Y-%m-%dT%H:%M:%SZ")
    score_files(folder, path, layout=CsvLayout(";", null_words=("", "NA")))
    assert {entry["record"]["temp"] for entry in read_logged(folder)} == {None}


@pytest.mark.slow
def test_a_query_that_finds_nothing_gets_an_output_without_rows(folder):
    write_flights(folder / "in.parquet", make_flights())
    ((receipt, _),) = score_files(folder, f"select * from '{folder}/in.parquet' where distance < 0", "out.parquet")
    assert (receipt.facts.rows, pl.read_parquet(folder / "out.parquet").height) == (0, 0)


@pytest.mark.slow
def test_what_a_resumed_query_found_is_said_to_be_of_its_time(folder):
    source = write_flights(folder / "in.parquet", make_flights())
    settings = make_score_settings(folder)
    asked = ScoreOrder(f"select * from '{source}'", str(folder / "scores.parquet"))
    (table,) = begin_tables(settings, asked)

    def stop(done: int, _: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(score_tables(settings, make_problem(), asked, [table], report=stop))
    write_flights(source, make_flights(200))
    (scored,) = score_tables(settings, make_problem(), asked, begin_tables(settings, asked))
    found = f"the rows are those that the query found on {table.begun.time:%Y-%m-%d %H:%M} UTC"
    assert (scored[0].facts.rows, [line.strip() for line in format_receipts([scored], schema)][1]) == (100, found)


@pytest.mark.slow
def test_a_query_over_files_is_scored(folder):
    write_flights(folder / "in.parquet", make_flights())
    score_files(folder, f"select * from '{folder}/in.parquet' order by flight limit 70", "out.parquet")
    flights = pl.read_parquet(folder / "out.parquet")["flight"]
    assert (len(flights), flights.is_sorted()) == (70, True)


@pytest.mark.slow
def test_a_query_of_another_database_is_scored_and_run_anew_each_time(folder):
    rows = make_flights(30).with_columns(pl.col("time_hour").dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
    with sqlite3.connect(folder / "flights.db") as database:
        rows.to_pandas().astype({"carrier": str, "origin": str}).to_sql("flights", database, index=False)
    for height in (30, 60):
        order = {"database": f"sqlite:///{folder}/flights.db"}
        ((receipt, is_new),) = score_files(folder, "select * from flights", "out.parquet", **order)
        assert (is_new, receipt.facts.rows) == (True, height)
        with sqlite3.connect(folder / "flights.db") as database:
            database.execute("insert into flights select * from flights")
