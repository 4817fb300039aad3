import datetime as dt

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penumbra.drafting.analysis.contracts import fit_integer, is_growing, order_by_time, round_outward


@pytest.mark.parametrize(
    ("value", "rounded"), [(-3, 0), (0, 0), (0.03, 1), (1, 1), (1.2, 2), (3, 5), (7, 10), (87, 100), (201, 500)]
)
def test_a_bound_is_a_round_number(value, rounded):
    assert round_outward(value) == rounded


@given(st.floats(0.5, 1e17))
def test_a_bound_is_never_below_its_value_and_at_most_three_times_as_far(value):
    assert value <= round_outward(value) <= max(1, 3 * value)


@pytest.mark.parametrize(
    ("minimum", "maximum", "dtype"),
    [
        (0, 127, pl.Int8()),
        (-128, 0, pl.Int8()),
        (0, 128, pl.Int16()),
        (-(2**31), 2**31 - 1, pl.Int32()),
        (0, 2**31, pl.Int64()),
        (0, 2**63, pl.UInt64()),
        (-1, 2**63, pl.Int64()),
    ],
)
def test_the_smallest_integer_type_is_taken(minimum, maximum, dtype):
    assert fit_integer(minimum, maximum) == dtype


def test_numbers_grow_where_each_quarter_lies_above_the_one_before():
    assert is_growing(pl.Series([1, 2, 3, 4, 5, 6, 7, 8]))
    assert is_growing(pl.Series([2, 1, None, 4, 3, 6, 5, 8, 7]))
    assert not is_growing(pl.Series([1, 2, 3, 4, 8, 7, 6, 5]))
    assert not is_growing(pl.Series([7, 7, 7, 7, 7, 7, 7, 7]))
    assert not is_growing(pl.Series([1, 2, 3]))


def test_numbers_of_which_nearly_all_have_one_time_do_not_grow_as_they_could_be_ordered():
    numbers = [*range(20, 40), *range(18), 40, 41]
    rows = pl.DataFrame({"at": [dt.date(2024, 1, 1)] * 38 + [dt.date(2024, 2, 1)] * 2, "n": numbers})
    assert is_growing(rows.sort("at", "n")["n"])
    assert not is_growing(order_by_time(rows, "n", "at"))
