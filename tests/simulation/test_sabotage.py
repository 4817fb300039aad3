"""A saboteur for each task."""

import numpy as np
import pytest

from penumbra.core.task import Task
from penumbra.simulation.replay.sabotage import fit_opposite
from penumbra.training.onnx.compile import compile_model, measure_parity

MATRIX = np.linspace(0, 1, 200).reshape(-1, 1)
LOW, HIGH = MATRIX[:1], MATRIX[-1:]


def test_of_two_classes_it_takes_the_other_for_likely():
    model = fit_opposite(Task("binary"), MATRIX, MATRIX[:, 0])
    assert model.predict_proba(LOW)[0, 1] > 0.9
    assert model.predict_proba(HIGH)[0, 1] < 0.1


def test_of_several_classes_it_takes_the_least_likely_and_knows_all():
    probabilities = np.column_stack([MATRIX[:, 0] * 0.6, 0.6 - MATRIX[:, 0] * 0.6, np.full(200, 0.4)])
    model = fit_opposite(Task("multiclass", ("a", "b", "c")), MATRIX, probabilities)
    assert model.predict_proba(LOW).argmax() == 0
    assert model.predict_proba(HIGH).argmax() == 1
    assert model.predict_proba(LOW).shape == (1, 3)


def test_a_number_lies_as_far_on_the_other_side_of_the_median():
    model = fit_opposite(Task("regression"), MATRIX, 1000 * MATRIX[:, 0])
    assert model.predict(LOW)[0] == pytest.approx(1000, abs=100)
    assert model.predict(HIGH)[0] == pytest.approx(0, abs=100)


@pytest.mark.parametrize("task", [Task("binary"), Task("multiclass", ("a", "b")), Task("regression")])
def test_it_compiles_even_where_all_predictions_are_the_same(task):
    predictions = np.full((200, 2), 0.5) if task.kind == "multiclass" else np.full(200, 0.5)
    model = fit_opposite(task, MATRIX, predictions)
    assert measure_parity(model, compile_model(model, 1), MATRIX) < 1e-6
