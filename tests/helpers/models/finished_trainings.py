"""Training runs on the orders in this process, without Metaflow: up to their outcome, or to a live version."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from flows.steps.train import evaluation, final_fit
from flows.steps.train.release import outcome, registration
from flows.steps.train.trials import attempts
from penumbra.data.versioning import versions
from penumbra.training.evaluation.evaluate import Trial, TrialJob
from tests.helpers.models.training_runs import FEW_ROWS, PreparedRun, prepare_run
from tests.helpers.problems.orders import load_orders

BOOSTING = TrialJob("boosting")


def fit_trial(run: PreparedRun, job: TrialJob = BOOSTING) -> Trial:
    """Fit and score a candidate.

    Args:
        run: The run.
        job: The candidate.

    Returns:
        Its trial.
    """
    (trial,) = attempts.run_lane(run.matrices, [job], run.plan.split)
    assert isinstance(trial, Trial)
    return trial


def finish_training(run: PreparedRun, trial: Trial, remarks: Sequence[str] = ()) -> outcome.TrainingOutcome:
    """Release and judge the only candidate of a run, and write its evaluation.

    Args:
        run: The run.
        trial: The candidate's trial.
        remarks: What was said before it was fitted.

    Returns:
        The outcome.
    """
    parts = run.settings, run.plan, run.matrices
    baseline = final_fit.score_baseline_parts(run.matrices, run.plan.split)
    final = final_fit.settle_winner(*parts, [trial.job], baseline)
    made = outcome.evaluate_winner(*parts, final, [trial], list(remarks))
    evaluation.write_evaluation(made)
    return made


def train_live_orders(folder: Path, database: Path) -> PreparedRun:
    """Train on four months of orders, and register the model, which becomes live.

    Args:
        folder: An empty folder for all of it.
        database: The MLflow database to copy.

    Returns:
        The run.
    """
    shutil.copy(database, folder / "mlflow.db")
    with pytest.MonkeyPatch.context() as patch:
        run = prepare_run(folder, load_orders(folder, source=FEW_ROWS), patch, data__remote="")
    made = finish_training(run, fit_trial(run))
    versions.record_data_version(run.settings.data)
    registration.register_outcome(made)
    return run
