import json
from pathlib import Path
from typing import Any

import pytest

from penumbra.reviews.answer_checks import ReviewRefused
from penumbra.reviews.label_studio.annotations import ReviewerNames
from penumbra.reviews.label_studio.answers import ImportedAnswers, import_answers
from penumbra.reviews.queue import ReviewQueue
from tests.helpers.logs.review_cases import (
    PROBLEM,
    make_action,
    make_review_settings,
    open_desk,
    pick_predictions,
    read_review_labels,
)

ANN = ReviewerNames({"1": "ann"})


def read_export(cases: list[str]) -> list[Any]:
    """What a server of Label Studio 1.23.2 exported of the tasks of these cases, once they had been annotated by its
    API: two annotations of the first, "I can't tell" of the second, and the third was skipped."""
    text = (Path(__file__).parent / "export.json").read_text()
    for n, case in enumerate(cases):
        text = text.replace(f"CASE-{n}", case)
    return json.loads(text)


def import_tasks(folder: Path, tasks: Any, names: ReviewerNames = ANN) -> ImportedAnswers:
    path = folder / "export.json"
    path.write_text(json.dumps(tasks))
    return import_answers(make_review_settings(folder), PROBLEM, path, names)


def read_kinds(folder: Path, case: str) -> list[tuple[str, str, Any]]:
    history = ReviewQueue.read(folder / "reviews").states[case].history
    return [(action.reviewer, action.kind, action.label.get("arr_delay")) for action in history]


def make_region(name: str, kind: str, value: Any) -> dict[str, Any]:
    return {"from_name": name, "to_name": "record", "type": kind, "value": {kind: value}}


def make_task(case: str, *regions: Any, **annotation: Any) -> dict[str, Any]:
    updated = {"updated_at": "2026-03-02T13:00:00Z", **annotation}
    return {
        "id": 7,
        "data": {"case": case},
        "annotations": [{"id": 3, "completed_by": 1, "result": regions, **updated}],
    }


def test_a_real_export_becomes_answers_with_who_when_how_sure_and_a_note(tmp_path: Path) -> None:
    cases = pick_predictions(tmp_path, 3)
    tasks = read_export(cases)
    tasks[0]["annotations"][1]["completed_by"] = {"id": 2, "email": "bob@example.org"}
    imported = import_tasks(tmp_path, tasks, ReviewerNames({"1": "ann", "bob@example.org": "bob"}))
    assert str(imported) == "recorded: 2 answer, 1 cannot tell, 1 skip; known before: 0; refused: 0"
    states = ReviewQueue.read(tmp_path / "reviews").states
    (answer, other), (unsure,), (skipped,) = (states[case].history for case in cases)
    assert (answer.reviewer, answer.label, answer.sureness, answer.note) == (
        *("ann", {"arr_delay": 42}, "sure"),
        'it was a "storm"',
    )
    assert (answer.time.isoformat(), answer.seconds) == ("2026-11-29T07:17:30.233288+00:00", 12.5)
    assert (other.reviewer, other.label, unsure.kind, skipped.kind) == ("bob", {"arr_delay": 5}, "cannot_tell", "skip")
    assert {action.via for action in (answer, other, unsure, skipped)} == {"label studio"}
    assert [states[case].status for case in cases] == ["conflict", "cannot tell", "open"]


def test_the_same_file_twice_records_nothing_twice(tmp_path: Path) -> None:
    cases = pick_predictions(tmp_path, 3)
    tasks = read_export(cases)
    del tasks[0]["annotations"][1]
    import_tasks(tmp_path, tasks)
    again = import_tasks(tmp_path, tasks)
    assert str(again) == "recorded: none; known before: 3; refused: 0"
    assert [len(read_kinds(tmp_path, case)) for case in cases] == [1, 1, 1]
    assert len(read_review_labels(tmp_path)) == 1


def test_what_was_changed_in_label_studio_since_replaces_what_it_said(tmp_path: Path) -> None:
    (case,) = pick_predictions(tmp_path)
    first = make_task(case, make_region("outcome arr_delay", "number", 42))
    later = make_task(case, make_region("outcome arr_delay", "number", 5), updated_at="2026-03-02T14:00:00Z")
    for tasks in (first, later, first, later):
        import_tasks(tmp_path, [tasks])
    assert read_kinds(tmp_path, case) == [("ann", "answer", 42), ("ann", "undo", None), ("ann", "answer", 5)]
    assert [label["label"] for label in read_review_labels(tmp_path)] == [{"arr_delay": 42}, {}, {"arr_delay": 5}]


def test_an_import_that_ended_after_the_undo_is_completed_by_the_next_one(tmp_path: Path) -> None:
    (case,) = pick_predictions(tmp_path)
    import_tasks(tmp_path, [make_task(case, make_region("outcome arr_delay", "number", 42))])
    time = "2026-03-02T14:00:00+00:00"
    with open_desk(tmp_path) as desk:
        desk.record(make_action(case, "ann", kind="undo", at=121, token=f"3 {time} undo"))
    import_tasks(tmp_path, [make_task(case, make_region("outcome arr_delay", "number", 5), updated_at=time)])
    assert read_kinds(tmp_path, case)[-1] == ("ann", "answer", 5)


def test_what_is_undone_on_the_page_stays_undone_though_the_file_is_imported_again(tmp_path: Path) -> None:
    (case,) = pick_predictions(tmp_path)
    tasks = [make_task(case, make_region("outcome arr_delay", "number", 42))]
    import_tasks(tmp_path, tasks)
    with open_desk(tmp_path) as desk:
        desk.record(make_action(case, "ann", kind="undo", at=200))
    assert import_tasks(tmp_path, tasks).known == 1
    assert read_review_labels(tmp_path)[-1]["label"] == {}


def test_a_flight_without_an_outcome_is_an_answer_of_no_value(tmp_path: Path) -> None:
    (case,) = pick_predictions(tmp_path)
    import_tasks(tmp_path, [make_task(case, make_region("none arr_delay", "choices", ["no value"]))])
    assert read_kinds(tmp_path, case) == [("ann", "answer", None)]


LATE = make_region("outcome arr_delay", "number", 42)
REFUSED = [
    (
        {"result": [make_region("outcome arr_delay", "number", 99_999)]},
        "task 7, annotation 3: arr_delay is 99999: expected less than or equal to 3000",
    ),
    ({"result": []}, "task 7, annotation 3: arr_delay missing: expected a value or null: the field is required"),
    (
        {"result": [LATE, make_region("cannot tell", "choices", ["I can't tell"])]},
        "task 7, annotation 3: it says \"I can't tell\" and {'arr_delay': 42}: expected one of the two",
    ),
    (
        {"result": [LATE, make_region("none arr_delay", "choices", ["no value"])]},
        "task 7, annotation 3: arr_delay is 42 and 'no value': expected one of the two",
    ),
    (
        {"result": [LATE, make_region("sureness", "choices", ["certain"])]},
        "task 7, annotation 3: sureness is 'certain': expected sure, likely, guess",
    ),
    (
        {"completed_by": 2},
        "task 7, annotation 3: it was completed by 2: expected a name for that annotator (--map 2=NAME)",
    ),
    ({"updated_at": "yesterday"}, "task 7: Invalid RFC3339 encoded datetime - at `$.updated_at`"),
    (
        {"updated_at": "0001-01-01T00:00:00+05:00"},
        "task 7, annotation 3: it was updated at 0001-01-01T00:00:00+05:00: expected a time that UTC has, too",
    ),
]


@pytest.mark.parametrize(("change", "words"), REFUSED)
def test_what_cannot_be_recorded_is_named_with_task_and_value_and_the_rest_is_recorded(
    tmp_path: Path, change: Any, words: str
) -> None:
    wrong, right = pick_predictions(tmp_path, 2)
    task = make_task(wrong, LATE, **{key: value for key, value in change.items() if key != "result"})
    task["annotations"][0]["result"] = change.get("result", [LATE])
    imported = import_tasks(tmp_path, [task, make_task(right, LATE)])
    assert imported.refused == (words,)
    assert [label["prediction"] for label in read_review_labels(tmp_path)] == [right]


def test_a_time_in_the_future_is_refused_and_the_case_can_be_answered_on_the_page(tmp_path: Path) -> None:
    (case,) = pick_predictions(tmp_path)
    (words,) = import_tasks(tmp_path, [make_task(case, LATE, updated_at="9999-12-31T23:59:59.999999Z")]).refused
    assert words.startswith("task 7, annotation 3: it was done at 9999-12-31 23:59 UTC: expected none after")
    with open_desk(tmp_path) as desk:
        assert desk.record(make_action(case, "bob", 5)).status == "decided"


def test_an_annotation_whose_id_has_blanks_counts_once(tmp_path: Path) -> None:
    (case,) = pick_predictions(tmp_path)
    tasks = [make_task(case, LATE, unique_id="a b  c")]
    assert [import_tasks(tmp_path, tasks).known for _ in range(2)] == [0, 1]


@pytest.mark.parametrize(
    "content",
    [b'[{"id":1,"data":{"case":"\xe9"},"annotations":[]}]', b"[" * 9999],
)
def test_a_file_that_is_no_json_in_utf_8_is_refused_with_words(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "export.json"
    path.write_bytes(content)
    with pytest.raises(ReviewRefused, match="expected an export of Label Studio in its format JSON"):
        import_answers(make_review_settings(tmp_path), PROBLEM, path, ANN)


def test_an_annotation_that_is_not_in_utf_8_is_named(tmp_path: Path) -> None:
    path = tmp_path / "export.json"
    path.write_bytes(b'[{"id":7,"data":{},"annotations":[{"id":3,"completed_by":"\xe9"}]}]')
    (words,) = import_answers(make_review_settings(tmp_path), PROBLEM, path, ANN).refused
    assert words.startswith("task 7: 'utf-8' codec can't decode byte 0xe9")


def test_a_task_of_no_case_is_named(tmp_path: Path) -> None:
    pick_predictions(tmp_path)
    (words,) = import_tasks(tmp_path, [make_task("1a0-0", LATE)]).refused
    assert words.startswith("task 7, annotation 3: '1a0-0' is no case of the review queue")


def test_controls_that_a_team_added_are_ignored_and_named(tmp_path: Path) -> None:
    (case,) = pick_predictions(tmp_path)
    imported = import_tasks(tmp_path, [make_task(case, LATE, make_region("colour", "choices", ["red"]))])
    assert (imported.ignored, read_kinds(tmp_path, case)) == (("colour",), [("ann", "answer", 42)])


@pytest.mark.parametrize("tasks", [{"a": 1}, [{"id": 1, "case": "1a0-0", "outcome arr_delay": [{"number": 5}]}]])
def test_a_file_that_is_no_export_is_refused_as_a_whole(tmp_path: Path, tasks: Any) -> None:
    with pytest.raises(ReviewRefused, match="expected an export of Label Studio in its format JSON"):
        import_tasks(tmp_path, tasks)
