import numpy as np
import pytest

from monitoring.permutation import (
    compute_permutation_limit,
    compute_simultaneous_limits,
    draw_orders,
    draw_permutations,
    list_stretches,
    thin_parts,
)


def test_the_first_draw_is_the_window_and_every_draw_as_large() -> None:
    drawn = draw_permutations(3, 5, 100, seed=0)
    assert drawn[0].tolist() == [True] * 3 + [False] * 5
    assert set(drawn.sum(axis=1)) == {3}
    assert drawn.shape == (1000, 8)


def test_every_order_has_each_place_once_and_each_day_comes_to_all_places() -> None:
    orders = draw_orders(6, 100, seed=0)
    assert orders[0].tolist() == list(range(6))
    assert (np.sort(orders, axis=1) == np.arange(6)).all()
    assert np.abs(orders.mean(axis=0) - 2.5).max() < 0.2


@pytest.mark.parametrize(
    ("days", "stretches"),
    [(0, [0]), (3, [3]), (7, [7]), (13, [7]), (14, [7, 14]), (27, [7, 14]), (28, [7, 14, 28]), (90, [7, 14, 28, 56])],
)
def test_a_stretch_is_one_two_four_or_eight_windows_as_far_as_there_are_days(days: int, stretches: list[int]) -> None:
    assert list_stretches([False] * 3 + [True] * days, 7) == stretches
    assert list_stretches(([True] + [False] * (days - 1))[:days], 7) == stretches


def test_fewer_than_the_promised_share_exceed_the_limit() -> None:
    statistics = np.arange(1000.0)
    assert (statistics > compute_permutation_limit(statistics, 100)).sum() == 9
    assert (np.zeros(1000) > compute_permutation_limit(np.zeros(1000), 100)).sum() == 0


def test_fewer_than_the_promised_share_exceed_any_of_several_limits_whatever_their_scales() -> None:
    statistics = np.random.default_rng(0).gamma(1, size=(1000, 2, 3)) * [1, 100, 0.01]
    assert (statistics > compute_simultaneous_limits(statistics, 100)).any(axis=(1, 2)).sum() == 9


def test_a_statistic_that_never_moves_has_no_limit_and_changes_no_other() -> None:
    moving = np.random.default_rng(0).gamma(1, size=(1000, 1))
    limits = compute_simultaneous_limits(np.hstack([moving, np.zeros((1000, 1))]), 100)
    assert limits[1] == 0
    assert limits[0] == compute_simultaneous_limits(moving, 100)[0]


def test_the_orders_of_as_many_days_are_drawn_once_and_nobody_can_change_them() -> None:
    orders = draw_orders(6, 100, seed=0)
    assert draw_orders(6, 100, seed=0) is orders
    with pytest.raises(ValueError, match="read-only"):
        orders[0, 0] = 1


@pytest.mark.parametrize(
    ("rows", "known", "level", "shares"),
    [
        ([10, 10, 10, 10], 2, 10, [1, 1, 1, 1]),
        ([2, 2, 10, 10], 2, 2, [1, 1, 0.2, 0.2]),  # a quiet window after busy ones
        ([10, 10, 5, 5], 2, 5, [0.5, 0.5, 1, 1]),
        ([10, 10, 2, 2], 1, 10, [1, 1]),  # far fewer rows before: the memory ends there
    ],
)
def test_parts_of_the_memory_keep_as_many_rows_a_day_as_the_sparsest(
    rows: list[float], known: int, level: float, shares: list[float]
) -> None:
    found = thin_parts(np.array(rows, float), [2, 4])
    assert (found[0], found[1], found[2].tolist()) == (known, level, shares)


def test_a_part_without_days_ends_no_memory() -> None:
    assert thin_parts(np.array([10.0, 10.0]), [2, 2])[0] == 2
