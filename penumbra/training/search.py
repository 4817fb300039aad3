"""The search for a candidate's parameters, by Optuna's tree-structured Parzen estimator.

Source:
    Bergstra et al., "Algorithms for hyper-parameter optimization", NeurIPS 2011.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from penumbra.core.metrics.losses import compute_row_losses
from penumbra.core.task import Task
from penumbra.training.evaluation.evaluate import EvaluationSet, predict_for_task
from penumbra.training.fit import TrainingSet, fit_estimator
from penumbra.training.split import pick_evenly_spaced

TRAINING_SHARES = (0.1, 0.3, 1.0)
MIN_RANDOM_TRIALS = 3
SearchSpace = Callable[[Any], Mapping[str, Any]]


def search_parameters(
    make: Callable[[], Any],
    space: SearchSpace,
    task: Task,
    training: TrainingSet,
    evaluation: EvaluationSet,
    trials: int,
    seed: int,
) -> dict[str, Any]:
    """Search the parameters with the lowest mean loss.

    Each trial is fitted on a tenth of the rows, then on three tenths, then on all, and given up if it is worse than the
    median on fewer rows. The same seed gives the same parameters.

    Args:
        make: Makes an unfitted estimator.
        space: Draws the parameters of an Optuna trial.
        task: The task.
        training: The rows to fit on.
        evaluation: Inputs float64 [n, k] and labels [n] of the rows to score on.
        trials: Number of trials.
        seed: Seed of the search.

    Returns:
        The parameters by name.
    """
    import optuna

    def compute_loss(trial: Any) -> float:
        return _run_search_trial(trial, make, dict(space(trial)), task, training, evaluation)

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=MIN_RANDOM_TRIALS)
    study = optuna.create_study(sampler=sampler, pruner=optuna.pruners.MedianPruner(n_startup_trials=MIN_RANDOM_TRIALS))
    study.optimize(compute_loss, n_trials=trials)
    return dict(study.best_trial.user_attrs["parameters"])


def thin_training_set(training: TrainingSet, share: float) -> TrainingSet:
    """Take a share of the rows, spread evenly over time.

    Args:
        training: The rows, oldest first.
        share: The share, above 0 and at most 1.

    Returns:
        The rows taken.
    """
    count = len(training.y)
    return training if share == 1 else training.select_rows(pick_evenly_spaced(count, max(1, int(share * count))))


def _run_search_trial(
    trial: Any,
    make: Callable[[], Any],
    parameters: dict[str, Any],
    task: Task,
    training: TrainingSet,
    evaluation: EvaluationSet,
) -> float:
    """Compute the loss of parameters on growing shares of the rows; TrialPruned tells Optuna to give them up."""
    import optuna

    trial.set_user_attr("parameters", parameters)
    for step, share in enumerate(TRAINING_SHARES):
        thinned = thin_training_set(training, share)
        loss = _compute_validation_loss(make().set_params(**parameters), task, thinned, evaluation)
        trial.report(loss, step)
        if trial.should_prune():
            raise optuna.TrialPruned
    return loss


def _compute_validation_loss(estimator: Any, task: Task, training: TrainingSet, evaluation: EvaluationSet) -> float:
    from penumbra.patterns.class_padding import pad_missing_classes

    inputs, labels = evaluation
    fit_estimator(estimator, training)
    predictions = predict_for_task(task, pad_missing_classes(estimator, len(task.classes)), inputs)
    return float(np.mean(compute_row_losses(task, labels, predictions)))
