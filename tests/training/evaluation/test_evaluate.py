"""Trials: fitted on some rows, scored on others."""

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression

from penumbra.core.task import Task
from penumbra.training.evaluation.evaluate import (
    TrialJob,
    describe_rare_classes,
    predict_for_task,
    run_trial,
    score_predictions,
)
from penumbra.training.fit import TrainingSet

BINARY = Task("binary")
LABELS = np.array([False, False, True, True])
INPUTS = np.array([[0.0], [1.0], [2.0], [3.0]])


def run_small_trial(estimator, judge=(INPUTS, LABELS), task=BINARY):
    return run_trial(TrialJob("a"), task, estimator, TrainingSet(INPUTS, LABELS), judge)


def test_a_trial_learns_from_some_rows_and_is_scored_on_others():
    done, said = run_small_trial(DummyClassifier(strategy="prior"), (INPUTS[1:3], LABELS[1:3]))
    assert (done.candidate, said.tolist()) == ("a", [0.5, 0.5])
    assert done.scores["brier"] == 0.25


def test_a_trial_knows_when_it_began_and_ended():
    done, _ = run_small_trial(DummyClassifier())
    assert 0 <= done.fit_seconds <= done.ended - done.began < 60


def test_a_trial_keeps_what_the_estimator_reports_of_itself():
    class Talkative(DummyClassifier):
        report_ = {"share": 0.25}

    assert run_small_trial(Talkative())[0].report == {"share": 0.25}


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
    done, said = run_small_trial(LogisticRegression())
    again = score_predictions("live", BINARY, LABELS, said)
    assert (again.scores, again.curves) == (done.scores, done.curves)


def test_classes_of_which_few_rows_are_scored_are_said_to_weigh_much_in_the_mean():
    task, labels = Task("multiclass", ("none", "minor", "lost", "new")), np.array([0] * 30 + [1] * 20 + [2])
    (said,) = describe_rare_classes(task, labels)
    assert said.endswith("a row of a rare one weighs much: of those scored lost has 1 row.")
    assert describe_rare_classes(task, labels[:50]) == describe_rare_classes(BINARY, LABELS) == []
