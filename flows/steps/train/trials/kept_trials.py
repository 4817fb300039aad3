"""Trials that later trainings find again: a month later, the winner's trial on the test batches is its first one.

Then the test batches of the training before are those that candidates are chosen on, and the same candidate learns from
the same rows and is scored on the same rows again. Only one that is the same in every respect is found.
"""

import dataclasses
import hashlib
import time
from collections.abc import Sequence

import numpy as np

from flows.steps.train import plan
from flows.steps.train.matrices import LIVE_ARRAY, WEIGHTS_ARRAY, WITHHELD_ARRAY, Matrices
from penumbra.core.settings import PROJECT_ROOT
from penumbra.storage.cache import PICKLED, FileCache
from penumbra.storage.fingerprints import compute_fingerprint
from penumbra.training.evaluation.evaluate import Trial, TrialJob
from penumbra.training.fit import accepts_live_predictions

TRIALS_FOLDER = "trials"  # beside the folders of the runs
ROWS_AT_ONCE = 65_536  # that are copied to be digested


def keep_trial(matrices: Matrices, trial: Trial, learn: Sequence[str], judge: Sequence[str], part: str) -> None:
    """Keep a trial, with its predictions, for later trainings.

    Args:
        matrices: The matrices of the run, with the predictions.
        trial: The trial.
        learn: The batches that the candidate has learnt from.
        judge: The batches that it was scored on, which follow on these.
        part: Its predictions of these are the array "<part>-<job>".
    """
    predictions = np.array(matrices.arrays.read(f"{part}-{trial.job}"))
    _open_trials(matrices).save(_compute_key(matrices, trial.job, learn, judge), (trial, predictions))


def find_trial(
    matrices: Matrices, job: TrialJob, learn: Sequence[str], judge: Sequence[str], part: str
) -> Trial | None:
    """Find the trial that an earlier training made of the same candidate on the same rows.

    Args:
        matrices: The matrices of the run, beside which the predictions are written if there is one.
        job: The candidate.
        learn: The batches that it would learn from.
        judge: The batches that it would be scored on, which follow on these.
        part: The predictions of these are written as the array "<part>-<job>".

    Returns:
        The trial, as of now; None if there is none.
    """
    kept = _open_trials(matrices).find(_compute_key(matrices, job, learn, judge))
    if kept is None:
        return None
    trial, predictions = kept
    matrices.arrays.write(f"{part}-{job}", predictions)
    return dataclasses.replace(trial, began=(now := time.time()), ended=now)


def _open_trials(matrices: Matrices) -> FileCache[tuple[Trial, np.ndarray]]:
    return FileCache(matrices.arrays.folder.parent / TRIALS_FOLDER, PICKLED)


def _compute_key(matrices: Matrices, job: TrialJob, learn: Sequence[str], judge: Sequence[str]) -> str:
    """Compute a digest of all that a trial follows from: code, libraries, task, candidate, rows."""
    arrays, both = matrices.arrays, [*learn, *judge]
    takes_live = accepts_live_predictions(matrices.make_estimator(job))
    learnt = [f"learns-{job.candidate}", WITHHELD_ARRAY, WEIGHTS_ARRAY, *([LIVE_ARRAY] if takes_live else [])]
    parts = {"labels": arrays.part(both, "labels")}
    parts |= {name: arrays.part(learn, name) for name in learnt if arrays.has(name)}
    return compute_fingerprint(
        PROJECT_ROOT,
        plan.list_training_files(),
        {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in matrices.problem.files.items()},
        dataclasses.asdict(matrices.task),
        dataclasses.asdict(job),
        matrices.most_rows,
        [arrays.sizes[batch] for batch in both],
        [len(learn), matrices.columns],
        _hash_inputs(matrices, both),
        {
            name: (part.dtype.str, hashlib.sha256(np.ascontiguousarray(part).data).hexdigest())
            for name, part in parts.items()
        },
    )


def _hash_inputs(matrices: Matrices, batches: Sequence[str]) -> str:
    """Digest the inputs; of categories the order of their codes counts alone, as other batches bring other values."""
    inputs, digest = matrices.arrays.part(batches, "inputs"), hashlib.sha256()
    known = {position: np.unique(inputs[:, position]) for position in matrices.columns["categorical"]}
    for begin in range(0, len(inputs), ROWS_AT_ONCE):
        rows = np.array(inputs[begin : begin + ROWS_AT_ONCE])
        for position, codes in known.items():
            ranks = np.searchsorted(codes, rows[:, position])
            rows[:, position] = np.where(np.isnan(rows[:, position]), np.nan, ranks)
        digest.update(rows.data)
    return digest.hexdigest()
