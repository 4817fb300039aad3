"""The engine's own baseline: no input moves it, and no constant does better by the loss."""

import numpy as np
import pytest

from penumbra.core.metrics.losses import compute_row_losses
from penumbra.core.task import Task
from penumbra.training.constant_model import build_constant_model
from penumbra.training.evaluation.evaluate import predict_for_task

LABELS = np.array([0.0, 1.0, 1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 21.0, 34.0])
INPUTS = np.arange(10.0)[:, None]


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "quantile_0.9", "auto"])
def test_no_number_loses_less_than_the_constant(loss):
    task = Task("regression", loss="squared_error" if loss == "auto" else loss)
    fitted = build_constant_model(Task("regression", loss=loss)).fit(INPUTS, LABELS)
    said = predict_for_task(task, fitted, INPUTS)
    assert np.ptp(said) == 0
    mean = compute_row_losses(task, LABELS, said).mean()
    others = [compute_row_losses(task, LABELS, np.full(10, value)).mean() for value in np.linspace(0, 34, 341)]
    assert mean <= min(others) + 1e-9


@pytest.mark.parametrize("loss", ["log_loss", "brier"])
def test_of_classes_it_is_their_shares(loss):
    fitted = build_constant_model(Task("binary", loss=loss)).fit(INPUTS, LABELS > 4)
    assert predict_for_task(Task("binary", loss=loss), fitted, INPUTS).tolist() == [0.5] * 10
