import numpy as np
import polars as pl
import pytest

from monitoring.drift.column_drift import compute_drift
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
    assert found.ratio <= 1
    assert set(found.columns) == {"temp", "origin"}
    assert found.prediction is not None


def test_a_column_that_has_moved_is_named(reference: pl.DataFrame, binning: Binning) -> None:
    now = rows(WEEK, 2).with_columns(origin=pl.lit("JFK"))
    found = compute_drift(profiles(now, binning), profiles(reference, binning), binning, 100, WEEK)
    assert found.ratio > 1
    assert found.column == "origin"
    assert found.columns["origin"].distance > found.columns["origin"].threshold
    assert str(found).startswith("origin is at ")


def test_moved_predictions_are_drift_though_no_column_has_moved(reference: pl.DataFrame, binning: Binning) -> None:
    now = rows(WEEK, 2).with_columns(pl.col("penumbra.prediction") / 2)
    found = compute_drift(profiles(now, binning), profiles(reference, binning), binning, 100, WEEK)
    assert found.column == "the predictions"
    assert found.ratio > 1


@pytest.mark.slow
@pytest.mark.parametrize("each", [ROWS, 6])
def test_one_window_in_ten_without_drift_is_beyond_at_most(each: int) -> None:
    alarms, weeks = 0, 200
    for seed in range(weeks):
        before = rows(20, 2 * seed)
        binning = Binning.learn(before, ["temp", "origin"])
        now = profiles(rows(WEEK, 2 * seed + 1, each), binning)
        alarms += compute_drift(now, profiles(before, binning), binning, 10, WEEK, seed).ratio > 1
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
    assert (found.columns, found.prediction, found.ratio) == ({}, None, 0)


def test_a_few_days_are_too_few_for_any_alarm(reference: pl.DataFrame, binning: Binning) -> None:
    now = rows(1, 2).with_columns(origin=pl.lit("JFK"))
    assert (
        not compute_drift(profiles(now, binning), profiles(reference[: 3 * ROWS], binning), binning, 100, WEEK).ratio
        > 1
    )


def test_the_same_window_gets_the_same_verdict(reference: pl.DataFrame, binning: Binning) -> None:
    now, before = profiles(rows(WEEK, 2), binning), profiles(reference, binning)
    assert compute_drift(now, before, binning, 100, WEEK) == compute_drift(now, before, binning, 100, WEEK)


def shifted(days: int, seed: int, by: float) -> pl.DataFrame:
    return rows(days, seed).with_columns(pl.col("temp") + by)


def test_a_small_change_of_level_shows_once_it_has_lasted(reference: pl.DataFrame, binning: Binning) -> None:
    before, changed = profiles(reference, binning), profiles(shifted(8 * WEEK, 3, 1.0), binning)
    seen = [compute_drift(changed[: weeks * WEEK], before, binning, 300, WEEK) for weeks in (1, 8)]
    assert [found.ratio > 1 for found in seen] == [False, True]
    assert seen[1].column == "temp"
    assert seen[1].columns["temp"].days > WEEK
    assert seen[1].columns["temp"].shift == "higher"
    assert " over the last " in str(seen[1])


def test_a_share_of_a_word_that_moves_a_little_shows_once_it_has_lasted(
    reference: pl.DataFrame, binning: Binning
) -> None:
    few = pl.when(pl.int_range(pl.len()) % 10 == 0).then(pl.lit("LGA")).otherwise("origin").alias("origin")
    changed = profiles(rows(8 * WEEK, 6).with_columns(few), binning)
    seen = [
        compute_drift(changed[: weeks * WEEK], profiles(reference, binning), binning, 300, WEEK) for weeks in (1, 8)
    ]
    assert [found.ratio > 1 for found in seen] == [False, True]
    assert seen[1].columns["origin"].shift == ""


def test_an_alarm_doesnt_outlast_its_cause(reference: pl.DataFrame, binning: Binning) -> None:
    before, storm = profiles(reference, binning), profiles(shifted(WEEK, 4, 5.0), binning)
    calm = profiles(rows(WEEK, 2), binning)
    assert compute_drift(calm + storm, before, binning, 100, WEEK).ratio > 1
    assert not compute_drift(storm + calm, before, binning, 100, WEEK).ratio > 1


def test_a_cold_spell_is_no_drift_where_the_reference_had_one(reference: pl.DataFrame) -> None:
    cold = pl.when(pl.col("day").dt.epoch("d").is_between(10, 10 + WEEK - 1)).then(-4.0).otherwise(0.0)
    spell = reference.with_columns(pl.col("temp") + cold)
    binning = Binning.learn(spell, ["temp"])
    now = profiles(shifted(WEEK, 2, -4.0), binning)
    assert not compute_drift(now, profiles(spell, binning), binning, 10, WEEK).columns["temp"].ratio > 1


def test_days_without_rows_count_as_days_of_their_window(reference: pl.DataFrame, binning: Binning) -> None:
    """Of 14 days the last seven, of which three have rows, are the window: the seven days before it aren't in it."""
    before, moved = profiles(reference, binning), profiles(shifted(WEEK, 4, 5.0), binning)
    nothing = [Profile(0, np.zeros(binning.size, np.int64))] * 4
    calm = profiles(rows(3, 2), binning)
    assert not compute_drift(moved + nothing + calm, before, binning, 100, WEEK).ratio > 1
    assert not compute_drift(moved + nothing + nothing[:3], before, binning, 100, WEEK).columns


def test_a_single_column_of_words_can_be_judged_alone(reference: pl.DataFrame) -> None:
    binning = Binning({}, {"origin": ["EWR", "JFK", "LGA"]})
    found = compute_drift(
        profiles(rows(WEEK, 2).with_columns(origin=pl.lit("JFK")), binning),
        profiles(reference, binning),
        binning,
        100,
        WEEK,
    )
    assert (found.column, found.ratio > 1, found.prediction) == ("origin", True, None)


@pytest.mark.slow
@pytest.mark.parametrize("volumes", [(1, 1, 1, 3), (3, 3, 3, 1), (1, 2, 3, 4)])
def test_windows_with_more_or_fewer_rows_than_others_keep_the_promise(volumes: tuple[int, ...]) -> None:
    """One in ten of 200 windows without drift at most, two standard errors allowed."""
    binning = Binning({"temp": np.linspace(-2, 2, 15).tolist()}, {})
    alarms = [
        compute_drift(
            [day for n, volume in enumerate(volumes) for day in _draw_days(5, 6 * volume, [seed, n])],
            _draw_days(30, 20, [seed, 9]),
            binning,
            10,
            5,
            seed,
        ).ratio
        > 1
        for seed in range(200)
    ]
    assert np.mean(alarms) <= 0.1 + 2 * np.sqrt(0.1 * 0.9 / 200)


def _draw_days(days: int, each: int, seed: list[int]) -> list[Profile]:
    random = np.random.default_rng(seed)
    values = random.standard_normal((days, 1)) + random.standard_normal((days, each))
    bins = np.searchsorted(np.linspace(-2, 2, 15), values)
    return [Profile(each, np.bincount(day, minlength=17)) for day in bins]
