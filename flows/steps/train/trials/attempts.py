"""Work that may fail, or take its process down, without ending the training: it is tried once and its result kept."""

import tempfile
import urllib.parse
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from flows.steps.shared.shared_folders import leave_attempt
from flows.steps.train.matrices import Matrices
from penumbra.core.problem import Problem
from penumbra.core.text.errors import USER_ERRORS
from penumbra.storage.cache import PICKLED, FileCache
from penumbra.training.evaluation.evaluate import Trial, TrialJob
from penumbra.training.fit import TrainingSet, fit_estimator
from penumbra.training.rejection import Rejection, describe_failure
from penumbra.training.split import Split, pick_evenly_spaced

Result = TypeVar("Result")
UNDER_WAY = "under way"
PROCESS_DIED = (
    "its process crashed or was killed while it was tried, most often for lack of memory: give it fewer rows "
    "(`window`), a smaller model, or the machine more memory"
)
SAMPLE_ROWS, ROWS_PER_CLASS = 400, 20


def attempt_once(matrices: Matrices, name: str, action: Callable[[], Result], key: str = "") -> Result | Rejection:
    """Do something once, whatever happens; a process that is started again finds the result.

    Where each step has a machine of its own, what was lost with a machine is done once more.

    Args:
        matrices: The matrices of the run; results are kept beside them.
        name: The candidate's name, for the rejection.
        action: What to do.
        key: What to keep the result by; the candidate's name by default.

    Returns:
        The action's result; or why it failed, or that it took down the process that tried it before.
    """
    results = FileCache(matrices.arrays.folder / "attempts", PICKLED)
    file = _quote_name(key or name)
    earlier = results.find(file)
    if earlier is not None:
        return Rejection(name, PROCESS_DIED) if earlier == UNDER_WAY else earlier
    results.save(file, UNDER_WAY)
    leave_attempt(matrices.arrays.folder, is_over=False)
    result: Result | Rejection
    try:
        result = action()
    except USER_ERRORS as error:
        result = Rejection(name, describe_failure(error, find_problem_folder(matrices.problem)))
        print(result, flush=True)
    results.save(file, result)
    leave_attempt(matrices.arrays.folder, is_over=True)
    return result


def compute_once(matrices: Matrices, name: str, compute: Callable[[], Result]) -> Result:
    """Compute something of a run once, in whichever of its tasks it is needed first; it is kept beside the matrices.

    Args:
        matrices: The matrices of the run.
        name: What to keep it by.
        compute: What to do; where it fails, nothing is kept.

    Returns:
        The result, which pickles.
    """
    return FileCache(matrices.arrays.folder / "computed", PICKLED).get_or_make(_quote_name(name), compute)


def run_lane(matrices: Matrices, jobs: Sequence[TrialJob], split: Split) -> list[Trial | Rejection]:
    """Try some candidates on the validation batches, one after the other.

    Args:
        matrices: The matrices of the run.
        jobs: The candidates.
        split: The batches of the run.

    Returns:
        For each job its trial, or why it failed.
    """
    return [attempt_once(matrices, str(job), partial(_try_candidate, matrices, job, split)) for job in jobs]


def _try_candidate(matrices: Matrices, job: TrialJob, split: Split) -> Trial:
    require_shippable(matrices, job, split)
    return matrices.try_candidate(job, split.train, split.validation, "validation")[0]


def require_shippable(matrices: Matrices, job: TrialJob, split: Split) -> None:
    """Fit a candidate on few rows, and ship it: what can't be served isn't worth fitting on all of them.

    A fit that fails is no fault, since some estimators need more rows: fitting on all of them tells.

    Args:
        matrices: The matrices of the run.
        job: The candidate.
        split: The batches of the run.

    Raises:
        Exception: Whatever making, predicting, compiling, archiving or loading raises.
    """
    from flows.steps.train.trials.shipping import write_shipped_model  # loads ONNX, for which no first metric waits

    estimator = matrices.make_estimator(job)
    training_set = matrices.build_training_set(job.candidate, split.train, withhold=True)
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")
        try:
            fit_estimator(estimator, _pick_sample(training_set))
        except USER_ERRORS:
            return
        rows = matrices.read_evaluation_set(split.validation)[0]
        write_shipped_model(estimator, matrices, rows[pick_evenly_spaced(len(rows), SAMPLE_ROWS)], Path(folder))


def find_problem_folder(problem: Problem) -> Path | None:
    """Find the folder of the user's files.

    Args:
        problem: The loaded problem.

    Returns:
        The folder, None for a problem without candidates.
    """
    file = problem.files.get("candidates")
    return file.parent if file else None


def _quote_name(name: str) -> str:
    return urllib.parse.quote(name, safe="")


def _pick_sample(training_set: TrainingSet) -> TrainingSet:
    """Pick rows spread over time, and the first ones of each label where labels are few."""
    rows = pick_evenly_spaced(len(training_set.y), SAMPLE_ROWS)
    labels = np.unique(training_set.y)
    if len(labels) <= SAMPLE_ROWS // ROWS_PER_CLASS:
        each = [np.flatnonzero(training_set.y == label)[:ROWS_PER_CLASS] for label in labels]
        rows = np.unique(np.concatenate([rows, *each]))
    return training_set.select_rows(rows)
