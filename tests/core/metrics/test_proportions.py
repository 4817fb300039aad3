"""Limits of proportions: within 0 and 1, round the proportion."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penumbra.core.metrics.proportions import compute_clustered_limits, compute_wilson_limits


def test_independent_rows_have_the_limits_of_the_literature():
    assert compute_wilson_limits(0.1, 10, 1.959964) == pytest.approx((0.0179, 0.4042), abs=1e-4)  # of statsmodels


@given(st.floats(0, 1), st.floats(0.1, 1e9), st.floats(0.1, 100))
def test_limits_are_shares_round_the_proportion(rate, rows, reach):
    low, high = compute_wilson_limits(rate, rows, reach)
    assert 0 <= low <= rate <= high <= 1


def test_a_rate_without_an_exception_is_told_by_as_many_rows_as_there_are_days():
    assert compute_clustered_limits(1.0, 5000, np.zeros(30), 0.0, 2.0) == compute_wilson_limits(1.0, 30, 2.0)
    assert compute_clustered_limits(0.0, 12, np.zeros(30), 0.0, 2.0) == compute_wilson_limits(0.0, 12, 2.0)
