"""The days of a replay, on batches of any length."""

import datetime as dt

import pytest

from penumbra.core.settings import load_settings
from penumbra.simulation.replay.day_loop import explain_missing_model
from penumbra.simulation.replay.run import build_replay_environment, move_to_rows, plan_replay
from penumbra.simulation.replay.sandbox import ReplayFailed
from penumbra.simulation.replay.traffic import load_traffic
from tests.helpers.problems.orders import load_orders

MONTHLY_LIST = 'return [Batch(f"2024-{month:02}", dt.date(2024 + month // 12, month % 12 + 1, 1)) '
MONTHLY_LIST += "for month in range(1, MONTHS + 1)]"
DAILY_LIST = """days = [dt.date(2024, 1, 1) + dt.timedelta(days=n) for n in range(50)]
    return [Batch(str(day), day + dt.timedelta(days=1)) for day in days]"""


def load_with_today(day):
    return load_settings(environ={"PENUMBRA_DATA__TODAY": day})


def test_a_short_replay_begins_before_a_batch_arrives_and_its_fault_and_windows_fit_into_it(tmp_path):
    settings = load_with_today("2024-04-01")
    plan = plan_replay(settings, load_orders(tmp_path), 3)
    assert [str(day) for day in plan.days] == ["2024-04-28", "2024-04-29", "2024-04-30"]
    assert len(plan.fault_days) == 1
    assert build_replay_environment(settings, plan)["PENUMBRA_MONITOR__WINDOW_DAYS"] == "1"


def test_two_weeks_have_windows_of_a_week_and_three_days_of_fault(tmp_path):
    settings = load_with_today("2024-04-01")
    plan = plan_replay(settings, load_orders(tmp_path), 14)
    assert len(plan.fault_days) == 3
    assert build_replay_environment(settings, plan)["PENUMBRA_MONITOR__WINDOW_DAYS"] == "7"


def test_daily_batches_are_played_from_today_on(tmp_path):
    plan = plan_replay(load_with_today("2024-02-01"), load_orders(tmp_path, source=[(MONTHLY_LIST, DAILY_LIST)]), 3)
    assert [str(day) for day in plan.days] == ["2024-02-01", "2024-02-02", "2024-02-03"]


def test_days_without_rows_give_way_to_the_next_ones_that_have_some(tmp_path):
    monthly = {"source": [("for day in days:", "for day in days[:1]:")]}
    problem, settings = load_orders(tmp_path, **monthly), load_with_today("2024-02-10")
    today = settings.data.today
    update = {"folder": tmp_path / "data", "derived": tmp_path / "derived"}
    rows = load_traffic(settings.data.model_copy(update=update), problem)
    plan = plan_replay(settings, problem, 3)
    moved = move_to_rows(plan, rows, today)
    assert (str(plan.first), str(moved.first), str(moved.last)) == ("2024-02-27", "2024-03-01", "2024-03-03")
    assert moved.fault - moved.first == plan.fault - plan.first
    assert move_to_rows(moved, rows, today) == moved
    assert str(move_to_rows(plan, rows, dt.date(2024, 2, 1)).first) == "2024-02-01"
    late = plan_replay(load_with_today("2024-06-20"), problem, 3)
    with pytest.raises(ReplayFailed, match=r"no row of the source is from 2024-06-20 or later"):
        move_to_rows(late, rows, dt.date(2024, 6, 20))


def test_a_first_model_that_does_not_pass_the_gate_ends_the_replay_with_the_checks_that_failed():
    receipt = "check  measured  limit  verdict\ncalibration  0.18  0.1  fail  error\nsize  1  9  pass\n"
    assert explain_missing_model("linear", receipt) == (
        "the first model, linear, isn't live, as it didn't pass the gate: calibration; "
        "set replay.candidate to one that does"
    )
