"""Rows without an answer are beside the output, with their reasons, and tables that can't be scored keep no other."""

import polars as pl
import pytest

from flows.steps.score.receipts import require_all_scored
from flows.steps.score.score_order import ScoreOrder, ScoreRefused, begin_tables
from flows.steps.score.scoring import score_tables
from penumbra.rules import OneOf, Refuse, Rule
from service.inference.runs.frame_scoring import NoLiveModel
from tests.flows.score.scored_flights import (
    make_flights,
    make_problem,
    make_score_settings,
    read_logged,
    score_files,
    write_flights,
)

CLOSED = Rule("closed", "nothing leaves there", OneOf("origin", ["LGA"]), Refuse())


@pytest.mark.slow
def test_rows_without_an_answer_are_beside_the_output_with_their_reasons(folder):
    flights = make_flights().with_columns(origin=pl.lit("JFK")).with_columns(pl.col("distance").cast(pl.String))
    odd = flights.with_row_index("n").with_columns(
        distance=pl.when(pl.col("n") == 7).then(pl.lit("far")).otherwise("distance"),
        origin=pl.when(pl.col("n") == 60).then(pl.lit("LGA")).otherwise("origin"),
        carrier=pl.when(pl.col("n") == 61).then(pl.lit("??")).otherwise(pl.col("carrier").cast(pl.String)),
    )
    ((receipt, _),) = score_files(folder, write_flights(folder / "in.csv", odd), "out.csv", rules=[CLOSED])
    rejected = pl.read_csv(folder / "out.rejected.csv")
    assert dict(rejected.select("penumbra.row", "penumbra.broken").iter_rows()) == {
        7: "distance|dtype",
        60: "closed",
        61: "carrier|dtype",
    }
    assert rejected["distance"][0] == "far"
    assert (receipt.facts.answered, receipt.facts.rejected) == (97, 3)
    assert pl.read_csv(folder / "out.csv").height == 97
    (refusal,) = read_logged(folder, "predictions/refused")
    assert (refusal["rule"], refusal["record"]["origin"], refusal["model"]) == ("closed", "LGA", "1")
    broken = read_logged(folder, "predictions/broken")
    assert [(entry["records"], entry["fields"]) for entry in broken] == [(1, {"distance": 1}), (1, {"carrier": 1})]


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_rows_without_an_answer_can_be_mended_and_scored(folder, ending):
    odd = make_flights(50).with_columns(distance=pl.when(pl.int_range(50) == 7).then(0).otherwise("distance"))
    odd = odd.with_columns(blob=pl.lit(b"\x00\xff"), taken=pl.duration(hours=1), parts=pl.concat_list(pl.lit(b"a")))
    score_files(folder, write_flights(folder / "in.parquet", odd), f"out.{ending}")
    rejected = folder / f"out.rejected.{ending}"
    rows = pl.read_csv(rejected) if ending == "csv" else pl.read_parquet(rejected)
    mended = rows.with_columns(distance=pl.lit(700))
    mended.write_csv(rejected) if ending == "csv" else mended.write_parquet(rejected)
    ((receipt, _),) = score_files(folder, rejected, "mended.csv")
    assert (receipt.facts.answered, receipt.facts.rejected) == (1, 0)
    assert pl.read_csv(folder / "mended.csv")["flight"].to_list() == odd["flight"][7:8].to_list()


@pytest.mark.slow
def test_a_table_that_can_not_be_scored_keeps_no_other_one_from_it(folder):
    for name in "abc":
        write_flights(folder / f"in/{name}.csv", make_flights(30))
    score_files(folder, folder / "in", "out")
    (folder / "out/a.parquet").unlink()
    write_flights(folder / "in/b.csv", make_flights(30).drop("dest"))
    write_flights(folder / "in/d.csv", make_flights(20))
    settings, asked, refused = make_score_settings(folder), ScoreOrder(f"{folder}/in", f"{folder}/out"), []
    tables = begin_tables(settings, asked)
    scored = list(score_tables(settings, make_problem(), asked, tables, refused=refused))
    assert [(receipt.table.name, is_new) for receipt, is_new in scored] == [("c.csv", False), ("d.csv", True)]
    with pytest.raises(
        ScoreRefused, match=r"2 tables can't be scored: a\.csv was .* gone.*; b\.csv has no column dest"
    ):
        require_all_scored(refused)
    require_all_scored([])


@pytest.mark.slow
def test_without_a_live_model_no_table_is_tried(tmp_path):
    source = write_flights(tmp_path / "in.parquet", make_flights())
    settings, asked = make_score_settings(tmp_path), ScoreOrder(str(source), str(tmp_path / "out.csv"))
    with pytest.raises(NoLiveModel):
        list(score_tables(settings, make_problem(), asked, begin_tables(settings, asked), refused=[]))


def test_without_a_live_model_that_is_said(tmp_path):
    with pytest.raises(NoLiveModel, match="no live model is loaded"):
        score_files(tmp_path, write_flights(tmp_path / "in.parquet", make_flights()))
