import datetime as dt
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from penumbra.reviews.label_studio.tasks import ExportedTasks, export_tasks
from penumbra.reviews.records import ReviewBlock, ReviewCase
from tests.helpers.logs.prediction_logs import append_to_new_segment
from tests.helpers.logs.review_cases import PROBLEM, make_action, make_review_settings, open_desk, pick_predictions
from tests.reviews.label_studio.awkward_answers import SCHEMA


def write_tasks(folder: Path, problem: Any = PROBLEM, is_all: bool = False, is_blind: bool = True) -> ExportedTasks:
    return export_tasks(make_review_settings(folder, blind=is_blind), problem, folder / "reviews.json", is_all)


def read_tasks(folder: Path) -> list[dict[str, Any]]:
    return json.loads((folder / "reviews.json").read_text())


def test_a_task_has_the_case_and_the_row_and_nothing_that_a_model_says(tmp_path: Path) -> None:
    (case,) = pick_predictions(tmp_path)
    exported = write_tasks(tmp_path)
    assert read_tasks(tmp_path) == [
        {"data": {"case": case, "record": {"carrier": "UA", "flight": 1, "time_hour": "2013-04-01T12:00:00Z"}}}
    ]
    assert exported == ExportedTasks(1, tmp_path / "reviews.xml", ())
    assert exported.configuration.read_text().startswith("<View>")


def test_where_reviews_are_not_blind_it_says_what_was_answered_and_why_the_row_was_picked(tmp_path: Path) -> None:
    pick_predictions(tmp_path)
    write_tasks(tmp_path, is_blind=False)
    (task,) = read_tasks(tmp_path)
    said = {"decision": "no", "output": "probability 0.10", "model": "7", "reasons": ["close call"]}
    assert task["data"]["said"] == said  # words, as Label Studio's table shows nothing for a bool
    assert task["predictions"] == []  # minutes of delay don't follow from a probability


def test_where_the_target_is_an_outcome_the_decision_is_a_prediction(tmp_path: Path) -> None:
    pick_predictions(tmp_path)
    write_tasks(tmp_path, SimpleNamespace(schema=SCHEMA), is_blind=False)
    region = {"from_name": "outcome left", "to_name": "record", "type": "choices", "value": {"choices": ["no"]}}
    assert read_tasks(tmp_path)[0]["predictions"] == [{"model_version": "7", "result": [region]}]


def test_what_was_answered_while_the_task_was_another_is_no_answer_to_begin_with(tmp_path: Path) -> None:
    pick_predictions(tmp_path, said={"output": [0.25, 0.75], "decision": "rain"})
    write_tasks(tmp_path, SimpleNamespace(schema=SCHEMA), is_blind=False)
    (task,) = read_tasks(tmp_path)
    assert (task["data"]["said"]["output"], task["predictions"]) == ("an answer of another task", [])


def test_only_open_cases_are_written_unless_all_are_asked_for(tmp_path: Path) -> None:
    done, waiting = pick_predictions(tmp_path, 2)
    with open_desk(tmp_path) as desk:
        desk.record(make_action(done, "ann", 42))
    for is_all, cases in ((False, {waiting}), (True, {done, waiting})):
        write_tasks(tmp_path, is_all=is_all)
        assert {task["data"]["case"] for task in read_tasks(tmp_path)} == cases


def test_a_case_whose_row_is_gone_is_named_and_has_no_task(tmp_path: Path) -> None:
    gone = "1a2262a29eb16a217-0"
    block = ReviewBlock(dt.datetime(2026, 3, 2, tzinfo=dt.UTC), {}, 1, 1, 1, {})
    append_to_new_segment(tmp_path / "reviews", [ReviewCase(gone, ["chance"], 0.5), block])
    assert write_tasks(tmp_path).missing == (gone,)
    assert read_tasks(tmp_path) == []
