"""What a window is compared with: its columns with the bundle's reference, its predictions with the same fit's."""

import datetime as dt
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from sklearn.tree import DecisionTreeRegressor

from monitoring.drift.column_drift import compute_drift
from monitoring.drift.window_drift import (
    ModelProfiles,
    compute_alarm_budget,
    compute_window_drift,
    select_score_reference,
)
from penumbra.core.columns import DAY_COLUMN, PREDICTION_COLUMN
from penumbra.core.histograms import Binning, Profile, compute_daily_profiles, select_profile_columns

WEEK, ROWS, REFERENCE_DAYS, WEEKS = 7, 60, 28, 12
FIRST = dt.date(2024, 1, 1)


def draw_rows(days: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Three columns of numbers [rows, 3], and outcomes."""
    random = np.random.default_rng(seed)
    inputs = random.standard_normal((days * ROWS, 3))
    return inputs, inputs[:, 0] + inputs[:, 1] * inputs[:, 2] + random.standard_normal(days * ROWS)


def fit_tree(days: int, seed: int) -> DecisionTreeRegressor:
    return DecisionTreeRegressor(max_depth=5, random_state=0).fit(*draw_rows(days, seed))


def make_frame(inputs: np.ndarray, scores: np.ndarray, first: dt.date) -> pl.DataFrame:
    days = [first + dt.timedelta(days=number) for number in range(len(inputs) // ROWS)]
    columns = {"a": inputs[:, 0], "b": inputs[:, 1], "c": inputs[:, 2], PREDICTION_COLUMN: scores}
    return pl.DataFrame({**columns, DAY_COLUMN: pl.Series(days).gather(np.arange(len(inputs)) // ROWS)})


def make_profiles(seed: int, days: int = WEEKS * WEEK, change: float = 1.0) -> ModelProfiles:
    """A tree of depth 5 in production from `FIRST` on, whose bundle's reference the fit before it has scored; after
    half of the days its scores are multiplied."""
    before, final = fit_tree(60, seed), fit_tree(88, seed + 1)
    held_out, rows = draw_rows(REFERENCE_DAYS, seed + 2)[0], draw_rows(days, seed + 3)[0]
    reference = make_frame(held_out, before.predict(held_out), FIRST - dt.timedelta(days=REFERENCE_DAYS))
    scores = final.predict(rows) * np.where(np.arange(len(rows)) < len(rows) // 2, 1, change)
    binning = Binning.learn(reference, ["a", "b", "c"])
    answered = compute_daily_profiles(make_frame(rows, scores, FIRST), binning, DAY_COLUMN)
    scored = select_profile_columns(answered, binning, [PREDICTION_COLUMN])
    return ModelProfiles(binning, compute_daily_profiles(reference, binning, DAY_COLUMN), answered, scored)


def list_windows(profiles: ModelProfiles) -> list[dt.date]:
    return [FIRST + dt.timedelta(days=WEEK * week) for week in range(len(profiles.answered) // WEEK)]


@pytest.mark.slow
def test_a_coarse_model_fitted_on_other_rows_than_the_reference_s_raises_no_alarm() -> None:
    """As the weeks were judged before, by the reference of another fit, most of them are drift."""
    now, before = [], []
    for seed in range(0, 40, 10):
        profiles = make_profiles(seed)
        for begin in list_windows(profiles):
            week = [profiles.answered[begin + dt.timedelta(days=day)] for day in range(WEEK)]
            old = compute_drift(week, list(profiles.reference.values()), profiles.binning, 300, WEEK)
            before.append(old.prediction is not None and old.prediction.ratio > 1)
            found = compute_window_drift(profiles, begin, WEEK, 300).result.prediction
            now.append(found is not None and found.ratio > 1)
    assert np.mean(before) > 0.5
    assert sum(now) <= 1


@pytest.mark.slow
def test_scores_that_change_after_weeks_in_production_are_drift_of_the_predictions() -> None:
    profiles = make_profiles(0, change=1.3)
    found = [compute_window_drift(profiles, begin, WEEK, 300) for begin in list_windows(profiles)]
    alarms = [each.result.ratio > 1 for each in found]
    assert alarms[: WEEKS // 2] == [False] * (WEEKS // 2)
    assert all(alarms[WEEKS // 2 :])
    assert {each.result.column for each in found[WEEKS // 2 :]} == {"the predictions"}


@pytest.fixture(scope="module")
def profiles() -> ModelProfiles:
    return make_profiles(0)


def test_the_first_window_of_a_version_that_was_never_in_the_shadow_says_that_predictions_arent_judged(
    profiles: ModelProfiles,
) -> None:
    found = compute_window_drift(profiles, FIRST, WEEK, 300)
    assert (found.result.prediction, list(found.scored)) == (None, [])
    assert set(found.result.columns) == {"a", "b", "c"}
    assert found.limits == (
        "drift of the predictions isn't judged yet: it takes 7 earlier days that this version scored and hasn't learnt "
        "from, and has 0"
    )


def test_with_a_window_s_length_of_days_before_it_they_are_judged(profiles: ModelProfiles) -> None:
    found = compute_window_drift(profiles, FIRST + dt.timedelta(days=WEEK), WEEK, 300)
    assert found.result.prediction is not None
    assert (found.limits, len(found.scored)) == ("", WEEK)


def test_days_in_the_shadow_count_like_days_in_production(profiles: ModelProfiles) -> None:
    early = {day - dt.timedelta(days=WEEK): profiles.scored[day] for day in sorted(profiles.scored)[:WEEK]}
    shadowed = ModelProfiles(profiles.binning, profiles.reference, profiles.answered, early | dict(profiles.scored))
    found = compute_window_drift(shadowed, FIRST, WEEK, 300)
    assert list(found.scored) == sorted(early)
    assert found.result.prediction is not None


def test_the_predictions_reference_is_the_first_days_up_to_as_many_as_the_bundle_s(profiles: ModelProfiles) -> None:
    late = FIRST + dt.timedelta(days=10 * WEEK)
    expected = [FIRST + dt.timedelta(days=number) for number in range(REFERENCE_DAYS)]
    assert select_score_reference(profiles, late, WEEK) == expected
    assert select_score_reference(profiles, FIRST + dt.timedelta(days=9), WEEK) == expected[:9]


def test_a_model_without_a_reference_is_not_judged() -> None:
    nothing = ModelProfiles(Binning({}, {}), {}, {FIRST: Profile(5, np.zeros(0, int))}, {})
    found = compute_window_drift(nothing, FIRST, WEEK, 300)
    assert (found.result.column, found.limits) == ("", "")


def test_where_no_column_can_be_counted_the_predictions_alone_are_judged(profiles: ModelProfiles) -> None:
    binning = profiles.binning.select([PREDICTION_COLUMN])
    reference = select_profile_columns(profiles.reference, profiles.binning, [PREDICTION_COLUMN])
    alone = ModelProfiles(binning, reference, profiles.scored, profiles.scored)
    found = compute_window_drift(alone, FIRST + dt.timedelta(days=5 * WEEK), WEEK, 300).result
    assert (found.columns, found.column) == ({}, "the predictions")


@pytest.mark.parametrize(("drift", "loss", "budget"), [(True, True, 300), (True, False, 200), (False, True, 100)])
def test_kinds_of_alarm_that_are_on_share_the_budget(drift: bool, loss: bool, budget: float) -> None:
    assert compute_alarm_budget(SimpleNamespace(one_in=100, on_drift=drift, on_loss=loss)) == budget
