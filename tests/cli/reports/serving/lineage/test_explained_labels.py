"""The labels of an answer: what came of each, who gave it, and whom a case without one waits for."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from penumbra.cli.reports.serving.lineage_report import format_lineage
from penumbra.registry.lineage import explain_prediction
from penumbra.reviews.case_lineage import explain_reviewed_prediction
from tests.cli.reports.serving.lineage.explaining import catch_up
from tests.helpers.logs import prediction_logs, review_cases
from tests.helpers.servers import local_service

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # BentoML's use of pydantic


@pytest.mark.slow
def test_the_labels_are_told_with_what_came_of_each(client: Any, deployed: Path, name: str) -> None:
    client.post("/feedback", json=[{"prediction_id": name, "arr_delay": minutes} for minutes in (3, 3, 42)])
    catch_up(deployed)
    labels = client.get(f"/explain/{name}").json()["labels"]
    assert labels["current"] == {"label": {"arr_delay": 42}, "target": True}
    assert [label["outcome"] for label in labels["history"][-3:]][1:] == ["duplicate", "correction"]
    assert labels["late"] is False
    assert "problem" not in labels


def test_a_prediction_without_a_label_says_so(tmp_path: Path) -> None:
    (name,) = prediction_logs.log_predictions(tmp_path, prediction_logs.make_prediction(1))
    assert explain_prediction(catch_up(tmp_path), name)["labels"] == {"current": None, "history": []}


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ([], "none yet: picked for review, waits for a person"),
        ([("ann", 42)], "none yet: picked for review, waits for a second person; answered by ann"),
        ([("bob", 42), ("ann", 3)], "none yet: picked for review, conflict; answered by ann, bob"),
    ],
)
def test_a_case_without_a_label_says_whom_it_waits_for(
    tmp_path: Path, answers: list[tuple[str, int]], words: str
) -> None:
    (name,) = review_cases.pick_predictions(tmp_path, reviewers=2)
    with review_cases.open_desk(tmp_path) as desk:
        for reviewer, minutes in answers:
            desk.record(review_cases.make_action(name, reviewer, minutes))
    catch_up(tmp_path)
    assert words in format_lineage(explain_reviewed_prediction(review_cases.make_review_settings(tmp_path), name))


def test_a_label_later_than_due_is_late(tmp_path: Path) -> None:
    (name,) = prediction_logs.log_predictions(tmp_path, prediction_logs.make_prediction(1))
    prediction_logs.log_labels(
        tmp_path, prediction_logs.make_label_by_id(name, 42, prediction_logs.NOON + prediction_logs.make_hours(24.5))
    )
    labels = explain_prediction(catch_up(tmp_path), name)["labels"]
    assert (labels["late"], labels["delay_hours"]) == (True, 24.5)


def test_a_label_that_was_there_before_its_answer_came_after_no_time(tmp_path: Path) -> None:
    (name,) = prediction_logs.log_predictions(tmp_path, prediction_logs.make_prediction(1))
    before = prediction_logs.NOON - prediction_logs.make_hours(24.5)
    prediction_logs.log_labels(tmp_path, prediction_logs.make_label_by_id(name, 42, before))
    shown = format_lineage(explain_prediction(catch_up(tmp_path), name))
    assert "arr_delay=42: target true; the first was there already" in shown


def test_a_label_of_people_says_who_why_and_how_sure_and_what_corrected_it(tmp_path: Path) -> None:
    (case,) = review_cases.pick_predictions(tmp_path)
    with review_cases.open_desk(tmp_path) as desk:
        desk.record(review_cases.make_action(case, "ann", 5, sureness="guess", note="<b>no</b> storm"))
    (given,) = explain_prediction(catch_up(tmp_path), case)["labels"]["history"]
    assert given["counts"]
    said = {"reviewers": ["ann"], "reasons": ["close call"], "probability": 0.25, "sureness": "guess"}
    assert given["review"] == {"prediction": case, **said, "note": "<b>no</b> storm"}
    tomorrow = dt.datetime.now(dt.UTC) + prediction_logs.make_hours(24)
    (later,) = prediction_logs.log_labels(tmp_path, prediction_logs.make_label_by_id(case, 42, tomorrow))
    facts = explain_prediction(catch_up(tmp_path), case)
    assert [label["counts"] for label in facts["labels"]["history"]] == [False, True]
    assert facts["labels"]["history"][0]["review"]["corrected_by"] == later
    shown = format_lineage(facts)
    assert "by ann (guess), picked with a chance of 0.25: close call" in shown
    assert "note: \\x3cb\\x3eno\\x3c/b\\x3e storm" in shown
    assert f"corrected by arr_delay=42 (feedback) at {tomorrow:%Y-%m-%d %H:%M}" in shown


def test_a_label_that_people_took_back_is_told_and_does_not_count(tmp_path: Path) -> None:
    (case,) = review_cases.pick_predictions(tmp_path)
    with review_cases.open_desk(tmp_path) as desk:
        desk.record(review_cases.make_action(case, "ann", 5))
        desk.record(review_cases.make_action(case, "ann", kind="undo", at=2))
    labels = explain_prediction(catch_up(tmp_path), case)["labels"]
    assert labels["current"] is None
    assert [label["outcome"] for label in labels["history"]] == ["attached", "taken back"]
    assert "corrected_by" not in labels["history"][0]["review"]


def test_an_index_that_is_behind_or_missing_is_owned_up_to(tmp_path: Path) -> None:
    (name,) = prediction_logs.log_predictions(tmp_path, prediction_logs.make_prediction(1))
    assert (
        "no readable index"
        in explain_prediction(local_service.make_service_settings(tmp_path), name)["labels"]["problem"]
    )
    catch_up(tmp_path)
    prediction_logs.log_labels(tmp_path, prediction_logs.make_label_by_id(name, 42))
    assert "behind" in explain_prediction(local_service.make_service_settings(tmp_path), name)["labels"]["problem"]
