"""Days compared with others from their counts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from monitoring.drift.pooled_days import MAX_GROUPS, PooledDays
from penumbra.core.histograms import Binning

NUMBERS = Binning({"temp": [0.0, 1.0]}, {})  # three bins and one of nulls
WORDS = Binning({}, {"dest": [f"{number:03}" for number in range(40)]})


def compare(pool: PooledDays, one: list[bool], other: list[bool]) -> np.ndarray:
    return pool.compute_distances(*(pool.sum_days(np.array([each])) for each in (one, other)))[0]


def test_days_that_are_alike_are_at_no_distance_whatever_their_size() -> None:
    pool = PooledDays.from_counts(np.array([[1, 2, 3, 4], [10, 20, 30, 40]]), NUMBERS)
    assert compare(pool, [True, False], [False, True]) == pytest.approx([0, 0])


def test_days_with_nothing_in_common_are_at_distance_1_and_half_of_all_ranks_apart() -> None:
    pool = PooledDays.from_counts(np.array([[5, 0, 0, 0], [0, 0, 5, 0]]), NUMBERS)
    assert compare(pool, [True, False], [False, True]) == pytest.approx([1, 0.5])


def test_nulls_move_the_distance_and_not_the_shift() -> None:
    pool = PooledDays.from_counts(np.array([[5, 5, 5, 0], [5, 5, 5, 15]]), NUMBERS)
    distance, shift = compare(pool, [True, False], [False, True])
    assert distance > 0.3
    assert shift == pytest.approx(0)


def test_of_many_categories_the_most_frequent_stay_and_the_others_are_one_group() -> None:
    counts = np.array([[*range(100, 60, -1), 3, 2]])
    pool = PooledDays.from_counts(counts, WORDS)
    assert pool.counts[0].tolist() == [*range(100, 85, -1), sum(range(61, 86)) + 3, 2]
    assert pool.ranks.shape == (1, 0)


def test_part_of_the_way_is_one_for_the_whole_and_negative_for_the_other_way() -> None:
    pool = PooledDays.from_counts(np.array([[5, 5, 0, 0], [2, 8, 0, 0], [8, 2, 0, 0]]), NUMBERS)
    usual, more, less = (pool.sum_days(np.array([np.arange(3) == day])) for day in range(3))
    assert pool.compute_part(more, usual)[0] == pytest.approx([1])
    both = pool.sum_days(np.array([[False, False, True], [False, True, False]]))
    assert pool.compute_part(both, usual)[1, 0] == pytest.approx(-1)
    assert pool.compute_part(less, less)[0] == pytest.approx([1])


@given(arrays(np.int64, (6, 12), elements=st.integers(0, 50)))
def test_merging_keeps_every_row_and_distances_lie_between_0_and_1(counts: np.ndarray) -> None:
    binning = Binning({"temp": [0.0, 1.0, 2.0]}, {"origin": ["EWR", "JFK", "LGA", "X", "Y"]})
    counts[:, -1] += counts[:, :5].sum(axis=1)
    counts[:, 4] += counts[:, 5:].sum(axis=1) - counts[:, :5].sum(axis=1)
    pool = PooledDays.from_counts(counts, binning)
    assert (counts[:, :5].sum(axis=1) == np.add.reduceat(pool.counts, pool.starts, axis=1).T).all()
    far = compare(pool, [True] * 3 + [False] * 3, [False] * 3 + [True] * 3)
    assert ((far >= 0) & (far <= 1)).all()
    assert pool.counts.shape[1] <= 2 * (MAX_GROUPS + 1)


def group(words: list[str], counts: list[list[int]]) -> list[list[float]]:
    """The counts by group of a category with these words; of each day the words, what is unknown, and nulls."""
    return PooledDays.from_counts(np.array(counts), Binning({}, {"word": words})).counts.tolist()


def test_categories_that_the_reference_has_not_are_one_group_with_its_rare_ones() -> None:
    assert group(["a", "b", "c"], [[9, 8, 0, 2, 0], [9, 8, 1, 0, 1]]) == [[9, 8, 2, 0], [9, 8, 1, 1]]


def test_categories_that_the_reference_has_not_are_a_group_where_none_is_rare() -> None:
    assert group(["a", "b"], [[9, 8, 5, 0], [9, 8, 0, 0]]) == [[9, 8, 5, 0], [9, 8, 0, 0]]
