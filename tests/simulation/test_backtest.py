"""Policies side by side: what is recommended, and the real year in a short form."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from penumbra.core.loading.problem_loading import load_problem
from penumbra.core.settings import load_settings
from penumbra.simulation.backtest import report
from penumbra.simulation.backtest.history import BacktestHistory
from penumbra.simulation.backtest.policies import ModelFit, PolicyEvent, PolicyRun, RetrainingPolicy
from penumbra.simulation.backtest.prepared_data import prepare_backtest_data
from penumbra.simulation.backtest.trials import PolicyResult, PolicyTrial, play_trial

SETTINGS = load_settings(environ={})
DAYS = np.repeat(np.arange(90, 150), 10)


def make_result(
    name: str, loss: float, retrains: int, shadow: int = 7, false_rollbacks: int = 0, tested: bool = True
) -> PolicyResult:
    policy = RetrainingPolicy(name, tested=tested)
    events = [PolicyEvent(day, "retrain", ModelFit(day), ModelFit(0), "age") for day in range(retrains)]
    losses = loss + np.tile([-0.1, 0.1], len(DAYS) // 2)
    run = PolicyRun(policy, {}, events)
    return PolicyResult(
        PolicyTrial(policy, {"shadow_days": shadow}), run, losses, DAYS, 0, false_rollbacks, 10.0 * retrains
    )


WEEKLY = make_result("weekly", 0.490, 39, tested=False)


@pytest.mark.parametrize(
    ("rivals", "expected"),
    [
        ([make_result("a", 0.492, 20), make_result("b", 0.493, 10)], "b"),
        ([make_result("short look", 0.491, 10, shadow=3), make_result("long look", 0.493, 20)], "long look"),
        ([make_result("loses too much", 0.495, 5), make_result("a", 0.493, 20)], "a"),
        ([make_result("mistaken", 0.492, 5, false_rollbacks=1), make_result("a", 0.493, 20)], "a"),
        ([make_result("untested", 0.492, 5, tested=False), make_result("a", 0.493, 20)], "a"),
        ([make_result("as much work", 0.490, 39)], None),
        ([make_result("loses too much", 0.495, 5)], None),
    ],
)
def test_the_longest_look_that_costs_little_is_recommended_and_then_the_least_work(
    rivals: list[PolicyResult], expected: str | None
) -> None:
    found = report.recommend_policy([WEEKLY, *rivals], WEEKLY, SETTINGS)
    assert (found.name if found else None) == expected


def test_policies_by_which_the_same_models_answered_are_named_as_their_rows_are_equal() -> None:
    results = [
        make_result(name, 0.49, 1) for name in ("ours", "every  -, shadow  3", "every  7, shadow  3", "every 28")
    ]
    for result, end in zip(results, (80, 80, 80, 90), strict=True):
        result.run.served.update({90: ModelFit(80), 91: ModelFit(end)})
    assert report.describe_equal_results(results).splitlines()[1:] == ["  ours = every -, shadow 3 = every 7, shadow 3"]
    assert report.describe_equal_results(results[2:]) == ""


def test_where_a_plain_schedule_does_better_it_is_said() -> None:
    plain, ours = make_result("every 14 days", 0.491, 19, tested=False), make_result("ours", 0.493, 20)
    said = report.format_advice([WEEKLY, plain, ours], WEEKLY, SETTINGS)
    assert '"every 14 days", which has no promotion test, does better on these days' in said


def test_where_no_tested_policy_comes_close_none_is_recommended() -> None:
    said = report.format_advice([WEEKLY, make_result("ours", 0.6, 3)], WEEKLY, SETTINGS)
    assert said.startswith("No policy with a promotion test comes within 0.8% of weekly retraining")
    assert "does better" not in said


def test_an_untested_policy_with_less_loss_than_weekly_retraining_is_named_where_none_is_recommended() -> None:
    ours, monthly = make_result("ours", 0.6, 3), make_result("monthly, last 91 days", 0.48, 6, tested=False)
    said = report.format_advice([WEEKLY, ours, monthly], WEEKLY, SETTINGS)
    assert '"monthly, last 91 days", which has no promotion test, does better on these days: 0.4800' in said


def test_where_never_retraining_is_best_no_promotions_are_counted() -> None:
    never, ours = make_result("never", 0.48, 0, tested=False), make_result("ours", 0.491, 20)
    said = report.format_advice([WEEKLY, never, ours], WEEKLY, SETTINGS)
    assert said.endswith("Never retraining does better on these days: 0.4800 where ours has 0.4910.")


def test_the_line_for_machines_has_every_policy_with_its_figures() -> None:
    assert json.loads(report.format_results_json([WEEKLY], "log_loss")) == {
        "weekly": {"log_loss": 0.49, "retrains": 39, "promotions": 0, "cpu_s": 390.0}
    }


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    folder = tmp_path_factory.mktemp("backtest")
    return prepare_backtest_data(SETTINGS, load_problem(), folder), folder


@pytest.mark.slow
def test_a_model_that_is_made_later_is_played_on_the_real_year(year: tuple[Any, Path]) -> None:
    history, folder = year
    trials = [PolicyTrial(RetrainingPolicy("never")), PolicyTrial(RetrainingPolicy("once", every_days=150))]
    never, once = (play_trial(BacktestHistory(history, SETTINGS), trial) for trial in trials)
    assert len(never.losses) == len(once.losses) > 200_000
    assert (never.run.count("retrain"), once.run.count("retrain")) == (0, 1)
    same = never.losses == once.losses
    assert same[once.days < history.begin + 150].all()
    assert not same[once.days >= history.begin + 150].all()
    assert once.cpu_seconds > never.cpu_seconds > 0
    assert report.format_result_table([never, once], never, "log_loss").count("\n") == 2
    assert report.write_backtest_picture([never, once], once, history.first, folder).read_text().startswith("<svg")


@pytest.mark.slow
def test_a_week_is_judged_by_the_monitors_detectors(year: tuple[Any, Path]) -> None:
    played = BacktestHistory(year[0], SETTINGS)
    first = played.fit(year[0].first_unlearnt_day, 0)
    march, july = (played.drift(first, day, day) for day in (first.end, 182))
    assert july > march
    assert played.loss_ratio(first, 182, 182) > 0.8
    assert played.loss_ratio(first, 250, 182) == played.loss_ratio(first, 182, 182)  # a model that answers only later
