import datetime as dt

import numpy as np
import pytest

from monitoring.losses.loss_threshold import DailyLosses, StretchLoss, judge_losses, measure_refit_excess
from monitoring.permutation import compute_permutation_limit, draw_permutations

WEEK = 7


def loss(days: int, seed: int, worse: float = 0.0, labels: int = 50) -> DailyLosses:
    random = np.random.default_rng(seed)
    means = np.repeat(random.gamma(4, 0.1, days) + worse, labels)
    return DailyLosses.from_rows(np.repeat(np.arange(days), labels), means + random.gamma(1, 0.1, days * labels))


def join(*parts: DailyLosses) -> DailyLosses:
    return DailyLosses(
        *(np.concatenate([getattr(each, name) for each in parts]) for name in ("sums", "squares", "labels"))
    )


def list_alarms(found: list[StretchLoss]) -> list[int]:
    return [each.days for each in found if each.ratio > 1]


def test_a_loss_far_above_the_references_is_beyond_its_threshold() -> None:
    usual, worse = (judge_losses(loss(WEEK, 2, more), loss(60, 1), 100, WEEK) for more in (0.0, 0.5))
    assert (list_alarms(usual), list_alarms(worse)) == ([], [WEEK])
    assert worse[0].mean == pytest.approx(loss(WEEK, 2, 0.5).mean)


def test_of_a_single_window_the_threshold_is_the_limit_of_its_permutations() -> None:
    window, before = loss(WEEK, 2), loss(60, 1)
    drawn = draw_permutations(WEEK, 60, 100, seed=0)
    sums, labels = join(window[::-1], before).sums, join(window, before).labels
    more = drawn @ sums / (drawn @ labels) - ~drawn @ sums / (~drawn @ labels)
    (found,) = judge_losses(window, before, 100, WEEK)
    assert found.threshold == pytest.approx(before.mean + compute_permutation_limit(more, 100))


def test_a_small_rise_shows_once_it_has_lasted_and_a_lower_loss_never() -> None:
    worse, better = loss(8 * WEEK, 3, 0.12), loss(8 * WEEK, 3, -0.12)
    assert list_alarms(judge_losses(worse[:WEEK], loss(60, 1), 300, WEEK)) == []
    assert 8 * WEEK in list_alarms(judge_losses(worse, loss(60, 1), 300, WEEK))
    assert list_alarms(judge_losses(better, loss(60, 1), 300, WEEK)) == []


def test_an_alarm_doesnt_outlast_its_cause() -> None:
    storm, calm = loss(WEEK, 4, 1.0), loss(WEEK, 2)
    assert list_alarms(judge_losses(join(calm, storm), loss(60, 1), 100, WEEK)) == [WEEK, 2 * WEEK]
    assert list_alarms(judge_losses(join(storm, calm), loss(60, 1), 100, WEEK)) == []


def test_the_larger_a_lasting_rise_the_nearer_to_an_alarm() -> None:
    ratios = [
        max(each.ratio for each in judge_losses(loss(4 * WEEK, 3, more), loss(60, 1), 100, WEEK))
        for more in (0, 0.05, 0.1, 0.2, 0.4, 0.8)
    ]
    assert ratios == sorted(ratios)


@pytest.mark.slow
@pytest.mark.parametrize("windows", [1, 4])
@pytest.mark.parametrize("labels", [50, 3])
def test_one_window_in_ten_without_change_has_a_loss_beyond_its_threshold_at_most(labels: int, windows: int) -> None:
    days, worlds = windows * WEEK, 400
    found = [
        judge_losses(loss(days, 2 * seed + 1, labels=labels), loss(20, 2 * seed), 10, WEEK, seed)
        for seed in range(worlds)
    ]
    assert np.mean([bool(list_alarms(each)) for each in found]) <= 0.1 + 2 * np.sqrt(0.1 * 0.9 / worlds)


def fit_line(x: np.ndarray, y: np.ndarray) -> float:
    return float(x @ y / (x @ x))


@pytest.mark.slow
@pytest.mark.parametrize("power", [1, 2])
def test_a_refit_that_outliers_have_moved_raises_no_alarm_by_that_alone(power: int) -> None:
    """A line whose slope is learnt from inputs without a variance; the reference was scored before the last days."""
    plain, raised = [], []
    for seed in range(60):
        random = np.random.default_rng(seed)
        x = random.standard_t(1.5, (110, 200))
        y = np.sign(x) * np.log1p(np.abs(x)) + random.standard_normal(x.shape)
        losses = [
            np.minimum(np.abs(y - fit_line(x[:end].ravel(), y[:end].ravel()) * x) ** power, 20) for end in (20, 60)
        ]
        excess = measure_refit_excess(losses[0][20:60], losses[1][20:60])
        for found, more in ((plain, 0.0), (raised, excess)):
            usual = DailyLosses.from_rows(np.arange(40).repeat(200), losses[0][20:60].ravel() + more)
            weeks = [
                DailyLosses.from_rows(np.arange(7).repeat(200), each.ravel())
                for each in losses[1][60:109].reshape(7, 7, 200)
            ]
            found += [bool(list_alarms(judge_losses(week, usual, 20, WEEK, seed))) for week in weeks]
    assert np.mean(plain) > 2 * 0.05
    assert np.mean(raised) <= 0.05


def test_a_refit_that_is_no_worse_raises_nothing() -> None:
    nothing = np.full(2, np.nan)
    assert measure_refit_excess(np.array([1.0, 2.0, np.nan]), np.array([0.5, 1.5, 9.0])) == 0
    assert measure_refit_excess(np.array([1.0, 2.0, np.nan]), np.array([2.0, 2.0, 9.0])) == 0.5
    assert measure_refit_excess(nothing, nothing) == 0


def test_days_without_labels_count_as_days_of_their_window() -> None:
    nothing = DailyLosses(*np.zeros((3, 4)))
    found = judge_losses(join(loss(WEEK, 4, 1.0), nothing, loss(3, 2)), loss(60, 1), 100, WEEK)
    assert (found[0].days, found[0].mean) == (WEEK, pytest.approx(loss(3, 2).mean))
    assert list_alarms(found) == []


def test_losses_that_are_all_the_same_raise_no_alarm() -> None:
    same = DailyLosses(np.full(30, 5.0), np.full(30, 2.5), np.full(30, 10.0))
    assert list_alarms(judge_losses(same[:WEEK], same[WEEK:], 100, WEEK)) == []


def test_without_labels_there_is_no_threshold() -> None:
    none = DailyLosses.from_rows(np.array([], dt.date), np.array([]))
    assert judge_losses(none, loss(20, 1), 100, WEEK) == []
    assert judge_losses(loss(WEEK, 1), none, 100, WEEK) == []


def test_a_week_with_few_labels_after_busy_ones_is_no_alarm_by_that_alone() -> None:
    weeks = [judge_quiet_week(seed, labels=3) for seed in range(40)]
    assert sum(bool(list_alarms(found)) for found in weeks) <= 1


def judge_quiet_week(seed: int, labels: int) -> list[StretchLoss]:
    """A week with few labels a day after seven with as many as the reference has, all of one distribution."""
    random = np.random.default_rng(seed)
    counts = np.array([200] * 109 + [labels] * WEEK)
    days = DailyLosses.from_rows(np.repeat(np.arange(116), counts), random.exponential(size=counts.sum()))
    return judge_losses(days[60:], days[:60], 100, WEEK)
