"""A search for a candidate's parameters: Optuna's tree-structured Parzen estimator (Bergstra et al., "Algorithms for
hyper-parameter optimization", NeurIPS 2011), which gives up early on what is worse than the median on fewer rows."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from penumbra.core.metrics.losses import compute_row_losses
from penumbra.core.task import Task
from penumbra.training.evaluate import EvaluationSet, predict_for_task
from penumbra.training.fit import TrainingSet, fit_estimator
from penumbra.training.release import pick_evenly_spaced

TRAINING_SHARES = (0.1, 0.3, 1.0)
MIN_RANDOM_TRIALS = 3
SearchSpace = Callable[[Any], Mapping[str, Any]]


def search_parameters(
    make: Callable[[], Any],
    space: SearchSpace,
    task: Task,
    learn: TrainingSet,
    judge: EvaluationSet,
    trials: int,
    seed: int,
) -> dict[str, Any]:
    """The parameters with the lowest mean loss on `judge` after so many trials. Each trial learns from a tenth of the
    rows, then from three tenths, then from all; the same seed gives the same parameters."""
    import optuna

    def loss_of(trial: Any) -> float:
        parameters = dict(space(trial))
        trial.set_user_attr("parameters", parameters)
        for step, share in enumerate(TRAINING_SHARES):
            loss = _validation_loss(make().set_params(**parameters), task, thin_training_set(learn, share), judge)
            trial.report(loss, step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return loss

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=MIN_RANDOM_TRIALS)
    study = optuna.create_study(sampler=sampler, pruner=optuna.pruners.MedianPruner(n_startup_trials=MIN_RANDOM_TRIALS))
    study.optimize(loss_of, n_trials=trials)
    return dict(study.best_trial.user_attrs["parameters"])


def thin_training_set(lesson: TrainingSet, share: float) -> TrainingSet:
    """A share of the rows, spread evenly over time."""
    count = len(lesson.y)
    return lesson if share == 1 else lesson.select_rows(pick_evenly_spaced(count, max(1, int(share * count))))


def _validation_loss(estimator: Any, task: Task, learn: TrainingSet, judge: EvaluationSet) -> float:
    fit_estimator(estimator, learn)
    return float(np.mean(compute_row_losses(task, judge[1], predict_for_task(task, estimator, judge[0]))))
