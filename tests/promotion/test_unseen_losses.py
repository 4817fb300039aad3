import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penumbra.promotion.unseen_losses import EarlierDays, find_unseen_loss, summarise_earlier_days


def test_the_worst_day_is_the_one_with_the_largest_mean_loss_a_row():
    assert summarise_earlier_days(np.array([-2.0, 5.0, -3.0]), np.array([10.0, 10.0, 30.0])) == EarlierDays(3, 0.2)


def test_days_without_a_finite_loss_or_a_row_do_not_count():
    differences = np.array([-2.0, np.nan, -np.inf, -9.0, -9.0])
    assert summarise_earlier_days(differences, np.array([10.0, 10.0, 10.0, 0.0, np.nan])) == EarlierDays(1, 0.2)


def test_a_candidate_that_was_worse_on_no_day_is_said_to_be_so():
    assert str(find_unseen_loss(0.01, 0.0, 60, 0)).endswith("would cancel the gain, on no day seen was it worse")


@pytest.mark.parametrize("differences", [[], [1.0, 2.0]])
def test_a_candidate_that_was_never_worse_has_no_worst_day(differences):
    found = summarise_earlier_days(np.array(differences), np.ones(len(differences)))
    assert found == EarlierDays(len(differences), 0.0)


def test_what_the_days_cannot_know_is_said_in_numbers():
    """Of 60 days one in 20 may be missing: at 19 times the gain it cancels what the other 19 days bring."""
    assert str(find_unseen_loss(0.01, 0.034, 60, 0)) == (
        "60 days can't show what comes on fewer than one day in 20: 0.19 a row worse there would cancel the gain, the "
        "worst day seen was 0.034 worse"
    )


def test_days_at_the_gate_are_days_seen_and_named():
    found = find_unseen_loss(0.01, 0.0, 60, 30)
    assert (found.one_in, found.days) == (30, 90)
    assert str(found).startswith("90 days, 30 of them at the gate, can't show what comes on fewer than one day in 30")


@pytest.mark.parametrize(
    ("difference", "days"), [(None, 60), (-0.1, 60), (0.0, 60), (float("nan"), 60), (0.1, 5), (0.1, 0)]
)
def test_without_a_gain_or_days_there_is_nothing_to_cancel(difference, days):
    assert find_unseen_loss(difference, 0.0, days, 0) is None


@given(st.floats(1e-6, 1e3), st.integers(6, 500), st.integers(0, 500))
def test_a_kind_of_day_that_costs_so_much_cancels_the_gain_and_comes_before_with_95_percent_if_it_is_more_frequent(
    gain, days, earlier
):
    unseen = find_unseen_loss(gain, 0.0, days, earlier)
    chance = 1 / unseen.one_in
    assert gain * (1 - chance) - unseen.cancelling * chance == pytest.approx(0, abs=1e-9 * gain)
    assert (1 - chance) ** (days + earlier) <= 0.05
