"""What is said before anything is fitted: candidates that don't suit the task, a baseline or outcomes that can't do."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from flows.steps.train.matrices import Matrices, get_candidate
from flows.steps.train.plan import TrainingPlan
from flows.steps.train.release.conformal_calibration import describe_single_day
from flows.steps.train.trials.attempts import find_problem_folder
from penumbra.core.metrics.losses import compute_row_losses, describe_loss
from penumbra.core.task import read_target_dtype
from penumbra.core.text.counts import format_count
from penumbra.core.text.errors import USER_ERRORS
from penumbra.training.evaluation.evaluate import TrialJob, predict_for_task, predict_soundly
from penumbra.training.fit import compute_baseline, fit_estimator
from penumbra.training.rejection import (
    Rejection,
    TrainingRefused,
    describe_failure,
    find_estimator_fault,
    refuse_training,
)
from penumbra.training.split import Split, format_batch_range

BASELINE_REFUSED = "nothing can be compared with baseline() of problem/candidates.py"
WEAK_BASELINE_RATIO = 1.01  # of the baseline's loss to that of the best constant: beyond that it is said
LARGEST_NUMBER = 1e70  # a spread of squared errors, its fourth power, is within float64
FEWER_BATCHES = "or lower training.validation_batches or training.test_batches"


def screen_candidates(matrices: Matrices, names: Sequence[str], split: Split) -> list[Rejection]:
    """Find the candidates that can't be tried at all, or couldn't be released.

    Args:
        matrices: The matrices of the run.
        names: The candidates, as the settings name them.
        split: The batches of the run.

    Returns:
        Why each of them can't be tried.

    Raises:
        TrainingRefused: No candidate is left.
    """
    faults = {
        name: matrices.faults.get(name) or _find_fault(matrices, name) or describe_single_day(matrices, name, split)
        for name in names
    }
    rejections = [Rejection(name, fault) for name, fault in faults.items() if fault]
    if len(rejections) == len(names):
        refuse_training(rejections)
    return rejections


def require_baseline(matrices: Matrices, split: Split) -> None:
    """Refuse to train where the model that every candidate has to beat can't be fitted.

    Args:
        matrices: The matrices of the run.
        split: The batches of the run.

    Raises:
        TrainingRefused: baseline() of the problem doesn't suit the task, or fails.
    """
    fault = _find_fault(matrices, "baseline")
    if not fault:
        try:
            estimator = matrices.make_estimator(TrialJob("baseline"))
            training_set = matrices.build_training_set("baseline", split.train)
            fit_estimator(estimator, training_set)
            predict_soundly(matrices.task, matrices.pad_classes(estimator), training_set.inputs[:2])
        except USER_ERRORS as error:
            fault = describe_failure(error, find_problem_folder(matrices.problem))
    if fault:
        raise TrainingRefused(f"{BASELINE_REFUSED}: {fault}")


def describe_weak_baseline(matrices: Matrices, split: Split) -> list[str]:
    """Say that a constant does better than the baseline of numbers, of whose loss margins are shares.

    Args:
        matrices: The matrices of the run.
        split: The batches of the run.

    Returns:
        A sentence, or none.
    """
    task = matrices.task
    if task.kind != "regression":
        return []
    estimator, learnt = (
        matrices.make_estimator(TrialJob("baseline")),
        replace(matrices.build_training_set("baseline", split.train), weights=None),
    )
    fit_estimator(estimator, learnt)
    constant = compute_baseline(task, learnt.y)
    loss, best = (
        float(compute_row_losses(task, learnt.y, np.broadcast_to(said, learnt.y.shape)).mean())
        for said in (predict_for_task(task, estimator, learnt.inputs), np.array(constant))
    )
    if loss <= WEAK_BASELINE_RATIO * best:
        return []
    return [
        f"by {describe_loss(task, task.loss)} the baseline of problem/candidates.py loses {loss:.4g} a row, and the "
        f"constant {constant:.4g} {best:.4g}, both on the {format_count(len(learnt.y), 'row')} of "
        f"{format_batch_range(split.train)} that they are fitted on: margins are shares of the baseline's loss; "
        "see docs/problem-folder.md"
    ]


def check_outcomes(matrices: Matrices, split: Split) -> list[str]:
    """Look whether there is something to learn from the outcomes of the rows.

    Args:
        matrices: The matrices of the run.
        split: The batches of the run.

    Returns:
        Sentences about what the result will lack: classes that training rows don't have, batches with one class only.

    Raises:
        TrainingRefused: All training rows have the same outcome, or there are numbers whose squares can't be added up.
    """
    labels = matrices.read_evaluation_set(split.train)[1]
    if len(known := np.unique(labels)) < 2:
        raise TrainingRefused(
            f"all {format_count(len(labels), 'training row')} ({format_batch_range(split.train)}) have the outcome "
            f"{_name_outcome(matrices, known[0])}: nothing can be learnt from one; wait for batches with others, "
            f"{FEWER_BATCHES}"
        )
    if matrices.task.kind == "regression":
        _require_moderate_numbers(matrices.arrays.read("labels"))
        return []
    later = [batches for batches in (split.validation, split.test) if matrices.arrays.sizes.keys() >= {*batches}]
    single = [sentence for batches in later if (sentence := describe_single_class(matrices, batches))]
    return [*_describe_missing_classes(matrices, split, known), *single]


def screen_run(matrices: Matrices, names: Sequence[str], plan: TrainingPlan) -> tuple[list[Rejection], list[str]]:
    """Look at all that can be known before anything is fitted.

    Args:
        matrices: The matrices of the run.
        names: The candidates, as the settings name them.
        plan: The plan of the run.

    Returns:
        Why candidates can't be tried; and sentences about what the result will lack.

    Raises:
        TrainingRefused: Nothing can be trained.
    """
    remarks = [*plan.facts["remarks"], *check_outcomes(matrices, plan.split)]
    require_baseline(matrices, plan.split)
    remarks += describe_weak_baseline(matrices, plan.split)
    rejections = screen_candidates(matrices, names, plan.split)
    left = set(names) - {rejection.candidate for rejection in rejections}
    return rejections, [
        *remarks,
        *(said for name in names if name in left and (said := _describe_limit(matrices, name))),
    ]


def describe_single_class(matrices: Matrices, batches: Sequence[str]) -> str:
    """Say that rows have one class only.

    Args:
        matrices: The matrices of the run.
        batches: The batches of the rows.

    Returns:
        A sentence; "" if there are several, or the task has no classes.
    """
    labels = matrices.read_evaluation_set(batches)[1]
    if matrices.task.kind == "regression" or len(np.unique(labels)) > 1:
        return ""
    return (
        f"all {format_count(len(labels), 'row of', 'rows of')} {format_batch_range(batches)} have the outcome "
        f"{_name_outcome(matrices, labels[0])}: not enough data to tell how well a model tells outcomes apart"
    )


def _describe_limit(matrices: Matrices, name: str) -> str:
    """Say that a candidate cuts what it learns elsewhere than target() does; "" where it cuts nothing, or there."""
    if get_candidate(matrices.problem, matrices.task, name).learns is None:
        return ""
    from penumbra.patterns.reframing import Reframed  # loads scikit-learn

    if not isinstance(estimator := matrices.make_estimator(TrialJob(name)), Reframed):
        return ""
    learnt, labels = matrices.arrays.read(f"learns-{name}"), matrices.arrays.read("labels")
    apart = int(np.count_nonzero((learnt > estimator.above) != labels))
    if not apart:
        return ""
    return (
        f"{name} learns whether what it `learns` is above {estimator.above}, and target() says otherwise in "
        f"{format_count(apart, 'row')} of {len(labels):,}: see whether both mean the same limit"
    )


def _find_fault(matrices: Matrices, name: str) -> str:
    try:
        estimator = matrices.make_estimator(TrialJob(name))
    except USER_ERRORS as error:
        return describe_failure(error, find_problem_folder(matrices.problem))
    return find_estimator_fault(estimator, matrices.task, str(read_target_dtype(matrices.problem.schema)))


def _require_moderate_numbers(labels: np.ndarray) -> None:
    if (largest := np.abs(labels).max()) > LARGEST_NUMBER:
        raise TrainingRefused(
            f"the outcomes go up to {largest:.3g}, and squared errors of numbers above {LARGEST_NUMBER:g} can't be "
            "compared: let target() give them in a larger unit"
        )


def _describe_missing_classes(matrices: Matrices, split: Split, known: np.ndarray) -> list[str]:
    lacking = [code for code in range(len(matrices.task.classes)) if code not in known]
    where = f"the training rows ({format_batch_range(split.train)}) have no"
    return [
        f"{where} {matrices.task.classes[code]!r}, which {_find_first_batch(matrices, split, code)}: it is given the "
        "probability 0 until it has been learnt"
        for code in lacking
    ]


def _find_first_batch(matrices: Matrices, split: Split, code: int) -> str:
    later = [batch for batch in split.all if batch in matrices.arrays.sizes and batch not in split.train]
    first = next((batch for batch in later if (matrices.read_evaluation_set([batch])[1] == code).any()), "")
    return f"first occurs in {first}" if first else "occurs in no batch"


def _name_outcome(matrices: Matrices, label: np.generic) -> str:
    task = matrices.task
    return repr(task.classes[int(label)]) if task.classes else str(label.item())
