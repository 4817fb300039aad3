"""What a replay prints at its end."""

import datetime as dt
import json

import pytest

from monitoring.windows.window_records import DayFault
from monitoring.windows.window_store import WindowStore
from penumbra.core.settings import load_settings
from penumbra.core.task import Task
from penumbra.simulation.replay import report, review_report
from tests.helpers.models.recorded_windows import make_window

REVIEWS = {
    "cases": 0,
    "reasons": {},
    "statuses": {},
    "targets": [],
    "picked": [],
    "contradicted": 0,
    "error": 6.0,
    "known": 20,
}
DAY = {"version": "1", "fault": "", "columns": [], "sabotaged": "", "entries": [], "rows": 24, "reviews": REVIEWS}


def make_steps(losses, **first):
    days = [{**DAY, "day": f"2024-05-0{n}", "labels": 20 if loss else 0} for n, loss in enumerate(losses, start=1)]
    days = [{**day, "loss": 20 * loss, "never": 20 * loss} for day, loss in zip(days, losses, strict=True)]
    return [{**days[0], **first}, *days[1:]]


def test_large_losses_do_not_run_together():
    steps = make_steps([8_123_456.5, 7_000_000.0])
    assert report.format_version_table(steps).splitlines() == [
        "version  from        to          days  rows       loss  version 1",
        "1        2024-05-01  2024-05-02     2    48  7,561,728  7,561,728",
        "all      2024-05-01  2024-05-02     2    48  7,561,728  7,561,728",
    ]


@pytest.fixture
def settings(tmp_path):
    loaded = load_settings(environ={})
    return loaded.model_copy(update={"monitor": loaded.monitor.model_copy(update={"folder": tmp_path})})


@pytest.mark.slow
def test_the_loss_has_its_own_name_and_the_fault_is_told_with_its_column(settings, tmp_path):
    steps = make_steps([400.0, 300.0], fault="amount is missing from all rows", columns=["amount"], sabotaged="2")
    words = report.write_replay_report(settings, steps, Task("regression"), 2, tmp_path)
    assert "The fault: 2024-05-01: amount is missing from all rows; the monitor found no data fault then." in words
    assert "The saboteur: version 2 was never promoted." in words
    figures = json.loads(words.splitlines()[-1])
    assert (figures["served_squared_error"], figures["fault_noticed"]) == (350.0, False)
    page = (tmp_path / report.REPORT_FILE).read_text()
    assert "Squared error a row" in page
    assert "amount is missing" in page


@pytest.mark.slow
def test_a_fault_of_days_that_are_judged_together_is_noticed_on_each_of_them(settings):
    before = DayFault(dt.date(2024, 4, 30), "nulls", "amount", "100% are missing", "a join", 3)
    WindowStore(settings.monitor.folder).write(make_window(0, faults=[before]))
    steps = make_steps([400.0, 300.0], fault="amount is missing from all rows", columns=["amount"], sabotaged="2")
    assert report.compute_replay_figures(settings, steps, "squared_error")["fault_noticed"]


@pytest.mark.slow
def test_days_without_labels_have_no_loss_and_no_fault_is_said_so(settings, tmp_path):
    words = report.write_replay_report(settings, make_steps([0.0, 0.0], sabotaged="2"), Task("binary"), 2, tmp_path)
    assert "none, as no column could be altered within the contract" in words
    figures = json.loads(words.splitlines()[-1])
    assert (figures["served_log_loss"], figures["fault_noticed"]) == (None, None)


def make_reviewed_days(picked, **of_each):
    """Two days on which people answered the same cases, each with its chance and error."""
    reviews = REVIEWS | {"cases": len(picked), "picked": picked, "reasons": {"chance": len(picked)}} | of_each
    return [{**step, "reviews": reviews} for step in make_steps([1.0, 1.0])]


def test_reasons_are_said_to_overlap_where_a_row_was_picked_for_several():
    steps = make_reviewed_days([[0.5, False, 1.0]], statuses={"decided": 1}, reasons={"chance": 1, "wide set": 1})
    assert "picked (chance 2, wide set 2; some for several); 2 decided." in next(
        review_report.describe_reviews(steps, "binary", 2)
    )


def test_what_people_answered_is_told_with_the_error_rate_of_all_rows_beside_the_true_one():
    picked = [[0.5, False, 1.0], [0.5, False, 0.0], [0.5, False, 0.0], [0.5, False, None]]
    targets = [{"reviewer 1": True, "reviewer 2": False}]
    steps = make_reviewed_days(picked, statuses={"decided": 3, "cannot tell": 1}, targets=targets, contradicted=1)
    words = list(review_report.describe_reviews(steps, "binary", 2))
    assert words[0] == "Reviews: 8 of 48 rows were picked (chance 8); 6 decided, 2 cannot tell."
    assert "of which 2 have answers that differ" in words[1]
    assert words[2].startswith("By their answers: too few answers to name the error rate, which is")
    assert "by all outcomes 30.0 %. A day's interval holds the true one of that day on 2 of 2 days." in words[2]
    assert words[3] == "What that brought: 6 labels 2 days before the outcomes, which contradict 2 of them."


def test_the_figures_have_the_estimate_and_the_truth_and_none_where_nothing_was_answered():
    figures = review_report.compute_review_figures(make_reviewed_days([[0.5, False, 1.0], [0.5, False, 0.0]]), "binary")
    assert (figures["reviewed"], figures["error_rate"], figures["true_error_rate"]) == (4, 0.5, 0.3)
    assert figures["error_rate_low"] < 0.3 < figures["error_rate_high"]
    nothing = review_report.compute_review_figures(make_steps([1.0]), "regression")
    assert (nothing["reviewed"], nothing["agreement"], nothing["mean_error"], nothing["mean_error_low"]) == (
        0,
        *[None] * 3,
    )


def test_a_mean_error_of_so_few_answers_that_it_has_no_interval_holds_nothing():
    steps = make_reviewed_days([[1.0, False, 2.0], [0.1, False, 3.0]], statuses={"decided": 2})
    assert "<td>2.909 (no interval)</td>" in review_report.build_review_table(steps, "regression")
    words = list(review_report.describe_reviews(steps, "regression", 2))
    assert "A day's interval holds the true one of that day on 0 of 0 days." in words[2]


def test_the_queue_by_day_is_a_table_that_escapes_what_it_shows():
    steps = make_reviewed_days([[0.5, False, 1.0]], reasons={"unseen <b>": 1}, statuses={"decided": 1})
    table = review_report.build_review_table(steps, "binary")
    assert "<td>2024-05-01</td><td>24</td><td>1</td><td>unseen &lt;b&gt; 1</td><td>decided 1</td>" in table
