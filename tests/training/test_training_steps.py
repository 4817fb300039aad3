import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from penumbra.core.task import Task
from penumbra.features import Category, Number
from penumbra.storage.arrays import ArrayStore
from penumbra.training.evaluate import TrialJob, predict_for_task, run_trial, score_predictions
from penumbra.training.fit import TrainingSet, build_matrix, extract_labels, fit_estimator, select_labelled_rows
from penumbra.training.onnx.compile import measure_parity
from penumbra.training.release import ParityError, add_missing_values, fit_release, pick_evenly_spaced
from penumbra.training.search import search_parameters, thin_training_set
from penumbra.training.split import split_batches

BATCHES = ["2013-01", "2013-02", "2013-03", "2013-04"]
BINARY = Task("binary")
LABELS = np.array([False, False, True, True])
INPUTS = np.array([[0.0], [1.0], [2.0], [3.0]])

# Split


def test_the_latest_batches_judge_the_ones_before_choose_and_the_rest_teaches():
    parts = split_batches(BATCHES, validation=1, test=1)
    assert (parts.train, parts.validation, parts.test) == (["2013-01", "2013-02"], ["2013-03"], ["2013-04"])


@given(st.sets(st.integers(1, 99), min_size=1, max_size=20), st.integers(1, 5), st.integers(1, 5), st.randoms())
def test_no_batch_is_used_before_or_beside_an_earlier_one(numbers, validation, test, random):
    assume(len(numbers) > validation + test)
    batches = [f"{number:02}" for number in numbers]
    random.shuffle(batches)
    parts = split_batches(batches, validation, test)
    assert parts.all == sorted(batches)
    assert (len(parts.validation), len(parts.test)) == (validation, test)
    assert max(parts.train) < min(parts.validation) <= max(parts.validation) < min(parts.test)


@pytest.mark.parametrize("batches", [[], BATCHES[:1], BATCHES[:2]])
def test_too_few_batches_are_refused_with_what_is_needed_and_what_is_there(batches):
    with pytest.raises(
        ValueError, match=rf"at least 3 batches.*there are {len(batches)}: {', '.join(batches) or 'none'}.*ingest"
    ):
        split_batches(batches, validation=1, test=1)


# The matrices of a run


@given(st.dictionaries(st.sampled_from(BATCHES), st.integers(0, 4), min_size=1), st.data())
def test_a_part_has_exactly_the_rows_of_its_batches(tmp_path_factory, sizes, data):
    owner = np.repeat(list(sizes), list(sizes.values()))
    stored = ArrayStore(tmp_path_factory.mktemp("run"), sizes)
    stored.write("inputs", np.arange(len(owner) * 2.0).reshape(-1, 2))
    stored.write("labels", owner)
    first = data.draw(st.integers(0, len(sizes) - 1))
    settings = list(sizes)[first : data.draw(st.integers(first + 1, len(sizes)))]
    np.testing.assert_array_equal(stored.part(settings, "labels"), owner[np.isin(owner, settings)])
    np.testing.assert_array_equal(stored.part(settings, "inputs")[:, 0], 2.0 * np.flatnonzero(np.isin(owner, settings)))


def test_processes_share_the_matrices_and_none_can_change_them(tmp_path):
    stored = ArrayStore(tmp_path / "run", {"a": 4})
    stored.write("inputs", INPUTS)
    read = stored.read("inputs")
    assert isinstance(read, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        read[0] = 9


def test_rows_without_an_outcome_are_left_out():
    rows = select_labelled_rows(pl.DataFrame({"delay": [20, None, 3]}), pl.col("delay") > 15)
    assert rows.rows() == [(20, True), (3, False)]


def test_the_matrix_codes_categories_and_keeps_numbers_and_labels():
    inputs = [{"size": 1.5, "colour": "red"}, {"size": None, "colour": None}, {"size": 0.5, "colour": "blue"}]
    rows = pl.DataFrame({"inputs": inputs, "label": [True, False, True]})
    matrix, encoding = build_matrix(rows, [Number("size"), Category("colour")])
    np.testing.assert_array_equal(matrix, [[1.5, 1], [np.nan, -1], [0.5, 0]])
    assert (extract_labels(rows, BINARY).tolist(), encoding.tables) == (
        [True, False, True],
        {"colour": {"blue": 0, "red": 1}},
    )


# Trials


def tried(estimator, judge=(INPUTS, LABELS), task=BINARY):
    return run_trial(TrialJob("a"), task, estimator, TrainingSet(INPUTS, LABELS), judge)


def test_a_trial_learns_from_some_rows_and_is_scored_on_others():
    done, said = tried(DummyClassifier(strategy="prior"), (INPUTS[1:3], LABELS[1:3]))
    assert (done.candidate, said.tolist()) == ("a", [0.5, 0.5])
    assert done.scores["brier"] == 0.25


def test_a_trial_knows_when_it_began_and_ended():
    done, _ = tried(DummyClassifier())
    assert 0 <= done.fit_seconds <= done.ended - done.began < 60


def test_a_trial_keeps_what_the_estimator_reports_of_itself():
    class Talkative(DummyClassifier):
        report_ = {"share": 0.25}

    assert tried(Talkative())[0].report == {"share": 0.25}


def test_the_predictions_of_a_binary_task_are_the_probabilities_of_true():
    estimator = LogisticRegression().fit(INPUTS, LABELS)
    assert np.all(np.diff(predict_for_task(BINARY, estimator, INPUTS)) > 0)


def test_the_predictions_of_a_regression_are_its_values():
    estimator = LinearRegression().fit(INPUTS, 2 * INPUTS[:, 0])
    np.testing.assert_allclose(predict_for_task(Task("regression"), estimator, INPUTS), [0, 2, 4, 6], atol=1e-12)


def test_a_classifier_that_has_not_seen_every_class_is_refused_with_its_name():
    estimator = DummyClassifier().fit(INPUTS, [0, 2, 2, 0])
    with pytest.raises(ValueError, match="the training rows have no crow"):
        predict_for_task(Task("multiclass", ("owl", "crow", "kite")), estimator, INPUTS)


def test_predictions_that_are_there_already_are_scored_the_same():
    done, said = tried(LogisticRegression())
    again = score_predictions("live", BINARY, LABELS, said)
    assert (again.scores, again.curves) == (done.scores, done.curves)


# What is taught


def test_only_an_estimator_that_asks_for_it_is_told_what_the_live_model_said():
    class Asking(DummyClassifier):
        def fit(self, inputs, y, live=None):
            self.heard = live
            return super().fit(inputs, y)

    asking, plain = Asking(), DummyClassifier()
    said = np.full(4, 0.25)
    fit_estimator(asking, TrainingSet(INPUTS, LABELS, said))
    fit_estimator(plain, TrainingSet(INPUTS, LABELS, said))
    assert asking.heard is said


def test_a_thinned_lesson_keeps_a_share_of_the_rows_spread_over_time():
    lesson = TrainingSet(np.arange(100.0).reshape(-1, 1), np.arange(100))
    assert thin_training_set(lesson, 0.1).y.tolist() == [0, 11, 22, 33, 44, 55, 66, 77, 88, 99]


# A search


def searched(seed):
    inputs = np.random.default_rng(7).normal(size=(200, 3))
    labels = inputs[:, 0] > 0
    rows = TrainingSet(inputs, labels), (inputs, labels)
    make = lambda: LogisticRegression(max_iter=500)  # noqa: E731
    return search_parameters(
        make, lambda trial: {"C": trial.suggest_float("C", 1e-6, 1e3, log=True)}, BINARY, *rows, 6, seed
    )


def test_a_search_finds_parameters_that_lower_the_loss():
    assert searched(1)["C"] > 0.1


def test_the_same_seed_finds_the_same_and_another_one_tries_others():
    assert searched(1) == searched(1) != searched(2)


# Release


MANY = np.column_stack([np.linspace(-1, 1, 400), np.arange(400) % 5])


def released(estimator):
    return fit_release(estimator, TrainingSet(MANY, MANY[:, 0] > 0), MANY[:100], categorical=[1], task=BINARY)


def test_a_release_answers_as_the_fitted_estimator_on_its_probe():
    estimator = HistGradientBoostingClassifier(categorical_features=[1], max_iter=5)
    made = released(estimator)
    assert made.compiled
    assert made.parity <= 1e-9
    assert measure_parity(estimator, made.model, made.probe) <= 1e-9
    np.testing.assert_array_equal(made.answers, estimator.predict_proba(made.probe))


def test_the_probe_has_missing_values_in_every_column():
    probe = released(HistGradientBoostingClassifier(categorical_features=[1], max_iter=2)).probe
    assert (np.isnan(probe[:, 0]).any(), (probe[:, 1] == -1).any(), np.isnan(probe[:, 1]).any()) == (True, True, False)


@pytest.mark.parametrize("wrong", [1e-8, np.nan])
def test_a_compiled_model_that_differs_from_the_fitted_one_is_not_released(wrong):
    """The estimator's own answers are shifted, but only where the first column is missing."""
    estimator = HistGradientBoostingClassifier(max_iter=2)
    honest = estimator.predict_proba
    estimator.predict_proba = lambda rows: honest(rows) + np.where(np.isnan(rows[:, :1]), wrong, 0)
    with pytest.raises(ParityError, match="HistGradientBoostingClassifier differ by"):
        released(estimator)


def test_an_estimator_that_cannot_be_compiled_is_released_as_it_is_with_the_reason():
    made = released(make_pipeline(SimpleImputer(), KNeighborsClassifier()))
    assert (made.compiled, made.uncompiled.split(";")[0]) == (
        False,
        "cannot compile KNeighborsClassifier: its type is unknown",
    )
    assert made.model.startswith(b"PK")


def test_a_regression_is_released_with_its_values_as_answers():
    made = fit_release(LinearRegression(), TrainingSet(INPUTS, INPUTS[:, 0]), INPUTS, [0], Task("regression"))
    np.testing.assert_allclose(made.answers, made.probe[:, 0], atol=1e-9)


def test_a_classifier_that_has_not_seen_every_class_is_not_released():
    task = Task("multiclass", ("calm", "windy", "storm"))
    with pytest.raises(ValueError, match="the training rows have no windy"):
        fit_release(LogisticRegression(), TrainingSet(INPUTS, np.array([0, 2, 0, 2])), INPUTS, [0], task)


def test_awkward_rows_are_the_rows_and_each_again_with_one_value_missing():
    rows = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    np.testing.assert_array_equal(add_missing_values(rows, categorical=[1])[:3], rows)
    np.testing.assert_array_equal(add_missing_values(rows, categorical=[1])[3:], [[np.nan, 2], [3, -1], [np.nan, 6]])


@given(st.integers(1, 1000), st.integers(1, 300))
def test_spread_positions_are_different_and_within_the_rows(count, most):
    positions = pick_evenly_spaced(count, most)
    assert len(set(positions)) == len(positions) <= most
    assert 0 <= positions.min() <= positions.max() < count
