import re
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.utils.estimator_checks import estimator_checks_generator

from penumbra.patterns.augmentation import Augmented
from penumbra.patterns.cascade import Cascade, choose_thresholds
from penumbra.patterns.hard_negatives import HardNegatives, find_label_issues
from penumbra.patterns.out_of_sample import fit_calibration, predict_out_of_sample
from penumbra.patterns.reframing import Reframed
from problem.augment import JITTER, SENSORS, augment, outage

COLUMNS = SimpleNamespace(names=["size", "colour"], categorical=[1], numeric=[0])
RANDOM = np.random.default_rng(0)
INPUTS = RANDOM.normal(size=(400, 2))
QUANTITY = 10 * INPUTS[:, 0] + RANDOM.normal(0, 5, 400)
LABELS = QUANTITY > 5


def unchanged(matrix, columns, rng):
    return matrix


PATTERNS = {
    "reframed": Reframed(LinearRegression(), above=5, scale=10),
    "cascade": Cascade(LogisticRegression(C=0.001), LogisticRegression()),
    "hard negatives": HardNegatives(LogisticRegression()),
    "augmented": Augmented(LogisticRegression(), unchanged, COLUMNS),
}


def taught(name):
    return clone(PATTERNS[name]).fit(INPUTS, QUANTITY if name == "reframed" else LABELS)


def loss(said, labels=LABELS):
    return -np.log(np.where(labels, said[:, 1], said[:, 0])).mean()


# Conventions


@pytest.mark.parametrize("name", PATTERNS)
def test_a_clone_has_the_same_parameters_and_nothing_learnt(name):
    copy = clone(taught(name))
    assert repr(copy) == repr(PATTERNS[name])
    assert [each for each in vars(copy) if each.endswith("_")] == []


@pytest.mark.parametrize("name", PATTERNS)
def test_parameters_of_the_estimator_within_can_be_set_by_name(name):
    within = next(key for key, value in PATTERNS[name].get_params(deep=False).items() if hasattr(value, "fit"))
    changed = clone(PATTERNS[name]).set_params(**{f"{within}__fit_intercept": False})
    assert changed.get_params()[within].fit_intercept is False


@pytest.mark.parametrize("name", PATTERNS)
def test_a_fitted_pattern_is_better_than_the_base_rate_and_reports_numbers(name):
    fitted = taught(name)
    base = DummyClassifier().fit(INPUTS, LABELS).predict_proba(INPUTS)
    assert loss(fitted.predict_proba(INPUTS)) < 0.8 * loss(base)
    assert {type(value) for value in fitted.report_.values()} == {float}


CHECKED = [Cascade(LogisticRegression(C=0.1), LogisticRegression()), Augmented(Ridge(), unchanged, COLUMNS)]
CHECKS = ("n_features_in", "unfitted", "dict_unchanged", "dtype_object", "complex", "idempotent", "regression_target")


@pytest.mark.parametrize(
    ("estimator", "check"),
    [
        (estimator, check)
        for each in CHECKED
        for estimator, check in estimator_checks_generator(each)
        if any(part in check.func.__name__ for part in CHECKS)
    ],
)
def test_the_conventions_of_scikit_learn_hold(estimator, check):
    check(estimator)


@pytest.mark.parametrize("name", ["cascade", "hard negatives"])
def test_more_than_two_classes_are_refused_by_name(name):
    kind = type(PATTERNS[name]).__name__
    with pytest.raises(ValueError, match=f"Only binary classification.*{kind} was given 3 classes: 0, 1, 2"):
        clone(PATTERNS[name]).fit(INPUTS, np.arange(400) % 3)


# Ahead in time


class Recorder(LinearRegression):
    """Predicts how many rows it has learnt from."""

    def fit(self, inputs, y):
        self.seen_ = len(y)
        return self

    def predict(self, inputs):
        return np.full(len(inputs), self.seen_)


def test_every_row_is_predicted_by_what_learnt_from_earlier_blocks_only():
    said = predict_out_of_sample(Recorder(), np.zeros((8, 1)), np.zeros(8), folds=3)
    np.testing.assert_array_equal(said, [np.nan, np.nan, 2, 2, 4, 4, 6, 6])


def test_rows_count_as_often_as_they_are_told_to():
    said = predict_out_of_sample(
        Recorder(), np.zeros((8, 1)), np.zeros(8), folds=3, copies=np.array([0, 3, 1, 1, 1, 1, 9, 9])
    )
    np.testing.assert_array_equal(said, [np.nan, np.nan, 3, 3, 5, 5, 7, 7])


@settings(max_examples=8)
@given(st.floats(-2, 2), st.floats(0.05, 0.95))
def test_calibrated_scores_have_the_base_rate_whatever_the_blocks_say(shift, rate):
    final = np.linspace(-3, 3, 200)
    truth = np.arange(200) % 100 < rate * 100
    scores = np.where(np.arange(200) < 50, np.nan, final + shift)
    slope, intercept = fit_calibration(scores, final, truth, folds=3)
    assert (1 / (1 + np.exp(-slope * final - intercept))).mean() == pytest.approx(truth.mean(), abs=1e-6)


def test_a_rise_of_the_base_rate_from_block_to_block_does_not_blunt_the_slope():
    random = np.random.default_rng(1)
    scores, block = random.normal(size=4000), np.repeat([0, 1, 2, 3], 1000)
    truth = random.random(4000) < 1 / (1 + np.exp(-2 * scores - block + 1.5))
    slope, _ = fit_calibration(np.where(block == 0, np.nan, scores), scores, truth, folds=3)
    assert slope == pytest.approx(2, abs=0.25)


# Reframing


def test_a_reframed_regressor_gives_probabilities_of_being_above():
    fitted = taught("reframed")
    assert fitted.classes_.tolist() == [False, True]
    assert is_classifier(fitted)
    np.testing.assert_array_equal(fitted.predict(INPUTS), fitted.predict_proba(INPUTS)[:, 1] > 0.5)


def test_one_extreme_quantity_changes_hardly_any_probability():
    extreme = QUANTITY.copy()
    extreme[3] = 1e6
    change = clone(PATTERNS["reframed"]).fit(INPUTS, extreme).predict_proba(INPUTS) - taught("reframed").predict_proba(
        INPUTS
    )
    assert np.abs(change).max() < 0.05


# Cascade


def test_a_budget_without_end_leaves_every_row_to_the_cheap_model():
    settings = choose_thresholds(np.array([0.2, 0.4, 0.6]), np.array([5.0, 5.0, 5.0]), budget=5.0)
    assert (settings["cheap_share"], settings["expensive_share"]) == (1, 0)


def test_without_a_budget_the_cheap_model_answers_only_where_it_costs_nothing():
    settings = choose_thresholds(np.array([0.1, 0.2, 0.8, 0.9]), np.array([-0.1, 0.3, 0.3, 0.1]), budget=0.0)
    assert settings == {
        "low": pytest.approx(0.15),
        "high": pytest.approx(0.85),
        "cheap_share": 0.5,
        "expensive_share": 0.5,
        "loss_above_expensive": pytest.approx(0.0),
    }


probabilities = st.lists(st.tuples(st.floats(0, 1), st.floats(-1, 1)), min_size=1, max_size=60)


@given(probabilities, st.floats(0, 0.5))
def test_thresholds_keep_the_budget_and_say_truly_what_they_do(pairs, budget):
    cheap, excess = np.array(pairs).T
    settings = choose_thresholds(cheap, excess, budget)
    sure = (cheap < settings["low"]) | (cheap > settings["high"])
    assert settings["low"] <= settings["high"]
    assert sure.mean() == pytest.approx(settings["cheap_share"])
    assert excess[sure].sum() / len(cheap) <= budget + 1e-9


@given(st.lists(st.tuples(st.sampled_from([0.1, 0.3, 0.5, 0.9]), st.floats(-1, 1)), min_size=1, max_size=6))
def test_no_other_pair_of_thresholds_lets_the_cheap_model_answer_more(pairs):
    cheap, excess = np.array(pairs).T
    edges = [0.0, 0.2, 0.4, 0.7, 1.0]
    tried = [(cheap < low) | (cheap > high) for low in edges for high in edges if low <= high]
    best = max(sure.mean() for sure in tried if excess[sure].sum() / len(cheap) <= 0.1)
    assert choose_thresholds(cheap, excess, budget=0.1)["cheap_share"] == pytest.approx(best)


@given(probabilities, st.sampled_from([0.0, 1e-16, -1e-16]), st.floats(0, 0.5))
def test_who_answers_does_not_hang_on_the_last_bit(pairs, noise, budget):
    cheap, excess = np.array(pairs).T
    settings = choose_thresholds(cheap, excess, budget)
    sure, again = ((p < settings["low"]) | (p > settings["high"]) for p in (cheap, cheap + noise))
    np.testing.assert_array_equal(sure, again)


def test_each_row_is_answered_by_the_model_that_has_to():
    fitted = taught("cascade")
    sure = fitted.mask_cheap_rows(INPUTS)
    fitted.report_["low"], fitted.report_["high"] = np.quantile(fitted.cheap_.predict_proba(INPUTS)[:, 1], [0.3, 0.6])
    sure = fitted.mask_cheap_rows(INPUTS)
    assert 0 < sure.sum() < len(sure)
    said = fitted.predict_proba(INPUTS)
    np.testing.assert_array_equal(said[sure], fitted.cheap_.predict_proba(INPUTS)[sure])
    np.testing.assert_allclose(said[~sure], fitted.expensive_.predict_proba(INPUTS)[~sure])


def test_the_thresholds_come_from_the_latest_rows_only():
    """On the earlier rows the cheap model is useless, on the latest it is as good as the expensive one."""
    inputs = np.random.default_rng(2).normal(size=(400, 2))
    truth = np.where(np.arange(400) < 300, inputs[:, 1], 0) > 0
    truth[300:] = np.arange(100) % 2 == 0
    cascade = Cascade(DummyClassifier(), LogisticRegression(), budget=0.0, tail=0.25).fit(inputs, truth)
    assert cascade.report_["cheap_share"] == 1


# Hard negatives


class Counted(DummyClassifier):
    """Remembers how often it was shown each row."""

    def fit(self, inputs, y):
        self.rows_ = np.asarray(inputs)[:, 0].astype(int)
        return super().fit(inputs, y)


def shown(live, truth, **parameters):
    """How often each row is shown; rows are told apart by their first column."""
    inputs = np.column_stack([np.arange(len(truth)), np.zeros(len(truth))])
    fitted = HardNegatives(Counted(), **parameters).fit(inputs, truth, live=live)
    return np.bincount(fitted.estimator_.rows_, minlength=len(truth)), fitted.report_


TRUTH = np.arange(40) % 2 == 0


def test_what_the_live_model_got_confidently_wrong_stands_twice():
    live = np.full(40, 0.5)
    live[[10, 11]] = 0.05, 0.95
    times, report = shown(live, TRUTH, noise=0.0)
    assert np.flatnonzero(times == 2).tolist() == [10, 11]
    assert report == {"rows_weighted": 2.0, "rows_left_out_as_noise": 0.0}


def test_rows_that_the_live_model_is_right_about_or_does_not_know_stand_once():
    live = np.where(TRUTH, 0.99, 0.01)
    live[20:] = np.nan
    times, _ = shown(live, TRUTH)
    assert set(times) == {1}


def test_the_most_extreme_rows_are_left_out_where_an_independent_model_doubts_them_too():
    live = np.full(40, 0.5)
    live[[12, 30]] = 0.01, 0.02
    truth = TRUTH.copy()
    times, report = shown(live, truth, noise=0.025)
    assert (times[12], times[30], report["rows_left_out_as_noise"]) == (0, 2, 1.0)


def test_without_a_live_model_the_estimator_finds_its_own_mistakes_ahead_in_time():
    inputs = np.repeat([[-3.0], [3.0]], 100, axis=0)[RANDOM.permutation(200)]
    truth = inputs[:, 0] > 0
    truth[150:160] = ~truth[150:160]
    found = HardNegatives(LogisticRegression(), noise=0.0).fit(inputs, truth).report_
    assert found["rows_weighted"] == 10


def test_probabilities_are_right_although_wrong_rows_stand_several_times():
    fitted = HardNegatives(LogisticRegression(), extra=5, confident=0.3).fit(INPUTS, LABELS)
    assert loss(fitted.predict_proba(INPUTS)) < loss(fitted.estimator_.predict_proba(INPUTS)) - 0.01
    assert fitted.predict_proba(INPUTS)[:, 1].mean() == pytest.approx(LABELS.mean(), abs=0.005)


def test_a_row_is_doubtful_where_the_other_class_is_as_likely_as_it_usually_is():
    said, truth = np.array([0.8, 0.9, 0.1, 0.2, 0.95, np.nan]), np.array([True, True, True, False, False, False])
    assert find_label_issues(said, truth).tolist() == [False, False, True, False, True, False]


# Augmentation


def test_each_row_is_followed_by_its_altered_copies():
    shifted = lambda matrix, columns, rng: matrix + 100  # noqa: E731
    fitted = Augmented(Counted(), shifted, COLUMNS, copies=2).fit(np.array([[1.0, 0], [2, 0]]), [False, True])
    assert fitted.estimator_.rows_.tolist() == [1, 101, 101, 2, 102, 102]
    assert fitted.report_ == {"rows_added": 4.0}


class Forbidden(Exception):
    pass


def test_what_is_predicted_is_never_altered():
    def only_once(matrix, columns, rng):
        if len(matrix) != len(INPUTS):
            raise Forbidden
        return matrix

    fitted = Augmented(LogisticRegression(), only_once, COLUMNS).fit(INPUTS, LABELS)
    fitted.alter = None
    new = INPUTS[:7].copy()
    np.testing.assert_array_equal(fitted.predict_proba(new), fitted.estimator_.predict_proba(new))
    np.testing.assert_array_equal(new, INPUTS[:7])


def test_an_alteration_in_place_does_not_reach_the_rows_themselves():
    def zero(matrix, columns, rng):
        matrix[:] = 0
        return matrix

    inputs = INPUTS.copy()
    Augmented(LogisticRegression(), zero, COLUMNS).fit(inputs, LABELS)
    np.testing.assert_array_equal(inputs, INPUTS)


def test_an_alteration_of_another_shape_is_named():
    def wider(matrix, columns, rng):
        return np.hstack([matrix, matrix])

    with pytest.raises(ValueError, match=re.escape("wider was given a matrix (400, 2) and returned (400, 4)")):
        Augmented(LogisticRegression(), wider, COLUMNS).fit(INPUTS, LABELS)


def test_an_augmented_estimator_is_what_the_estimator_is():
    assert is_regressor(Augmented(HistGradientBoostingRegressor(), unchanged, COLUMNS))
    assert is_classifier(Augmented(HistGradientBoostingClassifier(), unchanged, COLUMNS))


def test_the_examples_alterations_touch_weather_only_and_lose_all_of_it_at_once():
    names = ["distance", *SENSORS]
    columns = SimpleNamespace(names=names, categorical=[], numeric=list(range(len(names))))
    rows = augment(np.ones((1000, len(names))), columns, np.random.default_rng(0))
    missing = np.isnan(rows)
    assert (rows[:, 0] == 1).all()
    assert set(missing[:, 1:].sum(axis=1)) == {0, len(SENSORS)}
    assert 0.1 < missing[:, 1].mean() < 0.3
    present = rows[~missing[:, 1]]
    assert [name for name, spread in zip(names, present.std(axis=0), strict=True) if spread > 0] == list(JITTER)


def test_an_outage_takes_the_share_that_it_is_told():
    columns = SimpleNamespace(names=SENSORS, categorical=[], numeric=[])
    rows = outage(np.ones((1000, len(SENSORS))), columns, np.random.default_rng(0), share=1.0)
    assert np.isnan(rows).all()
