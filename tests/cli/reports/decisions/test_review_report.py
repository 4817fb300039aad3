import json

import pytest

from penumbra.cli.reports.decisions.review_report import describe_queue, format_block, report_queue
from penumbra.reviews.queue import ReviewQueue
from penumbra.reviews.records import ReviewBlock, ReviewCase
from tests.helpers.command_line import run_command_line
from tests.helpers.logs.prediction_logs import append_to_new_segment
from tests.helpers.logs.review_cases import make_action, make_moment
from tests.helpers.logs.reviewed_rows import log_rows


@pytest.fixture
def folder(tmp_path):
    """Three cases of 2,000 rows, one of which is decided."""
    cases = [
        ReviewCase("1-0", ["rule look"], 1),
        ReviewCase("2-0", ["rule look", "close call"], 0.5),
        ReviewCase("3-0", ["chance"], 0.001),
    ]
    reasons = {"rule look": 2, "close call": 100, "chance": 1899}
    block = ReviewBlock(make_moment(0), {"a": (0, 9)}, 2000, 3, 3.5, reasons)
    append_to_new_segment(tmp_path, [*cases, block, make_action("1-0", minutes=5)])
    return tmp_path


def test_the_report_says_what_became_of_the_cases_why_they_were_picked_and_what_waits(folder):
    text = "\n\n".join(report_queue(ReviewQueue.read(folder, make_moment(90))))
    rows = [line.split() for line in text.splitlines()]
    assert ["open", "2"] in rows
    assert ["decided", "1"] in rows
    assert ["rule", "look", "2", "2", "1"] in rows
    assert ["close", "call", "100", "1", "1"] in rows
    assert "2 wait; the oldest for 1.5 h." in text
    assert "At 2026-03-02 12:00 UTC 3 of 2,000 rows were picked." in text


def test_rows_that_have_a_label_already_are_said_not_to_be_asked_about():
    block = ReviewBlock(make_moment(0), {"a": (0, 9)}, 1, 1, 3.5, {"chance": 1}, labelled=400)
    said = format_block(block)
    assert said == "1 of 1 row was picked; 400 more have a label already and aren't asked about."


def test_machines_are_told_the_same(folder):
    told = describe_queue(ReviewQueue.read(folder, make_moment(90)))
    assert told["statuses"]["open"] == 2
    assert told["reasons"][0] == {"reason": "chance", "rows": 1899, "cases": 1, "open": 1}
    assert (told["oldest"], told["blocks"]) == (make_moment(0), 1)


def test_cases_that_wait_for_a_second_person_are_counted(tmp_path):
    cases = [ReviewCase(name, ["chance"], 0.1, 2) for name in ("1-0", "2-0", "3-0")]
    block = ReviewBlock(make_moment(0), {}, 30, 3, 3, {"chance": 30})
    actions = [make_action("1-0", minutes=5), make_action("2-0", kind="cannot_tell"), make_action("3-0", kind="skip")]
    append_to_new_segment(tmp_path, [*cases, block, *actions])
    queue = ReviewQueue.read(tmp_path, make_moment(60))
    assert "3 wait, 2 of them for a second person; the oldest for 1.0 h." in "\n".join(report_queue(queue))
    assert describe_queue(queue)["half_answered"] == 2


def test_without_a_case_the_report_says_how_to_get_one(tmp_path):
    (said,) = report_queue(ReviewQueue.read(tmp_path))
    assert "`penumbra pick-reviews`" in said


def test_the_command_picks_rows_and_shows_the_queue(tmp_path, monkeypatch):
    for section, name in (("REVIEW", "reviews"), ("LABELS", "labels"), ("MONITOR", "monitor")):
        monkeypatch.setenv(f"PENUMBRA_{section}__FOLDER", str(tmp_path / name))
    monkeypatch.setenv("PENUMBRA_SERVICE__PREDICTIONS", str(tmp_path / "predictions"))
    log_rows(tmp_path, 5)
    assert run_command_line("pick-reviews", "--count", "2").stdout == "2 of 5 rows were picked.\n"
    said = run_command_line("pick-reviews", "--count", "20").stdout
    assert said == "No row was picked: none has arrived since rows were picked last.\n"
    said = run_command_line("pick-reviews").stdout
    assert said.startswith("No row was picked: the budget has come to 0.0 rows so far, of 8 that it takes")
    assert json.loads(run_command_line("reviews", "--json").stdout)["statuses"]["open"] == 2
    assert "2 wait" in run_command_line("reviews").stdout
