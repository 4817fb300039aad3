"""What was scored in a table is in the prediction log like any other answer, for all that read it."""

import datetime as dt

import polars as pl
import pytest

from penumbra.core.columns import BATCH_COLUMN
from penumbra.logs.archiving.archive import compact_segments, seal_closed_segments
from penumbra.logs.archiving.archive_parts import find_entry
from penumbra.logs.daily.frames import LogFrameReader
from penumbra.logs.indexing.index import LogIndex
from penumbra.logs.shadow.shadow_state import ShadowState
from penumbra.rules import ModelPriors, Review, Rule
from problem import schema
from service.shadow.backlog import make_shadow_start, read_next_job
from tests.flows.score.scored_flights import (
    make_flights,
    make_score_settings,
    score_files,
    write_flights,
)


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_the_archive_and_the_shadow_read_what_was_scored_in_a_table(folder):
    score_files(folder, write_flights(folder / "in.parquet", make_flights()))
    log, later = folder / "predictions", dt.date(2100, 1, 1)
    names = pl.read_parquet(folder / "scores.parquet")["prediction_id"].to_list()
    state = ShadowState({})
    state.apply_line(make_shadow_start(log, "2", 24))
    job = read_next_job(log, state.models["2"], 500)
    assert {line.id for line in job.lines} < set(names)
    before = {name: find_entry(log, name) for name in names}
    compact_segments(log, seal_closed_segments(log), later, LogFrameReader(schema).read_archived)
    for path in log.glob("*.jsonl"):
        path.unlink()
    assert {name: find_entry(log, name) for name in names} == before
