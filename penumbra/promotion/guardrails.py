"""Guardrails that stop a broken candidate at once: faults that need no labels and no statistics over days.

The candidate's predictions are compared with the live model's on the same rows, from the first hundred on, their
distribution from a thousand on: rows of the same hours are alike. The limits are wide, since seasons move scores far
(those of a thousand rows by a healthy refit were up to 0.84 away from the live model's); what is merely worse is left
to the evidence of labels.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import polars as pl

from penumbra.core.metrics.distances import compute_ks_distance
from penumbra.core.task import Task
from penumbra.core.text.counts import format_share

MIN_GUARDRAIL_ROWS = 100
MIN_DISTRIBUTION_ROWS = 1000
MIN_SPREAD_RATIO = 0.01
PROBABILITY_TOLERANCE = 1e-6


class GuardrailLimits(Protocol):
    """The values of the settings' section `promotion` that guardrails depend on."""

    error_share: float
    score_distance: float
    latency_ms: float


@dataclass(frozen=True)
class GuardrailFault:
    """A fault of a candidate.

    Args:
        what: What is broken: errors, latency, shape, unusable, constant, inverted or distribution.
        text: The fault in words, with its size and the limit.
    """

    what: str
    text: str


def find_guardrail_faults(
    task: Task,
    live: np.ndarray,
    candidate: np.ndarray,
    limits: GuardrailLimits,
    errors: int = 0,
    milliseconds: np.ndarray | None = None,
    reference: np.ndarray | None = None,
) -> list[GuardrailFault]:
    """Find everything that is broken about a candidate. Meant to be called every hundred rows or so.

    Args:
        task: The task.
        live: The live model's predictions, [n] or [n, classes], of the rows that the candidate has predicted.
        candidate: Its predictions of the same rows, float64 [n] or [n, classes].
        limits: The limits.
        errors: Number of further rows on which it failed.
        milliseconds: How long it took for each row, float64 [n]; None if unknown.
        reference: Its own predictions on earlier rows that it hadn't learnt from, if known. Scores may be far from the
            live model's or from these, but not from both.

    Returns:
        The faults; none while fewer than 100 rows were tried.
    """
    if (tried := len(live) + errors) < MIN_GUARDRAIL_ROWS:
        return []
    faults = [_check_error_share(errors / tried, limits), _check_latency(milliseconds, limits)]
    if candidate.shape != live.shape:
        text = f"its predictions have the shape {candidate.shape} where the live model's have {live.shape}"
        faults.append(GuardrailFault("shape", text))
    else:
        faults += _check_scores(task, live, candidate, reference, limits)
    return [fault for fault in faults if fault]


def _check_error_share(share: float, limits: GuardrailLimits) -> GuardrailFault | None:
    text = f"it failed on {format_share(share)} of the rows; the limit is {format_share(limits.error_share)}"
    return GuardrailFault("errors", text) if share > limits.error_share else None


def _check_latency(milliseconds: np.ndarray | None, limits: GuardrailLimits) -> GuardrailFault | None:
    slow = 0.0 if milliseconds is None or not len(milliseconds) else float(np.quantile(milliseconds, 0.99))
    text = f"99 % of the rows take it up to {slow:.3g} ms; the limit is {limits.latency_ms:g} ms"
    return GuardrailFault("latency", text) if slow > limits.latency_ms else None


def _check_scores(
    task: Task, live: np.ndarray, candidate: np.ndarray, reference: np.ndarray | None, limits: GuardrailLimits
) -> list[GuardrailFault | None]:
    usable = _mask_usable(task, candidate)
    broken = _check_unusable(float(np.mean(~usable)) if len(usable) else 0.0, limits)
    if usable.sum() < MIN_GUARDRAIL_ROWS:
        return [broken]
    known = [_as_columns(live[usable])] + ([] if reference is None else [_as_columns(reference)])
    scores = _as_columns(candidate[usable])
    return [
        broken,
        _check_constant(known[0], scores) or _check_inverted(known[0], scores),
        _check_distribution(known, scores, limits),
    ]


def _mask_usable(task: Task, predictions: np.ndarray) -> np.ndarray:
    """Mark the rows whose predictions are numbers, and between 0 and 1 where they are probabilities: bool [n]."""
    good = np.isfinite(predictions)
    if task.kind != "regression":
        good &= (predictions >= -PROBABILITY_TOLERANCE) & (predictions <= 1 + PROBABILITY_TOLERANCE)
    return np.asarray(_as_columns(good).all(axis=1))


def _check_unusable(share: float, limits: GuardrailLimits) -> GuardrailFault | None:
    limit = format_share(limits.error_share)
    text = f"{format_share(share)} of its predictions are no number or no probability; the limit is {limit}"
    return GuardrailFault("unusable", text) if share > limits.error_share else None


def _check_constant(live: np.ndarray, scores: np.ndarray) -> GuardrailFault | None:
    spread, usual = float(scores.std(axis=0).max()), float(live.std(axis=0).max())
    text = f"its predictions hardly vary: a standard deviation of {spread:.3g} where the live model's is {usual:.3g}"
    return GuardrailFault("constant", text) if spread < MIN_SPREAD_RATIO * usual else None


def _check_inverted(live: np.ndarray, scores: np.ndarray) -> GuardrailFault | None:
    vary = np.flatnonzero((np.ptp(live, axis=0) > 0) & (np.ptp(scores, axis=0) > 0))
    ranks = [(_rank_values(live[:, column]), _rank_values(scores[:, column])) for column in vary]
    agreement = float(np.mean([np.corrcoef(*pair)[0, 1] for pair in ranks])) if ranks else 0.0
    text = f"it ranks rows the other way round: a rank correlation of {agreement:+.2f} with the live model"
    return GuardrailFault("inverted", text) if agreement < 0 else None


def _rank_values(values: np.ndarray) -> np.ndarray:
    """Rank values, equal ones by the mean of their ranks: float64 [n]. SciPy's takes most of a second to import."""
    return pl.Series(values).rank().to_numpy()


def _check_distribution(known: list[np.ndarray], scores: np.ndarray, limits: GuardrailLimits) -> GuardrailFault | None:
    distance = min(compute_ks_distance(each, scores) for each in known) if len(scores) >= MIN_DISTRIBUTION_ROWS else 0.0
    text = f"its predictions are {distance:.2f} from all that is known; the limit is {limits.score_distance:g}"
    return GuardrailFault("distribution", text) if distance > limits.score_distance else None


def _as_columns(predictions: np.ndarray) -> np.ndarray:
    """Reshape [n] to [n, 1]; [n, k] stays."""
    return np.atleast_2d(predictions.T).T
