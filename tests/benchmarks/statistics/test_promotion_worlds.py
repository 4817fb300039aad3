"""Tiny samples of the worlds that `penumbra bench promotion` measures the rule of promotion on."""

import numpy as np
import pytest

from benchmarks.statistics.promotion import daily_series, skewed_worlds
from benchmarks.statistics.promotion.resampled_days import NOT_REACHED, DailyDifferences, find_promotion_days
from penumbra.core.settings import load_settings

TERMS = load_settings(environ={}).promotion


def test_models_of_a_skewed_world_are_equal_on_average_and_differ_on_rare_days_alone():
    world = skewed_worlds.draw_skewed_worlds(0.5, 30, 1, 60, np.random.default_rng(1), worlds=2000)
    assert world.sums.mean() == pytest.approx(0, abs=0.02)
    assert world.is_rare.mean() == pytest.approx(1 / 30, abs=0.001)
    np.testing.assert_array_equal(world.sums[~world.is_rare], world.calm[~world.is_rare])
    np.testing.assert_array_equal(world.worst_before[:, 0], -world.sums[:, :60].min(axis=1))


def test_no_rule_can_promote_fewer_than_those_that_no_rare_day_has_reached():
    """Of four better candidates two are promoted after 1 and 2 looks, one after the last look, and one never."""
    days = np.array([1, 2, skewed_worlds.LOOKS + 1, NOT_REACHED])
    assert skewed_worlds.find_least_false_promotions(days, 10) == pytest.approx((0.9 + 0.81) / 4)
    assert skewed_worlds.find_least_false_promotions(days, 10, gate_days=3) == pytest.approx((0.9**4 + 0.9**5) / 4)


@pytest.mark.parametrize("kind", ["normal", "heavy"])
@pytest.mark.parametrize("block", [1, 7])
def test_days_of_noise_have_variance_1_and_share_a_part_within_their_block(kind, block):
    days = skewed_worlds.draw_noise(kind, block, 70, np.random.default_rng(2), worlds=4000)
    shared = np.clip(days[:, 1], -4, 4) @ np.clip(days[:, 2], -4, 4) / len(days)
    assert days.std() == pytest.approx(1, abs=0.1)
    assert (shared > 0.15) == (block == 7)


def test_centred_worlds_are_equal_on_average_and_as_skewed_as_their_stream():
    sums = np.tile([1.0] * 13 + [-20.0], 20)
    centred = DailyDifferences(sums, sums**2, np.ones(len(sums))).resample_centred(500, 70, np.random.default_rng(3))
    assert centred.sums.mean() == pytest.approx(0, abs=1e-9)
    assert np.unique(np.diff(np.unique(centred.sums.round(9)))) == pytest.approx(21)


def test_the_benchmark_promotes_on_the_day_that_the_rule_does():
    days = np.ones((1, 70))
    assert find_promotion_days(DailyDifferences(days, days, days), TERMS).tolist() == [TERMS.seen_days]
    blocks = TERMS.model_copy(update={"block_days": 7})
    assert find_promotion_days(DailyDifferences(days, days, days), blocks).tolist() == [NOT_REACHED]


def test_a_day_is_forecast_from_the_same_hour_of_the_days_before():
    hours = daily_series.SERIES["temperature, hourly"]()
    known = daily_series.add_lags(hours)
    row = known.filter(day=20, slot=30).row(0, named=True)
    for lag in daily_series.LAG_DAYS:
        assert row[f"lag{lag}"] == hours.filter(day=20 - lag, slot=30)["value"][0]
