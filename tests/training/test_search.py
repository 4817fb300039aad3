"""The search for parameters."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from penumbra.core.task import Task
from penumbra.training.fit import TrainingSet
from penumbra.training.search import search_parameters, thin_training_set

BINARY = Task("binary")


def test_a_thinned_lesson_keeps_a_share_of_the_rows_spread_over_time():
    lesson = TrainingSet(np.arange(100.0).reshape(-1, 1), np.arange(100))
    assert thin_training_set(lesson, 0.1).y.tolist() == [0, 11, 22, 33, 44, 55, 66, 77, 88, 99]


def search_with_seed(seed):
    inputs = np.random.default_rng(7).normal(size=(200, 3))
    labels = inputs[:, 0] > 0
    rows = TrainingSet(inputs, labels), (inputs, labels)
    make = lambda: LogisticRegression(max_iter=500)  # noqa: E731
    return search_parameters(
        make, lambda trial: {"C": trial.suggest_float("C", 1e-6, 1e3, log=True)}, BINARY, *rows, 6, seed
    )


def test_a_search_finds_parameters_that_lower_the_loss():
    assert search_with_seed(1)["C"] > 0.1


@pytest.mark.slow
def test_the_same_seed_finds_the_same_and_another_one_tries_others():
    assert search_with_seed(1) == search_with_seed(1) != search_with_seed(2)
