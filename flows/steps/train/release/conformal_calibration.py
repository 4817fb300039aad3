"""Calibration of a model's prediction sets and intervals, on rows that the fits which predict them haven't learnt from.

"split" takes the held-out rows, which fits on earlier batches have predicted: what the model will meet lies later, too.
"cross" takes the rows of all batches: a fit on the other days has predicted those of each of five spans of days.

Source:
    Vovk, "Cross-conformal predictors", Annals of Mathematics and Artificial Intelligence 74, 2015; by days, as the rows
    of a day depend on each other.
"""

import numpy as np

from flows.steps.train.matrices import DAYS_ARRAY, Matrices
from penumbra.core.day_folds import assign_day_folds
from penumbra.core.metrics.conformal import ConformalLimits
from penumbra.core.settings import UncertaintySettings
from penumbra.core.text.counts import format_count
from penumbra.training.evaluation.evaluate import TrialJob, predict_soundly
from penumbra.training.fit import fit_estimator
from penumbra.training.split import Split

DAY_FOLDS = 5
CROSS_PART = "cross"


def describe_single_day(matrices: Matrices, name: str, split: Split) -> str:
    """Say that a model of this recipe couldn't be measured across days, before anything is fitted.

    Args:
        matrices: The matrices of the run; those of an experiment, which releases nothing, lack the test batches.
        name: The candidate's name.
        split: The batches of the run.

    Returns:
        A sentence; "" where the rows that it learns from are of several days, or limits aren't measured across days.
    """
    if not matrices.arrays.has(DAYS_ARRAY) or split.all[-1] not in matrices.arrays.sizes:
        return ""
    days = matrices.arrays.part(matrices.list_learnt_batches(name, split.all), DAYS_ARRAY)
    if days.min() < days.max():
        return ""
    return (
        f'uncertainty.method is "{CROSS_PART}", which predicts some days by a fit on the others, and all '
        f"{format_count(len(days), 'row')} that it learns from are of one day: "
        'set it to "split", or learn from more days'
    )


def write_cross_predictions(matrices: Matrices, winner: TrialJob, split: Split) -> None:
    """Predict the rows that a model learns from by fits on other days, as the array "cross-<winner>".

    Args:
        matrices: The matrices of the run, in which these rows are of two days or more.
        winner: The candidate with its parameters.
        split: The batches of the run.
    """
    days = matrices.arrays.part(matrices.list_learnt_batches(winner.candidate, split.all), DAYS_ARRAY)
    folds, training = assign_day_folds(days, DAY_FOLDS), matrices.build_training_set(winner.candidate, split.all)
    predictions = np.full((len(days), len(matrices.task.classes)) if matrices.task.classes else len(days), np.nan)
    for fold in range(folds.max() + 1):
        estimator = matrices.make_estimator(winner)
        fit_estimator(estimator, training.select_rows(folds != fold))
        fitted, held_out = matrices.pad_classes(estimator), folds == fold
        predictions[held_out] = predict_soundly(matrices.task, fitted, training.inputs[held_out])
    matrices.arrays.write(f"{CROSS_PART}-{winner}", predictions)


def calibrate_winner(
    settings: UncertaintySettings, matrices: Matrices, winner: TrialJob, split: Split
) -> ConformalLimits:
    """Measure the conformal limits of the model that is released.

    Args:
        settings: Section [uncertainty].
        matrices: The matrices of the run, with the winner's predictions of the held-out batches and, for "cross", those
            of `write_cross_predictions`.
        winner: The candidate with its parameters.
        split: The batches of the run.

    Returns:
        The limits. Rows that count more or less than others, because they were likelier to be labelled, have no part. A
        class that no row has that the model learns from is in no set.
    """
    is_cross = settings.method == CROSS_PART
    batches = matrices.list_learnt_batches(winner.candidate, split.all) if is_cross else split.validation + split.test
    parts = [CROSS_PART] if is_cross else ["validation", "test"]
    predictions = np.concatenate([matrices.arrays.read(f"{part}-{winner}") for part in parts])
    labels, weights = matrices.read_evaluation_set(batches)[1], matrices.read_weights(batches)
    counted = np.ones(len(labels), bool) if weights is None else weights == 1
    known, learnt = (labels[counted], predictions[counted]), None
    if matrices.task.classes:
        learnt = set(
            matrices.read_evaluation_set(matrices.list_learnt_batches(winner.candidate, split.all))[1].tolist()
        )
    return ConformalLimits.calibrate(matrices.task, *known, settings.coverage, settings.method, settings.strata, learnt)
