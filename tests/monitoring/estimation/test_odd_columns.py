"""The loss of a window without its labels, whatever values its columns lack: an estimate that ends no pass."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitoring.estimation.expected_losses import LossModel
from monitoring.estimation.loss_estimator import LossEstimate, LossEstimator, ScoredRows
from monitoring.estimation.shift_weights import compute_shift_weights
from penumbra.core.task import Task

ROWS, DAYS = 300, np.arange(300) // 30
USUAL = pl.Series(np.random.default_rng(1).normal(size=ROWS))
CHANCES = np.random.default_rng(2).uniform(0.1, 0.9, ROWS)
HAPPENED = np.random.default_rng(3).random(ROWS) < CHANCES
NOTHING = pl.Series([None] * ROWS, dtype=pl.Float64)
WORDS = pl.Series([f"w{number}" for number in range(ROWS)])
COLUMNS = {
    "usual": USUAL,
    "null": NOTHING,
    "one value": pl.Series([1.0] * ROWS),
    "one known": NOTHING.scatter(3, 1.0),
    "infinite": pl.Series([float("inf")] * ROWS),
    "not a number": pl.Series([float("nan")] * ROWS),
    "late": pl.select(pl.when(pl.Series(DAYS) > 6).then(USUAL)).to_series(),
    "last day": pl.select(pl.when(pl.Series(DAYS) == 9).then(USUAL)).to_series(),
    "ended": pl.select(pl.when(pl.Series(DAYS) < 4).then(USUAL)).to_series(),
}
WORD_COLUMNS = {
    "null": pl.Series([None] * ROWS, dtype=pl.String),
    "one word": pl.Series(["a"] * ROWS),
    "as many as rows": WORDS,
    "late": pl.select(pl.when(pl.Series(DAYS) > 6).then(WORDS)).to_series(),
    "Booleans": pl.Series(DAYS > 4),
    "null Booleans": pl.Series([None] * ROWS, dtype=pl.Boolean),
}


def estimate(before: dict[str, pl.Series], now: dict[str, pl.Series]) -> LossEstimate:
    reference = ScoredRows(pl.DataFrame(before), CHANCES, DAYS)
    known = LossEstimator.from_reference(Task("binary"), "log_loss", 10.0, reference, HAPPENED)
    found = known.estimate_window(ScoredRows(pl.DataFrame(now), CHANCES, DAYS))
    assert found
    return found


def test_a_list_is_left_out_of_an_estimate():
    tags = pl.Series([["red"], []] * (ROWS // 2))
    plain, beside = ({"usual": USUAL, **lists} for lists in ({}, {"tags": tags}))
    assert estimate(beside, beside).mean == estimate(plain, plain).mean


@pytest.mark.parametrize("name", COLUMNS)
def test_a_loss_model_is_fitted_whatever_numbers_a_column_lacks(name):
    inputs = np.column_stack([USUAL, COLUMNS[name]])
    model = LossModel.fit(np.where(np.isfinite(inputs), inputs, np.nan), CHANCES, DAYS, [])
    assert np.isfinite(model.judged).all()


def test_a_column_without_a_value_changes_no_prediction_whatever_is_in_it_later():
    losses = np.where(USUAL > 0, 2.0, 1.0)
    model = LossModel.fit(np.column_stack([USUAL, NOTHING]), losses, DAYS, [])
    plain = LossModel.fit(USUAL.to_numpy()[:, None], losses, DAYS, [])
    np.testing.assert_allclose(
        model.predict_losses(np.column_stack([USUAL, 9 * USUAL])), plain.predict_losses(USUAL.to_numpy()[:, None])
    )


def test_a_column_that_only_the_window_has_is_a_shift_of_all_rows():
    found = estimate({"x": USUAL, "z": NOTHING}, {"x": USUAL, "z": USUAL})
    assert found.weights is None
    assert "extrapolated: the reference has rows like only " in found.method


@pytest.mark.slow
def test_a_column_that_is_null_in_both_changes_no_estimate():
    both = {"x": USUAL, "z": NOTHING}
    assert estimate(both, both).mean == pytest.approx(estimate({"x": USUAL}, {"x": USUAL}).mean)


def test_without_any_column_that_can_be_counted_all_rows_weigh_the_same():
    found = compute_shift_weights(np.zeros((ROWS, 0)), DAYS, np.zeros((ROWS, 0)), DAYS, [])
    assert set(found.weights) == {1.0}


def test_rows_whose_prediction_is_no_number_are_left_out():
    inputs, broken = pl.DataFrame({"x": USUAL}), np.where(np.arange(ROWS) % 7 == 0, np.nan, CHANCES)
    known = LossEstimator.from_reference(Task("binary"), "log_loss", 10.0, ScoredRows(inputs, broken, DAYS), HAPPENED)
    found = known.estimate_window(ScoredRows(inputs, broken, DAYS))
    assert found
    assert np.isfinite([found.mean, found.low, found.high]).all()
    assert known.estimate_window(ScoredRows(inputs, np.full(ROWS, np.nan), DAYS)) is None


@pytest.mark.slow
@settings(max_examples=12, deadline=None)
@given(*[st.sampled_from(sorted(COLUMNS))] * 2, *[st.sampled_from(sorted(WORD_COLUMNS))] * 2)
def test_any_column_of_the_reference_with_any_of_the_window_has_a_finite_estimate(before, now, word, later):
    found = estimate(
        {"z": COLUMNS[before], "w": WORD_COLUMNS[word].cast(pl.String)},
        {"z": COLUMNS[now], "w": WORD_COLUMNS[later].cast(pl.String)},
    )
    assert 0 <= found.low <= found.mean <= found.high < np.inf
