"""Tables of all kinds are scored once, whatever is in them, however often the command is called."""

import datetime as dt
import errno
import gzip
import os
import signal
import sqlite3
import subprocess
import sys

import fsspec
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from flows.steps.score.input_tables import iterate_parts
from flows.steps.score.outputs.answer_details import EXPLAIN, UNCERTAINTY, DetailsMissing
from flows.steps.score.outputs.output_places import OutputRefused
from flows.steps.score.receipts import format_receipts, require_all_scored
from flows.steps.score.score_order import ScoreOrder, ScoreRefused, begin_tables
from flows.steps.score.scoring import score_tables
from flows.steps.score.table_job import publish_part
from penumbra.core.columns import BATCH_COLUMN
from penumbra.logs.archiving.archive import compact_segments, seal_closed_segments
from penumbra.logs.archiving.archive_parts import find_entry
from penumbra.logs.daily.frames import LogFrameReader
from penumbra.logs.indexing.index import LogIndex
from penumbra.logs.shadow.shadow_state import ShadowState
from penumbra.rules import ModelPriors, OneOf, Refuse, Review, Rule
from penumbra.sources.tables.csv_tables import CsvLayout
from penumbra.storage.work_lock import WorkInProgress, hold_work_lock
from problem import schema
from service.inference.frame_scoring import NoLiveModel
from service.shadow.backlog import make_shadow_start, read_next_job
from tests.flows.score.scored_flights import (
    make_flights,
    make_problem,
    make_score_settings,
    read_logged,
    score_files,
    write_flights,
)
from tests.helpers.servers import local_service

CLOSED = Rule("closed", "nothing leaves there", OneOf("origin", ["LGA"]), Refuse())


@pytest.mark.parametrize("name", ["in.parquet", "in.csv"])
def test_every_row_is_in_the_output_in_its_order_and_in_the_log_once(folder, name):
    flights = make_flights()
    ((receipt, is_new),) = score_files(folder, write_flights(folder / name, flights))
    scores = pl.read_parquet(folder / "scores.parquet")
    assert (is_new, receipt.facts.rows, receipt.facts.answered, receipt.facts.versions) == (True, 100, 100, {"1": 100})
    assert scores["penumbra.row"].to_list() == list(range(100))
    assert scores["flight"].to_list() == flights["flight"].to_list()
    assert sorted(scores["prediction_id"]) == sorted(entry["id"] for entry in read_logged(folder))


def test_csv_and_parquet_get_the_same_answers(folder):
    flights = make_flights()
    for name in ("a.csv", "b.parquet"):
        score_files(folder, write_flights(folder / name, flights), f"out-{name[0]}.parquet")
    scores = [pl.read_parquet(folder / f"out-{name}.parquet").drop("prediction_id") for name in "ab"]
    assert_frame_equal(*scores)


def test_a_table_that_is_done_and_has_not_changed_is_not_scored_again(folder):
    source = write_flights(folder / "in.parquet", make_flights())
    score_files(folder, source)
    assert [is_new for _, is_new in score_files(folder, source)] == [False]
    assert len(read_logged(folder)) == 100
    write_flights(source, make_flights(50, seed=2))
    assert [is_new for _, is_new in score_files(folder, source)] == [True]
    assert (len(read_logged(folder)), pl.read_parquet(folder / "scores.parquet").height) == (150, 50)


def test_another_mode_of_a_file_and_another_link_to_it_are_no_change(folder):
    source = write_flights(folder / "in.parquet", make_flights(30))
    score_files(folder, source)
    source.chmod(0o600)
    (folder / "link.parquet").hardlink_to(source)
    assert [is_new for _, is_new in score_files(folder, source)] == [False]


def test_a_table_is_scored_anew_where_that_is_asked_for(folder):
    source = write_flights(folder / "in.parquet", make_flights())
    score_files(folder, source)
    assert [is_new for _, is_new in score_files(folder, source, again=True)] == [True]
    assert len(read_logged(folder)) == 200


def test_why_a_table_is_scored_and_logged_anew_is_said(folder):
    source = write_flights(folder / "in.parquet", make_flights())
    score_files(folder, source)
    for _ in range(2):  # version 1 can't say how sure it is, so that nothing is logged by that
        with pytest.raises(DetailsMissing):
            score_files(folder, source, options=[UNCERTAINTY])
    assert list(format_receipts(score_files(folder, source)))[1:] == []
    (begun,) = begin_tables(
        make_score_settings(folder), ScoreOrder(str(source), f"{folder}/scores.parquet", options=[EXPLAIN])
    )
    assert begun.begun.reason == "the last time was without such options"
    for words, order in (("it is read in another way", {"encoding": "cp1252"}), ("--again says so", {"again": True})):
        score_files(folder, source)
        assert list(format_receipts(score_files(folder, source, **order)))[1].endswith(f"anew, as {words}")
    write_flights(source, make_flights(50, seed=2))
    assert list(format_receipts(score_files(folder, source)))[1].endswith("anew, as it has changed")


def test_an_output_that_is_gone_is_said_to_be(folder):
    source = write_flights(folder / "in.parquet", make_flights())
    score_files(folder, source)
    (folder / "scores.parquet").unlink()
    with pytest.raises(ScoreRefused, match=r"in\.parquet was scored on .* its output .* is gone: --again scores it"):
        score_files(folder, source)


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


def test_keys_in_csv_are_written_as_the_service_writes_them(folder):
    flights = make_flights(30).with_columns(pl.col("time_hour").dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
    flights.write_csv(folder / "in.csv")
    score_files(folder, folder / "in.csv", "out.csv")
    texts = pl.read_csv(folder / "out.csv", infer_schema=False)
    assert texts["time_hour"].to_list() == flights["time_hour"].to_list()


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


def test_without_a_live_model_no_table_is_tried(tmp_path):
    source = write_flights(tmp_path / "in.parquet", make_flights())
    settings, asked = make_score_settings(tmp_path), ScoreOrder(str(source), str(tmp_path / "out.csv"))
    with pytest.raises(NoLiveModel):
        list(score_tables(settings, make_problem(), asked, begin_tables(settings, asked), refused=[]))


def test_a_table_without_rows_gets_an_output_without_rows(folder):
    for name in ("none.csv", "none.parquet"):
        ((receipt, _),) = score_files(folder, write_flights(folder / name, make_flights().clear()), f"{name}.parquet")
        assert (receipt.facts.rows, pl.read_parquet(folder / f"{name}.parquet").height) == (0, 0)


def test_a_folder_becomes_a_folder_compressed_tables_too(folder):
    write_flights(folder / "in/a.parquet", make_flights(50))
    csv = write_flights(folder / "in/2024/b.csv", make_flights(60, seed=2))
    (folder / "in/2024/b.csv.gz").write_bytes(gzip.compress(csv.read_bytes()))
    csv.unlink()
    scored = score_files(folder, folder / "in", "out")
    assert sorted(receipt.facts.rows for receipt, _ in scored) == [50, 60]
    assert [pl.read_parquet(folder / "out" / name).height for name in ("a.parquet", "2024/b.parquet")] == [50, 60]


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


def test_how_a_csv_file_is_written_is_said_with_the_order(folder):
    flights = make_flights().with_columns(pl.col("temp").fill_null(1).cast(pl.String), dewp=None)
    odd = flights.with_columns(temp=pl.lit("NA"))
    path = folder / "in.csv"
    odd.write_csv(path, separator=";", datetime_format="%Y-%m-%dT%H:%M:%SZ")
    score_files(folder, path, layout=CsvLayout(";", null_words=("", "NA")))
    assert {entry["record"]["temp"] for entry in read_logged(folder)} == {None}


def test_a_query_that_finds_nothing_gets_an_output_without_rows(folder):
    write_flights(folder / "in.parquet", make_flights())
    ((receipt, _),) = score_files(folder, f"select * from '{folder}/in.parquet' where distance < 0", "out.parquet")
    assert (receipt.facts.rows, pl.read_parquet(folder / "out.parquet").height) == (0, 0)


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
    assert (scored[0].facts.rows, [line.strip() for line in format_receipts([scored])][1]) == (100, found)


def test_a_query_over_files_is_scored(folder):
    write_flights(folder / "in.parquet", make_flights())
    score_files(folder, f"select * from '{folder}/in.parquet' order by flight limit 70", "out.parquet")
    flights = pl.read_parquet(folder / "out.parquet")["flight"]
    assert (len(flights), flights.is_sorted()) == (70, True)


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


def test_a_run_that_was_stopped_goes_on_and_logs_no_row_twice(folder):
    source = write_flights(folder / "in.parquet", make_flights())
    settings, asked = make_score_settings(folder), ScoreOrder(str(source), str(folder / "scores.parquet"))
    (table,) = begin_tables(settings, asked)

    def stop(done: int, _: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(score_tables(settings, make_problem(), asked, [table], report=stop))
    assert (table.list_done(), len(read_logged(folder)), (folder / "scores.parquet").exists()) == ([0, 1], 80, False)
    score_files(folder, source)
    logged = [entry["id"] for entry in read_logged(folder)]
    assert sorted(pl.read_parquet(folder / "scores.parquet")["prediction_id"]) == sorted(logged)
    assert len(logged) == 100


def test_what_becomes_live_within_a_run_answers_from_the_next_part_on_and_so_does_what_is_rolled_back_to(folder):
    source = write_flights(folder / "in.parquet", make_flights(160))
    settings, asked = make_score_settings(folder), ScoreOrder(str(source), str(folder / "scores.parquet"))

    def move(done: int, _: int) -> None:
        if version := {1: "2", 3: "1"}.get(done):
            local_service.deploy_version(folder, version, seed=int(version))

    list(score_tables(settings, make_problem(), asked, begin_tables(settings, asked), report=move))
    versions = pl.read_parquet(folder / "scores.parquet")["model_version"]
    assert versions.to_list() == ["1"] * 40 + ["2"] * 80 + ["1"] * 40
    assert [entry["model"] for entry in read_logged(folder)] == versions.to_list()


def test_while_rows_are_scored_nothing_in_the_state_marks_them_for_whoever_looks_after_workers_that_ended(folder):
    left = []

    class Looking:
        words = "the state is looked at"

        def test(self, known: ModelPriors):
            return lambda record, prediction: left.extend((folder / "state/workers").glob("*")) or True

    source = write_flights(folder / "in.parquet", make_flights(20))
    ((receipt, _),) = score_files(folder, source, rules=[Rule("look", "always", Looking(), Review())])
    assert (receipt.facts.fired, left) == ({"look": 20}, [])
    assert not (folder / "state/workers").exists()


def test_a_part_is_published_once_by_a_copy_too(folder, monkeypatch):
    """As to another file system, where a rename fails."""
    (part := folder / "part" / "predictions").mkdir(parents=True)
    (part / "1a22a002a325f1485.jsonl").write_text('{"id":"1a22a002a325f1485-0"}\n')

    def refuse(source, target):
        if "part" in str(source) and not str(source).endswith(".tmp"):
            raise OSError(errno.EXDEV, "another file system")
        return rename(source, target)

    rename = os.replace
    monkeypatch.setattr(os, "replace", refuse)
    publish_part(folder / "part", folder / "log")
    publish_part(folder / "part", folder / "log")
    assert [path.name for path in (folder / "log").iterdir()] == ["1a22a002a325f1485.jsonl"]
    assert list(part.iterdir()) == []


def test_two_runs_do_not_score_one_table_at_once(folder):
    source = write_flights(folder / "in.parquet", make_flights())
    settings, asked = make_score_settings(folder), ScoreOrder(str(source), str(folder / "scores.parquet"))
    (table,) = begin_tables(settings, asked)
    lock = hold_work_lock(table.folder.parent.with_suffix(".lock"), "score of in.parquet")
    with lock, pytest.raises(WorkInProgress, match=r"another score of in\.parquet is at work"):
        list(score_tables(settings, make_problem(), asked, [table]))


def test_without_a_live_model_that_is_said(tmp_path):
    with pytest.raises(NoLiveModel, match="no live model is loaded"):
        score_files(tmp_path, write_flights(tmp_path / "in.parquet", make_flights()))


def test_labels_join_what_was_scored_in_a_table(folder):
    score_files(folder, write_flights(folder / "in.parquet", make_flights()))
    settings = make_score_settings(folder)
    index = LogIndex.from_settings(settings, schema)
    index.catch_up()
    outcomes = (
        make_flights().head(40).with_columns(pl.lit("2024-01").alias(BATCH_COLUMN), arr_delay=pl.lit(42, pl.Int16))
    )
    assert index.attach_labels([outcomes]) == 40
    with index.open() as db:
        (joined,) = db.execute("select count(*) from predictions p join labels l on p.key = l.key").fetchone()
    assert joined == 40


def test_a_table_goes_on_in_the_parts_that_it_was_begun_with(folder):
    source = write_flights(folder / "in.parquet", make_flights())
    settings, asked = make_score_settings(folder), ScoreOrder(str(source), str(folder / "scores.parquet"))
    (table,) = begin_tables(settings, asked)
    (part, *_) = iterate_parts(source, table.name, CsvLayout(), 40, lambda number: number == 1)
    assert (part.number, part.first, part.rows.height) == (1, 40, 40)
    other = make_score_settings(folder, part_rows=7)
    assert begin_tables(other, asked) == [table]


def test_another_way_to_read_a_table_is_another_table(folder):
    source = write_flights(folder / "in.csv", make_flights())
    score_files(folder, source)
    assert [is_new for _, is_new in score_files(folder, source, layout=CsvLayout(null_words=("", "NA")))] == [True]


def test_the_archive_and_the_shadow_read_what_was_scored_in_a_table(folder):
    score_files(folder, write_flights(folder / "in.parquet", make_flights()))
    log, later = folder / "predictions", dt.date(2100, 1, 1)
    names = pl.read_parquet(folder / "scores.parquet")["prediction_id"].to_list()
    state = ShadowState({})
    state.apply_line(make_shadow_start(log, "2", 24))
    job = read_next_job(log, state.models["2"], 500)
    assert {line.id for line in job.lines} < set(names)
    before = {name: find_entry(log, name) for name in names}
    compact_segments(log, seal_closed_segments(log), later, LogFrameReader(schema).read_aligned)
    for path in log.glob("*.jsonl"):
        path.unlink()
    assert {name: find_entry(log, name) for name in names} == before


@pytest.mark.slow
def test_several_processes_score_the_parts_of_one_table(folder):
    source = write_flights(folder / "in.parquet", make_flights(600))
    settings, asked = make_score_settings(folder), ScoreOrder(str(source), str(folder / "scores.parquet"))
    tables = begin_tables(settings, asked)
    ((receipt, _),) = score_tables(settings, make_problem(), asked, tables, processes=2)
    assert receipt.facts.rows == 600
    scores = pl.read_parquet(folder / "scores.parquet")
    assert scores["penumbra.row"].to_list() == list(range(600))
    assert sorted(scores["prediction_id"]) == sorted(entry["id"] for entry in read_logged(folder))


WAITING_SCRIPT = """
import multiprocessing, os, sys, time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from flows.steps.score.scoring import _start_process
from tests.flows.score.scored_flights import make_score_settings

context, settings = multiprocessing.get_context("spawn"), make_score_settings(Path(sys.argv[1]))
with ProcessPoolExecutor(1, context, _start_process, (settings, (), os.getpid())) as pool:
    print(pool.submit(os.getpid).result(), flush=True)
    time.sleep(600)
"""


@pytest.mark.slow
def test_an_interrupt_ends_a_process_that_scores_without_a_word_of_it(folder):
    command = [sys.executable, "-c", WAITING_SCRIPT, str(folder)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes, text=True, start_new_session=True) as run:
        assert run.stdout.readline()
        os.killpg(run.pid, signal.SIGINT)
        _, said = run.communicate(timeout=60)
    assert said.count("Traceback") == 1, said
