"""Sorted and grouped columns go with the order of the rows; shuffled, alternating and constant ones don't."""

import random

import polars as pl
import pytest

from penumbra.drafting.analysis.times.row_order import find_ordered_columns

RANDOM = random.Random(5)
SHUFFLED = [RANDOM.randrange(300) for _ in range(300)]


@pytest.mark.parametrize(
    ("values", "is_ordered"),
    [
        (["a"] * 150 + ["b"] * 150, True),
        (sorted(SHUFFLED), True),
        (sorted(SHUFFLED, reverse=True), True),
        ([None] * 100 + SHUFFLED[:200], True),
        ([True] * 100 + [False] * 200, True),
        (SHUFFLED, False),
        ([value % 3 == 0 for value in SHUFFLED], False),
        (["a", "b"] * 150, False),
        (["a"] * 300, False),
        ([1.5] * 300, False),
        ([None] * 300, False),
        (["a"], False),
        ([], False),
    ],
)
def test_a_column_goes_with_the_order_where_neighbours_are_alike(values, is_ordered):
    assert find_ordered_columns(pl.DataFrame({"value": values})) == ["value"] * is_ordered
