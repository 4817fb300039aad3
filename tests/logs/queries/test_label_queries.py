"""What a model answered by itself of some time, with the labels there are."""

import re
import sqlite3
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dataframely as dy
import msgspec
import polars as pl
import pytest

from penumbra.core.task import Task
from penumbra.logs.indexing.index import LogIndex
from penumbra.logs.labels import LabelSpec
from penumbra.logs.queries.labels import (
    join_labels,
    read_answers_beside,
    read_answers_with_targets,
    read_day_answers,
)
from penumbra.logs.queries.lookup import INDEX_FILE
from penumbra.logs.schema import LabelEntry, PredictionEntry
from penumbra.storage.sealed import DamagedFile
from tests.helpers.logs.prediction_logs import (
    EVENING,
    MORNING,
    NOON,
    log_labels,
    log_predictions,
    make_hours,
    make_label_by_key,
    make_prediction,
    make_updated_index,
)


def found(folder: Path, begin: float = 0, end: float = 1, **more: Any) -> list[pl.DataFrame]:
    return list(
        read_answers_with_targets(
            make_updated_index(folder), "7", NOON + make_hours(begin), NOON + make_hours(end), **more
        )
    )


def test_a_row_has_what_was_answered_and_its_label_or_null(tmp_path: Path) -> None:
    log_predictions(tmp_path, make_prediction(1), make_prediction(2))
    log_labels(tmp_path, make_label_by_key(1, 42))
    (rows,) = found(tmp_path)
    names = ["id", "time", "event", "output", "target"]
    assert rows.equals(join_labels(make_updated_index(tmp_path)).select(names))
    assert rows["target"].to_list() == [True, None]
    beside = read_answers_beside(make_updated_index(tmp_path), "8", "7", NOON - make_hours(1))
    names = ["id", "time", "event", "output", "decision", "target", "source", "arrived"]
    assert beside.select(names).equals(join_labels(make_updated_index(tmp_path)).select(names))
    assert beside.drop(names).null_count().row(0) == (2,) * 4


def test_rows_of_another_time_are_left_out(tmp_path: Path) -> None:
    log_predictions(tmp_path, make_prediction(1))
    assert (len(found(tmp_path, 0, 1)), found(tmp_path, 1, 2), found(tmp_path, -1, 0)) == (1, [], [])


def test_rows_without_outcome_of_another_model_or_with_a_rule_in_it_are_left_out(tmp_path: Path) -> None:
    ruled = msgspec.structs.replace(make_prediction(3), rules=["closed"])
    log_predictions(tmp_path, make_prediction(1), make_prediction(2, model="6"), ruled)
    log_labels(tmp_path, make_label_by_key(1, None))
    assert found(tmp_path) == []


def test_so_many_come_at_a_time_and_all_of_them_once(tmp_path: Path) -> None:
    log_predictions(tmp_path, *(make_prediction(flight) for flight in range(1, 6)))
    (whole,) = found(tmp_path)
    parts = found(tmp_path, at_once=2)
    assert [part.height for part in parts] == [2, 2, 1]
    assert pl.concat(parts).equals(whole)


@pytest.mark.parametrize(
    ("dtype", "column", "output", "label"),
    [
        (pl.Enum(["clear", "rain"]), dy.Enum(["clear", "rain"]), [0.25, 0.75], "rain"),
        (pl.Float64, dy.Float64(), 12.5, 11.25),
    ],
)
def test_targets_of_every_kind_are_read(tmp_path: Path, dtype: Any, column: Any, output: Any, label: Any) -> None:
    class Row(dy.Schema):
        at = dy.Datetime(nullable=False)

    outcome = type("Outcome", (Row,), {"__annotations__": {}, "was": column})
    terms = LabelSpec.from_schema(SimpleNamespace(Row=Row, Labelled=outcome, TIME="at", target=lambda: pl.col("was")))
    entry = PredictionEntry(NOON, "contract", {"at": NOON.replace(tzinfo=None)}, [], output, label, "7", 80)
    first, second = log_predictions(tmp_path, entry, entry)
    log_labels(tmp_path, LabelEntry(EVENING, "feedback", {"was": label}, prediction=second))
    index = LogIndex(tmp_path / "predictions", tmp_path / "labels", terms)
    index.catch_up()
    (rows,) = read_answers_with_targets(index, "7", NOON, NOON + make_hours(1))
    assert rows.select("id", "target").rows() == [(first, None), (second, label)]
    assert rows.schema["target"] == dtype
    assert rows["output"].to_list() == [output] * 2


RAIN = Task("multiclass", ("clear", "rain"))
SNOW = Task("multiclass", ("clear", "rain", "snow"))
CHANCE, CLASSES = {"output": 0.25, "decision": False}, {"output": [0.25, 0.75], "decision": "rain"}


@pytest.mark.parametrize(
    ("task", "former", "own"),
    [
        (Task("binary"), CLASSES, CHANCE),
        (Task("regression"), CLASSES, {"output": 12.5, "decision": 12.5}),
        (RAIN, CHANCE, CLASSES),
        (SNOW, CLASSES, {"output": [0.25, 0.5, 0.25], "decision": "rain"}),
        (RAIN, {"output": [0.25, 0.75], "decision": "hail"}, CLASSES),
    ],
)
def test_what_was_answered_while_the_task_was_another_is_null(
    tmp_path: Path, task: Task, former: dict[str, Any], own: dict[str, Any]
) -> None:
    answers = [msgspec.structs.replace(make_prediction(number), **said) for number, said in ((1, former), (2, own))]
    log_predictions(tmp_path, *answers)
    index = make_updated_index(tmp_path)
    index.label_spec = replace(index.label_spec, task=task)
    for rows in (
        join_labels(index),
        read_day_answers(index, NOON.date()),
        read_answers_beside(index, "8", "7", MORNING),
    ):
        assert rows.select("output", "decision").rows() == [(None, None), (own["output"], own["decision"])]


def test_a_target_that_no_log_has_is_a_sentence_with_the_file_and_what_mends_it(tmp_path: Path) -> None:
    log_predictions(tmp_path, make_prediction(1))
    log_labels(tmp_path, make_label_by_key(1, 42))
    index = make_updated_index(tmp_path)
    with sqlite3.connect(index.path) as db:
        db.execute("UPDATE labels SET target = 'tzue' WHERE target NOT NULL")
    for read in (
        join_labels,
        lambda index: read_answers_beside(index, "8", "7", NOON),
        lambda index: list(read_answers_with_targets(index, "7", NOON, NOON + make_hours(1))),
    ):
        with pytest.raises(
            DamagedFile, match=rf"{re.escape(INDEX_FILE)} isn't what the logs say: .*: `penumbra doctor` makes it again"
        ):
            read(index)
