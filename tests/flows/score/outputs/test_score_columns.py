"""The columns of the output: no column of the key gives way to one of the answer."""

import msgspec
import numpy as np
import polars as pl
import pytest

from flows.steps.score.outputs.score_columns import list_keys, list_other_scores, list_plain_scores
from penumbra.core.task import Task
from service.inference.runs.batch_run import ScoredRecord
from service.inference.runs.frame_run import PlainRows
from service.inference.runs.frame_scoring import ScoredFrame

TASKS = {
    "binary": (Task("binary"), ["probability", "decision"]),
    "multiclass": (Task("multiclass", ("crow", "owl")), ["probability_crow", "probability_owl", "decision"]),
    "regression": (Task("regression"), ["value"]),
}


@pytest.mark.parametrize("kind", TASKS)
def test_key_columns_with_the_names_of_an_answer_are_kept_under_another_one(kind):
    task, names = TASKS[kind]
    taken = [*names, "prediction_id", "model_version", "review"]
    rows = pl.DataFrame({name: [name] for name in [*taken, "ring"]})
    keys = list_keys(task, rows, pl.Series("penumbra.row", [0]), rows.columns)
    assert keys.columns == ["penumbra.row", *(f"penumbra.key.{name}" for name in taken), "ring"]
    outputs = np.full((1, 2) if task.classes else 1, 0.5)
    plain = PlainRows(np.arange(1), np.empty((1, 0)), outputs, pl.Series([True]), np.zeros(1, int), [{}])
    scored = ScoredFrame("1", plain, {}, {})
    scores = list_plain_scores(task, keys, pl.Series(["id"]), scored)
    assert scores.columns[: len(keys.columns)] == keys.columns
    assert scores.select(keys.columns[1:]).row(0) == (*taken, "ring")
    assert scores[names[0]].to_list() == [0.5]


def test_numbers_that_rules_decide_may_be_whole_beside_others_that_are_not():
    answers = [ScoredRecord(msgspec.Raw(b"{}"), "1", (), output, output, {}) for output in (30, 12.5)]
    keys = pl.DataFrame({"penumbra.row": [0, 1]})
    scores = list_other_scores(TASKS["regression"][0], keys, pl.Series(["a", "b"]), answers)
    assert scores["value"].to_list() == [30.0, 12.5]
