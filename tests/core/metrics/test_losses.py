"""Losses by row, their names and their ceiling."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from penumbra.core.metrics.losses import (
    ALL_LOSSES,
    LossClipping,
    LossScale,
    compute_clipped_losses,
    compute_loss_ceiling,
    compute_row_losses,
    describe_clipping,
    describe_loss,
    get_primary_metric,
    name_compared_loss,
)
from penumbra.core.metrics.scores import compute_metrics
from penumbra.core.settings import SettingsError, load_settings
from penumbra.core.task import Task
from penumbra.training.fit import compute_baseline

BINARY, BIRDS, NUMBER = Task("binary"), Task("multiclass", ("crow", "owl")), Task("regression")
LABELS, SAID = np.array([1.0, 2.0, 4.0]), np.array([3.0, 1.5, 4.0])
# Of nine decimals: numbers near the smallest that there are have too few digits to be told apart in another unit.
NUMBERS = arrays(float, 5, elements=st.floats(-1e3, 1e3).map(lambda number: round(number, 9)))


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ("auto", [4, 0.25, 0]),
        ("squared_error", [4, 0.25, 0]),
        ("absolute_error", [2, 0.5, 0]),
        ("quantile_0.9", [0.2, 0.45, 0]),
        ("quantile_.25", [1.5, 0.125, 0]),
    ],
)
def test_losses_of_numbers_are_those_computed_by_hand(loss, expected):
    np.testing.assert_allclose(compute_clipped_losses(NUMBER, LABELS, SAID, loss, np.inf), expected)
    np.testing.assert_allclose(compute_row_losses(Task("regression", loss=loss), LABELS, SAID), expected)


@pytest.mark.slow
@given(NUMBERS, NUMBERS)
def test_the_quantile_loss_at_one_half_is_half_the_absolute_error(labels, said):
    half = compute_clipped_losses(NUMBER, labels, said, "quantile_0.5", np.inf)
    np.testing.assert_allclose(2 * half, compute_clipped_losses(NUMBER, labels, said, "absolute_error", np.inf))


@given(NUMBERS, NUMBERS, st.floats(1e-3, 1e3))
@pytest.mark.parametrize(
    ("loss", "power"), [("squared_error", 2), ("absolute_error", 1), ("quantile_0.9", 1), ("quantile_0.1", 1)]
)
def test_in_another_unit_losses_and_their_ceiling_are_others_by_the_unit_alone(loss, power, labels, said, unit):
    plain, scaled = (compute_clipped_losses(NUMBER, labels * u, said * u, loss, np.inf) for u in (1, unit))
    np.testing.assert_allclose(scaled, plain * unit**power, rtol=1e-9)
    ceilings = [compute_loss_ceiling(NUMBER, labels, losses, 10) for losses in (plain, scaled)]
    assert ceilings[1] == pytest.approx(ceilings[0] * unit**power, rel=1e-9)


@pytest.mark.parametrize(
    ("loss", "expected"), [("auto", 4.0), ("absolute_error", 2.0), ("quantile_0.75", 3.0), ("squared_error", 4.0)]
)
def test_the_baseline_is_the_best_constant_by_the_loss(loss, expected):
    assert compute_baseline(Task("regression", loss=loss), np.array([0.0, 1.0, 2.0, 3.0, 14.0])) == expected


@given(NUMBERS, st.floats(-1e3, 1e3))
@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "quantile_0.8"])
def test_no_constant_loses_less_than_the_baseline(loss, labels, other):
    task = Task("regression", loss=loss)
    best, tried = (
        compute_row_losses(task, labels, np.full(5, each)).mean() for each in (compute_baseline(task, labels), other)
    )
    assert best <= tried + 1e-9 * (1 + abs(tried))


@pytest.mark.parametrize(
    ("task", "loss", "words"),
    [
        (
            NUMBER,
            "brier",
            "is a number: expected auto, squared_error, absolute_error or quantile_0.9 (or another level",
        ),
        (BINARY, "absolute_error", "is classes: expected auto, log_loss or brier"),
        (BIRDS, "quantile_0.9", "is classes: expected auto, log_loss or brier"),
    ],
)
def test_a_loss_that_does_not_fit_the_target_is_named_with_those_that_do(task, loss, words):
    with pytest.raises(SettingsError) as error:
        name_compared_loss(task, loss)
    assert f"promotion.loss = '{loss}': the target of problem/schema.py {words}" in str(error.value)


@pytest.mark.parametrize(
    "loss",
    [*("mae", "quantile", "quantile_1.0", "quantile_0", "quantile_90", "quantile_0.0"), f"quantile_0.{20 * '9'}"],
)
def test_a_setting_that_names_no_loss_is_refused_with_the_choices(loss):
    with pytest.raises(SettingsError) as error:
        load_settings(environ={"PENUMBRA_PROMOTION__LOSS": loss})
    assert str(error.value) == (
        f"environment variable PENUMBRA_PROMOTION__LOSS: promotion.loss = '{loss}': expected for classes: auto, "
        "log_loss or brier; for numbers: auto, squared_error, absolute_error or quantile_0.9 (or another level "
        "between 0 and 1)"
    )


@pytest.mark.parametrize(
    ("given", "known"),
    [
        *(("quantile_.5", "quantile_0.5"), ("quantile_0.50", "quantile_0.5"), ("quantile_0.5", "quantile_0.5")),
        *(("quantile_0.00001", "quantile_0.00001"), ("auto", "auto")),
    ],
)
def test_a_quantile_loss_has_one_name_however_its_level_is_written(given, known):
    assert load_settings(environ={"PENUMBRA_PROMOTION__LOSS": given}).promotion.loss == known


@pytest.mark.parametrize(
    ("task", "loss", "metric", "words"),
    [
        (BINARY, "auto", "log_loss", "log-loss"),
        (BIRDS, "brier", "brier", "Brier score"),
        (NUMBER, "auto", "squared_error", "squared error"),
        (NUMBER, "quantile_0.9", "quantile_0.9", "quantile loss (0.9)"),
    ],
)
def test_a_loss_is_a_metric_and_has_words(task, loss, metric, words):
    assert get_primary_metric(Task(task.kind, task.classes, loss)) == metric
    assert describe_loss(task, loss) == words


def test_the_primary_metric_comes_first_whatever_the_loss():
    absolute = compute_metrics(Task("regression", loss="absolute_error"), LABELS, SAID)
    quantile = compute_metrics(Task("regression", loss="quantile_0.9"), LABELS, SAID)
    brier = compute_metrics(Task("binary", loss="brier"), np.array([True, False]), np.array([0.5, 0.5]))
    assert list(absolute) == ["absolute_error", "squared_error", "rmse", "mae", "r2", "bias"]
    assert (absolute["absolute_error"], absolute["mae"]) == (2.5 / 3, 2.5 / 3)
    assert (next(iter(quantile)), quantile["coverage"]) == ("quantile_0.9", 2 / 3)
    assert list(brier)[:2] == ["brier", "log_loss"]


def test_tasks_with_another_loss_predict_the_same():
    assert Task("regression", loss="absolute_error") == Task("regression")
    assert repr(Task("regression", loss="absolute_error")) == repr(Task("regression"))


# The ceiling


def test_the_ceiling_of_numbers_is_a_multiple_of_the_mean_with_the_largest_cut():
    losses = np.append(np.ones(198), [2.0, 1000.0])
    assert np.quantile(losses, 0.99) == pytest.approx(1.01)
    assert compute_loss_ceiling(NUMBER, np.zeros(200), losses, 10) == pytest.approx(10 * (198 + 2 * 1.01) / 200)


@given(st.floats(1, 1e12))
def test_no_single_row_of_the_reference_moves_the_ceiling_of_numbers_far(outlier):
    losses = np.random.default_rng(0).exponential(size=300)
    plain = compute_loss_ceiling(NUMBER, np.zeros(300), losses, 10)
    assert compute_loss_ceiling(NUMBER, np.zeros(300), np.append(losses[1:], outlier), 10) < 1.05 * plain


@given(arrays(float, st.integers(2, 400), elements=st.floats(0, 1e6)))
def test_at_most_one_in_ten_rows_of_the_reference_is_above_ten_usual_losses(losses):
    ceiling = compute_loss_ceiling(NUMBER, np.zeros(len(losses)), losses, 10)
    assert np.mean(losses > ceiling) <= 0.1


def test_the_ceiling_of_classes_leaves_a_rare_class_its_say():
    labels, losses = np.arange(100) == 0, np.where(np.arange(100) == 0, 4.0, 0.01)
    assert compute_loss_ceiling(BINARY, labels, losses, 10) == 8.0
    assert compute_loss_ceiling(BINARY, np.arange(100) < 50, np.full(100, 0.5), 10) == 5.0


@pytest.mark.parametrize("losses", [[], [0.0, 0.0]])
def test_where_no_row_has_a_loss_nothing_is_clipped(losses):
    assert compute_loss_ceiling(NUMBER, np.zeros(len(losses)), np.array(losses), 10) == np.inf


def test_many_clipped_losses_are_warned_of():
    assert describe_clipping({ALL_LOSSES: 0.0}, 3.0) == ""
    some = describe_clipping({ALL_LOSSES: 0.0123}, 3.0)
    assert some == "1.23% of the losses count as the ceiling, 3 (promotion.loss_ceiling)"
    assert describe_clipping({ALL_LOSSES: 0.06}, 3.0).endswith(
        "raise it, or compare by absolute_error (promotion.loss)"
    )


def test_clipped_losses_are_told_of_both_models_and_those_of_the_baseline_are_no_warning():
    clipping = LossClipping(3.64e6, {"candidate": 0.0318, "baseline": 0.37})
    words = clipping.describe("candidate", "baseline")
    assert words.startswith("3.18% of the candidate's losses and 37.00% of the baseline's losses count as the ceiling")
    assert words.endswith("3.64e+06 (promotion.loss_ceiling)")
    assert clipping.describe("candidate", "live").startswith("3.18% of the candidate's losses count as")
    assert LossClipping().describe("candidate", "live") == ""


def test_a_share_of_the_baselines_loss_says_where_that_is_capped():
    assert LossScale("squared error", 500.0).describe_share(0.01) == "5 (0.01 of the baseline's squared error, 500)"
    capped = LossScale("squared error", 100.0, clipped=0.37).describe_share(0.01)
    assert capped == "1 (0.01 of the baseline's squared error, 100, capped in 37.00% of the rows)"
