"""Why a candidate is left out."""

import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingClassifier, StackingClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC

from penumbra.core.task import Task
from penumbra.patterns import Augmented, Reframed
from penumbra.training.rejection import (
    Rejection,
    TrainingRefused,
    describe_failure,
    find_estimator_fault,
    refuse_training,
)

BINARY, NUMBER = Task("binary"), Task("regression")


@pytest.mark.parametrize(
    "estimator",
    [
        LogisticRegression(),
        make_pipeline(StandardScaler(), LogisticRegression()),
        StackingClassifier([("a", LogisticRegression())]),
        CalibratedClassifierCV(LinearSVC()),
        SVC(probability=True),
        Reframed(Ridge()),
        Augmented(HistGradientBoostingClassifier(), None, None),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_a_classifier_with_probabilities_suits_a_task_of_classes(estimator):
    assert find_estimator_fault(estimator, BINARY, "Boolean") == ""
    assert find_estimator_fault(estimator, NUMBER, "Float64").startswith(
        f"a {type(estimator).__name__} is no regressor"
    )


@pytest.mark.parametrize(
    ("estimator", "reason"),
    [
        (None, "its function returns None: expected an unfitted scikit-learn estimator"),
        (LogisticRegression, "its function returns a class: expected an unfitted scikit-learn estimator"),
        ("logistic", "its function returns a str: expected an unfitted scikit-learn estimator"),
        (StandardScaler(), "its function returns a StandardScaler: expected an unfitted scikit-learn estimator"),
        (Ridge(), "a Ridge is no classifier and target() gives classes (Boolean): take a classifier"),
        (LinearSVC(), "a LinearSVC has no predict_proba: wrap it in CalibratedClassifierCV"),
    ],
)
def test_what_does_not_suit_is_named_with_the_remedy(estimator, reason):
    assert find_estimator_fault(estimator, BINARY, "Boolean").startswith(reason)


def test_an_object_that_only_looks_like_an_estimator_is_named():
    class Lookalike:
        def fit(self, inputs, labels): ...
        def predict(self, inputs): ...

    assert "is no scikit-learn estimator" in find_estimator_fault(Lookalike(), BINARY, "Boolean")


def test_a_failure_is_one_line_of_limited_length_with_a_remedy_where_one_is_known():
    assert describe_failure(ValueError("Input X contains NaN.\nMore")).startswith(
        "ValueError: Input X contains NaN. More; put a SimpleImputer before it"
    )
    assert describe_failure(KeyError("a")) == "KeyError: 'a'"
    assert describe_failure(MemoryError()).startswith("MemoryError; give it fewer rows")
    assert len(describe_failure(ValueError("long " * 1000))) < 400


def test_where_no_candidate_is_left_each_is_named():
    with pytest.raises(TrainingRefused, match="a is left out: first; b is left out: second"):
        refuse_training([Rejection("a", "first"), Rejection("b", "second")])
