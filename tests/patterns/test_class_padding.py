"""Classifiers for all classes of a task, fitted on rows with some of them."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from penumbra.patterns.class_padding import PaddedClasses, pad_missing_classes
from penumbra.registry.bundles.skops_model import load_skops_model
from penumbra.training.onnx.compile import compile_model, measure_parity

INPUTS = np.arange(12.0)[:, None]
CODES = np.repeat([3, 1, 3, 1], 3)  # of four classes


def test_classes_that_were_not_seen_have_no_probability_and_the_others_their_own():
    fitted = LogisticRegression().fit(INPUTS, CODES)
    padded = pad_missing_classes(fitted, 4)
    assert padded.classes_.tolist() == [0, 1, 2, 3]
    np.testing.assert_array_equal(padded.predict_proba(INPUTS)[:, [1, 3]], fitted.predict_proba(INPUTS))
    assert padded.predict_proba(INPUTS)[:, [0, 2]].max() == 0
    assert padded.predict(INPUTS).tolist() == fitted.predict(INPUTS).tolist()


@pytest.mark.parametrize(("labels", "classes"), [(np.arange(12) % 4, 4), (np.arange(12) % 2 == 0, 0)])
def test_a_classifier_that_saw_every_class_stays_as_it_is(labels, classes):
    fitted = LogisticRegression().fit(INPUTS, labels)
    assert pad_missing_classes(fitted, classes) is fitted


def test_it_compiles_exactly():
    padded = pad_missing_classes(LogisticRegression().fit(INPUTS, CODES), 4)
    assert measure_parity(padded, compile_model(padded, 1), INPUTS) <= 1e-12


def test_one_that_cannot_be_compiled_is_archived(tmp_path):
    from skops.io import dumps

    padded = pad_missing_classes(KNeighborsClassifier(1).fit(INPUTS, CODES), 4)
    (tmp_path / "model.skops").write_bytes(dumps(padded))
    loaded = load_skops_model(tmp_path / "model.skops")
    assert isinstance(loaded, PaddedClasses)
    np.testing.assert_array_equal(loaded.predict_proba(INPUTS), padded.predict_proba(INPUTS))
