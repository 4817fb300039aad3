"""What "keep collecting" waits for, on the orders: asked, labelled and scored as the test says."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from flows.steps.model_version import ModelVersion
from flows.steps.promote.paired_evidence import read_paired_answers
from flows.steps.promote.waiting import explain_rare_days, explain_waiting
from penumbra.logs.schema import LabelEntry, PredictionEntry
from tests.helpers.logs import prediction_logs
from tests.helpers.models import registered_versions
from tests.helpers.problems.orders import load_orders

NOON = dt.datetime(2024, 6, 10, 12, tzinfo=dt.UTC)


def make_order(number: int, at: dt.datetime) -> dict[str, Any]:
    return {"order_id": number, "at": at, "region": "west", "amount": 20.0, "age": 40, "member": True}


@pytest.fixture
def explain(tmp_path: Path) -> Callable[..., str]:
    """A function that logs orders of each day, two asked at their time by default; says what version 2 waits for."""
    problem = load_orders(tmp_path)
    settings = registered_versions.make_registry_settings(tmp_path)
    versions = [ModelVersion(tmp_path / n, {"train": train}, problem) for n, train in (("1", []), ("2", ["2024-05"]))]

    def explain_logged(
        *days: int, month=6, asked=None, labels=True, wrong_key=0, scored=True, year=2024, per_day=2, **marks
    ) -> str:
        times = [dt.datetime(year, month, day, 9, tzinfo=dt.UTC) for day in days for _ in range(per_day)]
        entries = [
            PredictionEntry(asked or at, "c", make_order(n, at), [], 0.5, True, "1", 80, **marks)
            for n, at in enumerate(times)
        ]
        ids = prediction_logs.log_predictions(tmp_path, *entries) if entries else []
        if labels and entries:
            known = [
                LabelEntry(asked or at, "feedback", {"churned": False}, [n + wrong_key]) for n, at in enumerate(times)
            ]
            prediction_logs.log_labels(tmp_path, *known)
        if scored and entries:
            registered_versions.log_shadow_answers(tmp_path, "2", ids, times, [0.4] * len(ids))
        return "; ".join(explain_waiting(settings, *versions, read_paired_answers(settings, *versions), NOON))

    return explain_logged


def test_one_row_that_does_not_count_is_told_in_the_singular(explain):
    assert explain(3, month=5, asked=NOON, per_day=1).startswith(
        "1 of 1 scored row doesn't count: its at isn't after 2024-06-01"
    )


def test_before_the_first_answer_nothing_has_been_asked(explain):
    assert explain() == "version 1 has answered nothing yet that is in the prediction log"


def test_rows_of_the_past_that_are_asked_today_never_count_where_the_candidate_has_learnt_them(explain):
    """Last month's orders, posted today with their labels."""
    assert explain(3, 4, month=5, asked=NOON) == (
        "4 of 4 scored rows don't count: their at isn't after 2024-06-01, when the last batch was "
        "complete that version 2 has learnt from"
    )


def test_rows_asked_today_count_when_their_labels_are_due_and_the_setting_is_named(explain):
    assert explain(7, 8, asked=NOON) == (
        "the next day to count is 2024-06-07, from 2024-06-11 12:00 UTC on: labels are due 24 h after the row's at or "
        "the prediction, whichever is later (labels.delay_hours); its labels are here, and "
        "`PENUMBRA_LABELS__DELAY_HOURS=0 make promote` lets them count at once"
    )


def test_no_command_makes_a_day_count_whose_labels_are_missing(explain):
    assert explain(7, 8, asked=NOON, labels=False).endswith("whichever is later (labels.delay_hours)")


def test_a_day_that_isnt_over_counts_when_its_last_label_is_due(explain):
    assert "the next day to count is 2024-06-10, from 2024-06-11 09:00 UTC on" in explain(10)


def test_a_day_whose_labels_are_due_after_the_last_day_there_is_can_be_named(explain):
    assert "the next day to count is 9999-12-31, from +10000-01-01 09:00 UTC on" in explain(31, year=9999, month=12)


def test_days_without_labels_are_counted_with_the_share_that_they_need(explain):
    assert explain(7, 9, labels=False).startswith(
        "nothing has been asked of version 1 since 2024-06-09 09:00 UTC; of 2 days that are over, from 2024-06-07 on, "
        "too few rows have a label (of the first 0%): a day counts from 95% on (promotion.coverage)"
    )


def test_labels_that_fit_no_prediction_are_counted_with_the_key_that_they_need(explain):
    assert "2 labels belong to no prediction: see that they have what was asked with (order_id)" in explain(
        7, wrong_key=100
    )


def test_answers_that_a_rule_had_a_say_in_are_counted(explain):
    reasons = explain(10, rules=["odd"])
    assert reasons == "a rule or another model had a say in 2 of its 2 answers, which don't count"


def test_a_shadow_that_has_scored_nothing_is_named(explain):
    assert explain(10, scored=False) == "version 2 has scored none of the 2 others (`penumbra shadow` says why)"


def test_where_a_year_has_one_day_of_rows_the_days_that_are_missing_are_told_in_years():
    years = pl.Series([dt.date(year, 1, 1) for year in range(2005, 2020)])
    assert explain_rare_days(years, 1, 7) == [
        "days without rows don't count, and 15 of the reference have some between 2005-01-01 and 2019-01-01: at that "
        "rate 7 more days will take about 7 years"
    ]


@pytest.mark.parametrize(("block_days", "needed", "long"), [(1, 7, "49 days"), (1, 1, "7 days"), (2, 8, "28 days")])
def test_of_weekly_days_each_takes_a_week(block_days, needed, long):
    weeks = pl.Series([dt.datetime(2024, 1, 1) + dt.timedelta(weeks=n) for n in range(9)])
    (sentence,) = explain_rare_days(weeks, block_days, needed)
    assert sentence.endswith(f"will take about {long}")


@pytest.mark.parametrize("needed", [7, None])
def test_of_working_days_nothing_is_said(needed):
    days = pl.Series([dt.date(2024, 1, 1) + dt.timedelta(days=n) for n in range(60) if n % 7 < 5])
    assert explain_rare_days(days, 1, needed) == []
