"""A table is scored once, however often the command is called, unless it has changed or that is asked for."""

import polars as pl
import pytest

from flows.steps.score.outputs.answer_details import EXPLAIN, UNCERTAINTY, DetailsMissing
from flows.steps.score.receipts import format_receipts
from flows.steps.score.score_order import ScoreOrder, ScoreRefused, begin_tables
from penumbra.sources.tables.csv_tables import CsvLayout
from problem import schema
from tests.flows.score.scored_flights import (
    make_flights,
    make_score_settings,
    read_logged,
    score_files,
    write_flights,
)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["in.parquet", "in.csv"])
def test_every_row_is_in_the_output_in_its_order_and_in_the_log_once(folder, name):
    flights = make_flights()
    ((receipt, is_new),) = score_files(folder, write_flights(folder / name, flights))
    scores = pl.read_parquet(folder / "scores.parquet")
    assert (is_new, receipt.facts.rows, receipt.facts.answered, receipt.facts.versions) == (True, 100, 100, {"1": 100})
    assert scores["penumbra.row"].to_list() == list(range(100))
    assert scores["flight"].to_list() == flights["flight"].to_list()
    assert sorted(scores["prediction_id"]) == sorted(entry["id"] for entry in read_logged(folder))


@pytest.mark.slow
def test_a_table_that_is_done_and_has_not_changed_is_not_scored_again(folder):
    source = write_flights(folder / "in.parquet", make_flights())
    score_files(folder, source)
    assert [is_new for _, is_new in score_files(folder, source)] == [False]
    assert len(read_logged(folder)) == 100
    write_flights(source, make_flights(50, seed=2))
    assert [is_new for _, is_new in score_files(folder, source)] == [True]
    assert (len(read_logged(folder)), pl.read_parquet(folder / "scores.parquet").height) == (150, 50)


@pytest.mark.slow
def test_another_mode_of_a_file_and_another_link_to_it_are_no_change(folder):
    source = write_flights(folder / "in.parquet", make_flights(30))
    score_files(folder, source)
    source.chmod(0o600)
    (folder / "link.parquet").hardlink_to(source)
    assert [is_new for _, is_new in score_files(folder, source)] == [False]


@pytest.mark.slow
def test_a_table_is_scored_anew_where_that_is_asked_for(folder):
    source = write_flights(folder / "in.parquet", make_flights())
    score_files(folder, source)
    assert [is_new for _, is_new in score_files(folder, source, again=True)] == [True]
    assert len(read_logged(folder)) == 200


@pytest.mark.slow
def test_why_a_table_is_scored_and_logged_anew_is_said(folder):
    source = write_flights(folder / "in.parquet", make_flights())
    score_files(folder, source)
    for _ in range(2):  # version 1 can't say how sure it is, so that nothing is logged by that
        with pytest.raises(DetailsMissing):
            score_files(folder, source, options=[UNCERTAINTY])
    assert list(format_receipts(score_files(folder, source), schema))[1:] == []
    (begun,) = begin_tables(
        make_score_settings(folder), ScoreOrder(str(source), f"{folder}/scores.parquet", options=[EXPLAIN])
    )
    assert begun.begun.reason == "the last time was without such options"
    for words, order in (("it is read in another way", {"encoding": "cp1252"}), ("--again says so", {"again": True})):
        score_files(folder, source)
        assert list(format_receipts(score_files(folder, source, **order), schema))[1].endswith(f"anew, as {words}")
    write_flights(source, make_flights(50, seed=2))
    assert list(format_receipts(score_files(folder, source), schema))[1].endswith("anew, as it has changed")


@pytest.mark.slow
def test_an_output_that_is_gone_is_said_to_be(folder):
    source = write_flights(folder / "in.parquet", make_flights())
    score_files(folder, source)
    (folder / "scores.parquet").unlink()
    with pytest.raises(ScoreRefused, match=r"in\.parquet was scored on .* its output .* is gone: --again scores it"):
        score_files(folder, source)


@pytest.mark.slow
def test_another_way_to_read_a_table_is_another_table(folder):
    source = write_flights(folder / "in.csv", make_flights())
    score_files(folder, source)
    assert [is_new for _, is_new in score_files(folder, source, layout=CsvLayout(null_words=("", "NA")))] == [True]
