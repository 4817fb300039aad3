"""The parts of a table: resumed, published once, by versions that change within a run, and by several processes."""

import errno
import os
import signal
import subprocess
import sys

import polars as pl
import psutil
import pytest

from flows.steps.score.parts.input_tables import iterate_parts
from flows.steps.score.score_order import ScoreOrder, begin_tables
from flows.steps.score.scoring import score_tables
from flows.steps.score.table_parts import publish_part
from penumbra.sources.tables.csv_tables import CsvLayout
from penumbra.storage.work_lock import WorkInProgress, hold_work_lock
from tests.flows.score.scored_flights import (
    make_flights,
    make_problem,
    make_score_settings,
    read_logged,
    score_files,
    write_flights,
)
from tests.helpers.servers import local_service


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_two_runs_do_not_score_one_table_at_once(folder):
    source = write_flights(folder / "in.parquet", make_flights())
    settings, asked = make_score_settings(folder), ScoreOrder(str(source), str(folder / "scores.parquet"))
    (table,) = begin_tables(settings, asked)
    lock = hold_work_lock(table.folder.parent.with_suffix(".lock"), "score of in.parquet")
    with lock, pytest.raises(WorkInProgress, match=r"another score of in\.parquet is at work"):
        list(score_tables(settings, make_problem(), asked, [table]))


def test_a_table_goes_on_in_the_parts_that_it_was_begun_with(folder):
    source = write_flights(folder / "in.parquet", make_flights())
    settings, asked = make_score_settings(folder), ScoreOrder(str(source), str(folder / "scores.parquet"))
    (table,) = begin_tables(settings, asked)
    (part, *_) = iterate_parts(source, table.name, CsvLayout(), 40, lambda number: number == 1)
    assert (part.number, part.first, part.rows.height) == (1, 40, 40)
    other = make_score_settings(folder, part_rows=7)
    assert begin_tables(other, asked) == [table]


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
import os, sys, time
from pathlib import Path
from flows.steps.score.process_pool import open_process_pool
from tests.flows.score.scored_flights import make_score_settings

with open_process_pool(make_score_settings(Path(sys.argv[1])), processes=1) as pool:
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


@pytest.mark.slow
def test_processes_that_score_end_with_a_run_that_is_killed(folder):
    with subprocess.Popen([sys.executable, "-c", WAITING_SCRIPT, str(folder)], stdout=subprocess.PIPE) as run:
        scorer = psutil.Process(int(run.stdout.readline()))
        run.kill()
        scorer.wait(timeout=60)
    assert not scorer.is_running()
