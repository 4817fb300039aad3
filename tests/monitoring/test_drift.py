import datetime as dt

import numpy as np
import polars as pl
import pytest

from monitoring.drift import compute_drift
from monitoring.loss_threshold import DailyLosses, compute_loss_threshold
from monitoring.permutation import compute_permutation_limit, draw_permutations
from penumbra.core.histograms import Binning, Profile, compute_daily_profiles

ROWS, WEEK = 60, 7


def rows(days: int, seed: int, each: int = ROWS) -> pl.DataFrame:
    """Rows of a day share a temperature, and lean on it."""
    random = np.random.default_rng(seed)
    temp = np.repeat(random.standard_normal(days), each) + random.standard_normal(days * each)
    origin = random.choice(["EWR", "JFK", "LGA"], days * each, p=[0.4, 0.3, 0.3])
    day = pl.Series(np.repeat(np.arange(days), each)).cast(pl.Int32).cast(pl.Date)
    return pl.DataFrame(
        {"temp": temp, "origin": origin, "penumbra.prediction": np.clip(0.3 + temp / 20, 0, 1), "day": day}
    )


def profiles(frame: pl.DataFrame, binning: Binning) -> list[Profile]:
    return list(compute_daily_profiles(frame, binning, "day").values())


@pytest.fixture(scope="module")
def reference() -> pl.DataFrame:
    return rows(40, seed=1)


@pytest.fixture(scope="module")
def binning(reference: pl.DataFrame) -> Binning:
    return Binning.learn(reference, ["temp", "origin"])


def test_a_week_like_all_others_is_not_drift(reference: pl.DataFrame, binning: Binning) -> None:
    found = compute_drift(profiles(rows(WEEK, 2), binning), profiles(reference, binning), binning, 100, WEEK)
    assert not found.has_drifted
    assert set(found.columns) == {"temp", "origin"}
    assert found.prediction is not None


def test_a_column_that_has_moved_is_named(reference: pl.DataFrame, binning: Binning) -> None:
    now = rows(WEEK, 2).with_columns(origin=pl.lit("JFK"))
    found = compute_drift(profiles(now, binning), profiles(reference, binning), binning, 100, WEEK)
    assert found.has_drifted
    assert found.column == "origin"
    assert found.columns["origin"].distance > found.columns["origin"].threshold
    assert str(found).startswith("origin is at ")


def test_moved_predictions_are_drift_though_no_column_has_moved(reference: pl.DataFrame, binning: Binning) -> None:
    now = rows(WEEK, 2).with_columns(pl.col("penumbra.prediction") / 2)
    found = compute_drift(profiles(now, binning), profiles(reference, binning), binning, 100, WEEK)
    assert found.column == "the predictions"
    assert found.has_drifted


@pytest.mark.slow
@pytest.mark.parametrize("each", [ROWS, 6])
def test_one_window_in_ten_without_drift_is_beyond_at_most(each: int) -> None:
    alarms, weeks = 0, 200
    for seed in range(weeks):
        before = rows(20, 2 * seed)
        binning = Binning.learn(before, ["temp", "origin"])
        now = profiles(rows(WEEK, 2 * seed + 1, each), binning)
        alarms += compute_drift(now, profiles(before, binning), binning, 10, WEEK, seed).has_drifted
    assert alarms / weeks <= 0.1 + 2 * np.sqrt(0.1 * 0.9 / weeks)


def test_a_column_that_is_constant_or_all_null_is_left_out(reference: pl.DataFrame) -> None:
    dead = reference.with_columns(temp=pl.lit(None, pl.Float64), origin=pl.lit("JFK"))
    binning = Binning.learn(dead, ["temp", "origin"])
    found = compute_drift(profiles(dead[: WEEK * ROWS], binning), profiles(dead, binning), binning, 100, WEEK)
    assert found.columns == {}
    assert found.column == "the predictions"


def test_a_column_that_becomes_null_is_drift(reference: pl.DataFrame, binning: Binning) -> None:
    now = rows(WEEK, 2).with_columns(temp=pl.lit(None, pl.Float64))
    assert compute_drift(profiles(now, binning), profiles(reference, binning), binning, 100, WEEK).column == "temp"


@pytest.mark.parametrize(("window", "before"), [(0, 40), (WEEK, 0), (0, 0)])
def test_without_rows_nothing_can_be_said(reference: pl.DataFrame, binning: Binning, window: int, before: int) -> None:
    found = compute_drift(
        profiles(rows(window, 2), binning), profiles(reference[: before * ROWS], binning), binning, 100, WEEK
    )
    assert (found.columns, found.prediction, found.has_drifted) == ({}, None, False)


def test_a_few_days_are_too_few_for_any_alarm(reference: pl.DataFrame, binning: Binning) -> None:
    now = rows(1, 2).with_columns(origin=pl.lit("JFK"))
    assert not compute_drift(
        profiles(now, binning), profiles(reference[: 3 * ROWS], binning), binning, 100, WEEK
    ).has_drifted


def test_the_same_window_gets_the_same_verdict(reference: pl.DataFrame, binning: Binning) -> None:
    now, before = profiles(rows(WEEK, 2), binning), profiles(reference, binning)
    assert compute_drift(now, before, binning, 100, WEEK) == compute_drift(now, before, binning, 100, WEEK)


def test_the_first_draw_is_the_window_and_every_draw_as_large() -> None:
    drawn = draw_permutations(3, 5, 100, seed=0)
    assert drawn[0].tolist() == [True] * 3 + [False] * 5
    assert set(drawn.sum(axis=1)) == {3}
    assert drawn.shape == (1000, 8)


def test_fewer_than_the_promised_share_exceed_the_limit() -> None:
    statistics = np.arange(1000.0)
    assert (statistics > compute_permutation_limit(statistics, 100)).sum() == 9
    assert (np.zeros(1000) > compute_permutation_limit(np.zeros(1000), 100)).sum() == 0


def loss(days: int, seed: int, worse: float = 0.0, labels: int = 50) -> DailyLosses:
    random = np.random.default_rng(seed)
    means = np.repeat(random.gamma(4, 0.1, days) + worse, labels)
    return DailyLosses.from_rows(np.repeat(np.arange(days), labels), means + random.gamma(1, 0.1, days * labels))


def test_a_loss_far_above_the_references_is_beyond_its_threshold() -> None:
    usual, worse = (compute_loss_threshold(loss(WEEK, 2, more), loss(60, 1), 100) for more in (0.0, 0.5))
    assert usual is not None
    assert worse is not None
    assert loss(WEEK, 2).mean < usual
    assert loss(WEEK, 2, 0.5).mean > worse


@pytest.mark.parametrize("labels", [50, 3])
def test_one_window_in_ten_without_change_has_a_loss_beyond_its_threshold_at_most(labels: int) -> None:
    weeks = 400
    windows = [(loss(WEEK, 2 * seed + 1, labels=labels), loss(20, 2 * seed)) for seed in range(weeks)]
    alarms = [
        now.mean > (compute_loss_threshold(now, before, 10, seed) or 0) for seed, (now, before) in enumerate(windows)
    ]
    assert np.mean(alarms) <= 0.1 + 2 * np.sqrt(0.1 * 0.9 / weeks)


def test_without_labels_there_is_no_threshold() -> None:
    none = DailyLosses.from_rows(np.array([], dt.date), np.array([]))
    assert compute_loss_threshold(none, loss(20, 1), 100) is None
    assert compute_loss_threshold(loss(WEEK, 1), none, 100) is None
