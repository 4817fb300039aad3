"""Expected losses of single rows: what calibrated scores expect, and what a model of the losses predicts."""

import numpy as np
import pytest

from monitoring.estimation.expected_losses import LossModel, compute_expected_losses
from penumbra.core.task import Task

BINARY = Task("binary")


def world(n: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(7)
    chances = rng.uniform(0.05, 0.95, n)
    return chances, rng.random(n) < chances


def log_loss(scores: np.ndarray, labels: np.ndarray) -> float:
    return float(-np.log(np.where(labels, scores, 1 - scores)).mean())


def test_the_expected_loss_is_the_one_that_calibrated_scores_have():
    scores, labels = world()
    found = compute_expected_losses(BINARY, scores[:2000], scores[2000:], labels[2000:], "log_loss", 10)
    assert found.mean() == pytest.approx(log_loss(scores[:2000], labels[:2000]), abs=0.03)


def test_scores_that_are_too_bold_are_seen_through_by_what_they_meant_before():
    scores, labels = world()
    bold = np.clip(1.6 * scores - 0.3, 0.01, 0.99)
    found = compute_expected_losses(BINARY, bold[:2000], bold[2000:], labels[2000:], "log_loss", 10)
    assert found.mean() == pytest.approx(log_loss(bold[:2000], labels[:2000]), abs=0.05)


@pytest.mark.parametrize(("loss", "worst"), [("log_loss", np.log(2)), ("brier", 0.5)])
def test_of_several_classes_the_expected_loss_is_largest_where_nothing_is_known(loss, worst):
    task, flat, labels = Task("multiclass", ("a", "b")), np.full((100, 2), 0.5), np.zeros(100, int)
    assert compute_expected_losses(task, flat, flat, labels, loss, 10) == pytest.approx(worst)


def test_a_model_of_the_losses_finds_on_days_that_it_didnt_see_where_the_losses_are_large():
    inputs = np.arange(300.0).reshape(-1, 1) % 10
    losses, days = np.where(inputs[:, 0] > 4, 3.0, 1.0), np.arange(300) // 30
    model = LossModel.fit(inputs, losses, days, [])
    assert model.judged == pytest.approx(losses, abs=0.3)
    assert model.predict_losses(np.array([[0.0], [9.0]])) == pytest.approx([1.0, 3.0], abs=0.3)
