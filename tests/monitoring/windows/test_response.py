"""What follows from a window."""

import datetime as dt
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.windows.response import WindowSignals, decide_response

DAY = dt.date(2013, 7, 8)
POLICY = SimpleNamespace(
    on_faults=True, on_drift=True, on_loss=True, every_days=0, cooldown_days=14, max_retrains=2, period_days=90
)
DRIFT, LOSS = WindowSignals(column="temp", ratio=1.5), WindowSignals(loss=0.6, threshold=0.5)


def policy(**changes):
    return SimpleNamespace(**{**vars(POLICY), **changes})


def ago(*days):
    return [DAY - dt.timedelta(each) for each in days]


def test_a_calm_window_is_ok_and_says_what_was_looked_at():
    said = decide_response(WindowSignals(column="temp", ratio=0.4, loss=0.4, threshold=0.5), DAY, [], POLICY)
    assert said.verdict == "ok"
    assert "temp is at 0.40" in said.reason
    assert "up to 0.5000 is usual" in said.reason


@pytest.mark.parametrize("seen", [DRIFT, LOSS])
def test_drift_and_loss_beyond_their_thresholds_call_for_a_retraining(seen):
    assert decide_response(seen, DAY, [], POLICY).verdict == "retrain"


def test_a_fault_comes_before_drift_and_loss_which_are_named_after_it_where_they_are_beyond_their_thresholds():
    seen = WindowSignals(["temp is stuck"], "temp", 3.0, loss=0.6, threshold=0.5)
    said = decide_response(seen, DAY, [], POLICY)
    assert said.verdict == "investigate"
    assert said.reason == (
        "temp is stuck; drift: temp is at 3.00 times its threshold; loss: 0.6000 on mature labels, above 0.5000"
    )
    calm = decide_response(WindowSignals(["temp is stuck"], "temp", 0.9, loss=0.4, threshold=0.5), DAY, [], POLICY)
    assert calm.reason == "temp is stuck"


def test_the_predictions_are_at_their_threshold():
    said = decide_response(WindowSignals(column="the predictions", ratio=1.7), DAY, [], POLICY)
    assert "drift: the predictions are at 1.70 times their threshold" in said.reason


@pytest.mark.parametrize(
    ("seen", "off"), [(DRIFT, "on_drift"), (LOSS, "on_loss"), (WindowSignals(["temp is stuck"]), "on_faults")]
)
def test_each_part_of_the_policy_can_be_switched_off(seen, off):
    assert decide_response(seen, DAY, [], policy(**{off: False})).verdict == "ok"


@pytest.mark.parametrize(("age", "verdict"), [(29, "ok"), (30, "retrain"), (None, "ok")])
def test_a_model_can_be_made_anew_by_its_age(age, verdict):
    assert decide_response(WindowSignals(age=age), DAY, [], policy(every_days=30)).verdict == verdict


@pytest.mark.parametrize(("days", "verdict"), [(13, "wait"), (14, "retrain")])
def test_a_retraining_waits_for_the_cool_down_of_the_last_one(days, verdict):
    said = decide_response(DRIFT, DAY, ago(days), POLICY)
    assert said.verdict == verdict
    assert "temp" in said.reason


def test_at_the_limit_of_a_period_people_are_asked_to_look():
    assert decide_response(DRIFT, DAY, ago(20, 60), POLICY).verdict == "investigate"
    assert decide_response(DRIFT, DAY, ago(20, 90), POLICY).verdict == "retrain"


def test_where_there_is_nothing_newer_to_learn_from_nothing_is_trained():
    said = decide_response(WindowSignals(column="temp", ratio=1.5, has_newer_data=False), DAY, [], POLICY)
    assert said.verdict == "wait"
    assert "nothing newer to learn from" in said.reason


def test_what_is_not_judged_as_usual_is_no_further_alarm_but_a_note():
    limit = "loss: 7.74% of the losses count as the ceiling"
    seen = WindowSignals(column="temp", ratio=1.5, has_newer_data=False, limits=[limit, "faults aren't judged"])
    said = decide_response(seen, DAY, [], POLICY).reason
    assert said.endswith(f"than what the latest version knows; note: {limit}; faults aren't judged")


def test_a_window_whose_labels_came_after_a_later_one_led_to_a_retraining_leads_to_no_second_one():
    said = decide_response(LOSS, DAY, ago(-7), POLICY)
    assert said.verdict == "wait"
    assert said.reason.endswith("above 0.5000; but a later window has led to a retraining, on 2013-07-15")


def test_loss_without_a_threshold_is_no_alarm():
    assert decide_response(WindowSignals(loss=9.0), DAY, [], POLICY).verdict == "ok"


def test_where_nothing_is_known_nothing_is_done():
    assert decide_response(WindowSignals(), DAY, [], POLICY).verdict == "ok"


@given(st.lists(st.integers(-20, 200)), st.integers(0, 5), st.integers(0, 30))
def test_no_more_retrainings_than_allowed_whatever_the_history(days, most, cooldown):
    said = decide_response(DRIFT, DAY, ago(*days), policy(max_retrains=most, cooldown_days=cooldown))
    if said.verdict == "retrain":
        assert sum(each < POLICY.period_days for each in days) < most
        assert all(each >= cooldown for each in days)


def test_the_reason_says_over_which_days_where_these_are_more_than_the_window():
    seen = WindowSignals(
        column="temp",
        ratio=1.5,
        stretch=", higher over the last 28 days",
        loss=0.6,
        threshold=0.5,
        loss_stretch=", over the last 56 days",
    )
    said = decide_response(seen, DAY, [], POLICY).reason
    assert "temp is at 1.50 times its threshold, higher over the last 28 days" in said
    assert "loss: 0.6000 on mature labels, over the last 56 days, above 0.5000" in said
