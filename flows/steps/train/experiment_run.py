"""The steps of an experiment until its trials are done: on a sample, in full. None of them imports MLflow.

Data, plan and matrices are prepared without scikit-learn: the command `penumbra experiment` does so while what its flow
needs is being imported by the process that its tasks are forks of.
"""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from flows.steps import PREPARED_VARIABLE
from flows.steps.ingest import admission
from flows.steps.train.matrices import Matrices
from flows.steps.train.matrix_writing import write_live_predictions, write_matrices
from flows.steps.train.plan import TrainingPlan, make_plan
from flows.steps.train.trials.attempts import attempt_once, require_shippable
from penumbra.approvals.accepted_faults import include_accepted_faults
from penumbra.core.loading.project_loading import load_project
from penumbra.core.problem import Problem
from penumbra.core.settings import Settings
from penumbra.core.text.counts import format_count
from penumbra.storage.cache import PICKLED, FileCache
from penumbra.training.evaluation.evaluate import Trial, TrialJob, get_metric_title, run_trial
from penumbra.training.gate.gate_checks import ServingMeasurements
from penumbra.training.rejection import Rejection, refuse_training
from penumbra.training.search import thin_training_set
from penumbra.training.split import Split, format_batch_range

PREPARED_NAME, ARRAYS_FOLDER = "prepared", "arrays"


@dataclass(frozen=True)
class PreparedExperiment:
    """What an experiment starts from; its `settings` name its candidate alone."""

    settings: Settings
    plan: TrainingPlan
    matrices: Matrices


def prepare_experiment(settings: Settings, problem: Problem, name: str, folder: Path) -> PreparedExperiment:
    """Check the data, plan the experiment and write its matrices, without the live model's predictions.

    Args:
        settings: The settings of the project.
        problem: The problem, with every part.
        name: The candidate's name in problem/candidates.py.
        folder: Where the arrays are written.

    Returns:
        All of it.

    Raises:
        Exception: Those of `plan.PLAN_ERRORS`, and BrokenLedger.
    """
    accepted = include_accepted_faults(settings)
    training = accepted.training.model_copy(update={"candidates": [name]})
    own = accepted.model_copy(update={"training": training})
    admission.prepare_data(own, problem)
    plan = make_plan(own, problem)
    return PreparedExperiment(own, plan, write_matrices(own, problem, plan.split.before_test, folder, with_live=False))


def prepare_ahead(settings: Settings, problem: Problem, name: str, folder: Path) -> None:
    """Prepare an experiment for a run that begins later, under a lock that keeps the data as it is until then.

    Args:
        settings: The settings of the project.
        problem: The problem, with every part.
        name: The candidate's name in problem/candidates.py.
        folder: A folder beside that of the run, which the environment of the run names.

    Raises:
        Exception: As `prepare_experiment` does.
    """
    FileCache(folder, PICKLED).save(PREPARED_NAME, prepare_experiment(settings, problem, name, folder / ARRAYS_FOLDER))


def begin_experiment(name: str, run: str) -> PreparedExperiment:
    """Take what was prepared ahead, or prepare it, and write the live model's predictions.

    Args:
        name: The candidate's name in problem/candidates.py.
        run: The name of the run's folder.

    Returns:
        What the experiment starts from, with its arrays in the run's folder.

    Raises:
        Exception: As `prepare_experiment` does.
    """
    ahead = os.environ.get(PREPARED_VARIABLE)
    prepared = FileCache(Path(ahead), PICKLED).find(PREPARED_NAME) if ahead else None
    if prepared is None:
        settings, problem = load_project()
        prepared = prepare_experiment(settings, problem, name, settings.training.folder / run)
    else:
        arrays = replace(prepared.matrices.arrays, folder=prepared.settings.training.folder / run)
        os.replace(prepared.matrices.arrays.folder, arrays.folder)
        prepared = replace(prepared, matrices=replace(prepared.matrices, arrays=arrays))
    write_live_predictions(prepared.settings, prepared.matrices)
    return prepared


def try_sample(matrices: Matrices, name: str, split: Split, quick_rows: int) -> str:
    """Try a candidate on a sample of the training rows, scored on all validation rows.

    Args:
        matrices: The matrices of the run.
        name: The candidate's name.
        split: The batches of the run.
        quick_rows: The size of the sample, as in `training.quick_rows`.

    Returns:
        A sentence with the primary metric, the number of rows and the seconds it took.

    Raises:
        TrainingRefused: The candidate can't be fitted; a training would leave it out.
    """
    return _attempt(matrices, name, partial(_look_quickly, matrices, TrialJob(name), split, quick_rows), "sample")


def ship_sample(matrices: Matrices, name: str, split: Split) -> None:
    """Fit a candidate on few rows, and ship it: what can't be served isn't worth fitting on all of them.

    Args:
        matrices: The matrices of the run.
        name: The candidate's name.
        split: The batches of the run.

    Raises:
        TrainingRefused: The candidate can't be served; a training would leave it out.
    """

    def ship() -> str:
        require_shippable(matrices, TrialJob(name), split)
        return "shipped"

    _attempt(matrices, name, ship, "shipping")


def _attempt(matrices: Matrices, name: str, action: Callable[[], str], key: str) -> str:
    text = attempt_once(matrices, name, action, key)
    if isinstance(text, Rejection):
        refuse_training([text])
    return text


def _look_quickly(matrices: Matrices, job: TrialJob, split: Split, quick_rows: int) -> str:
    began = time.time()
    all_rows = matrices.build_training_set(job.candidate, split.train, withhold=True)
    sample = thin_training_set(all_rows, min(1.0, quick_rows / len(all_rows.y)))
    evaluation_set = matrices.read_evaluation_set(split.validation)
    done, _ = run_trial(job, matrices.task, matrices.make_estimator(job), sample, evaluation_set)
    title = get_metric_title(next(iter(done.scores)))
    return (
        f"A quick look at {job.candidate}: {title} {done.loss:.4f} on {format_batch_range(split.validation)}, "
        f"learnt from {len(sample.y):,} of {format_count(len(all_rows.y), 'row')} in {time.time() - began:.1f} s"
    )


def run_full_trial(matrices: Matrices, job: TrialJob, split: Split) -> tuple[Trial, ServingMeasurements] | Rejection:
    """Try a candidate on all training rows, and ship it.

    Args:
        matrices: The matrices of the run.
        job: The candidate; with a seed its parameters are searched for.
        split: The batches of the run.

    Returns:
        The trial on the validation batches, and what the model would cost to serve; or why it failed.
    """
    return attempt_once(matrices, str(job), partial(_try_and_ship, matrices, job, split))


def _try_and_ship(matrices: Matrices, job: TrialJob, split: Split) -> tuple[Trial, ServingMeasurements]:
    from flows.steps.train.trials.shipping import ship_model  # loads ONNX, for which no first metric waits

    done, fitted = matrices.try_candidate(job, split.train, split.validation, "validation")
    rows = matrices.read_evaluation_set(split.validation)[0]
    return done, ship_model(fitted, matrices, rows, matrices.arrays.folder / f"bundle-{job}")


def choose_best_trial(
    results: Sequence[tuple[Trial, ServingMeasurements] | Rejection],
) -> tuple[Trial, ServingMeasurements]:
    """Choose the trial with the lowest loss.

    Args:
        results: What `run_full_trial` returned for each job.

    Returns:
        The trial and its costs.

    Raises:
        TrainingRefused: All of them failed.
    """
    done = [result for result in results if not isinstance(result, Rejection)]
    if not done:
        refuse_training([result for result in results if isinstance(result, Rejection)])
    return min(done, key=lambda each: each[0].loss)
