"""What stops a broken candidate at once: faults that need no labels and no statistics over days.

The candidate's predictions are held against the live model's on the same rows, from the first hundred on, their
distribution from a thousand on: rows of the same hours are alike. The limits are wide, since seasons move scores far
(those of a thousand rows by a healthy refit were up to 0.84 away from the live model's); what is merely worse is left
to the evidence of labels.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from task import Task

ENOUGH = 100
MANY = 1000
FLAT = 0.01
ROUNDING = 1e-6


class Limits(Protocol):
    """The settings' `promotion.error_share`, `promotion.score_distance` and `promotion.latency_ms`."""

    error_share: float
    score_distance: float
    latency_ms: float


@dataclass(frozen=True)
class Fault:
    """`what` is broken: errors, latency, shape, unusable, constant, inverted or distribution; in words, how much."""

    what: str
    text: str


def faults(
    task: Task,
    live: np.ndarray,
    candidate: np.ndarray,
    limits: Limits,
    errors: int = 0,
    milliseconds: np.ndarray | None = None,
    reference: np.ndarray | None = None,
) -> list[Fault]:
    """Everything that is broken; empty while fewer than 100 rows were tried. To be asked every hundred rows or so.

    `live` and `candidate`: predictions (see task.py) of the same rows, those that the candidate answered; on `errors`
    more it failed. `milliseconds`: what each row took it, float64 [n]. `reference`: its own predictions on earlier rows
    that it hadn't learnt from; scores may be far from the live model's or from these, but not from both.
    """
    if (tried := len(live) + errors) < ENOUGH:
        return []
    found = [_errors(errors / tried, limits), _latency(milliseconds, limits)]
    if candidate.shape != live.shape:
        text = f"its predictions have the shape {candidate.shape} where the live model's have {live.shape}"
        found.append(Fault("shape", text))
    else:
        found += _scores(task, live, candidate, reference, limits)
    return [fault for fault in found if fault]


def _errors(share: float, limits: Limits) -> Fault | None:
    text = f"it failed on {share:.1%} of the rows; the limit is {limits.error_share:.1%}"
    return Fault("errors", text) if share > limits.error_share else None


def _latency(milliseconds: np.ndarray | None, limits: Limits) -> Fault | None:
    slow = 0.0 if milliseconds is None or not len(milliseconds) else float(np.quantile(milliseconds, 0.99))
    text = f"99 % of the rows take it up to {slow:.3g} ms; the limit is {limits.latency_ms:g} ms"
    return Fault("latency", text) if slow > limits.latency_ms else None


def _scores(
    task: Task, live: np.ndarray, candidate: np.ndarray, reference: np.ndarray | None, limits: Limits
) -> list[Fault | None]:
    usable = _usable(task, candidate)
    broken = _unusable(float(np.mean(~usable)) if len(usable) else 0.0, limits)
    if usable.sum() < ENOUGH:
        return [broken]
    known = [_columns(live[usable])] + ([] if reference is None else [_columns(reference)])
    scores = _columns(candidate[usable])
    return [broken, _constant(known[0], scores) or _inverted(known[0], scores), _strange(known, scores, limits)]


def _usable(task: Task, predictions: np.ndarray) -> np.ndarray:
    """Which rows have numbers, and where they are probabilities, numbers between 0 and 1: bool [n]."""
    good = np.isfinite(predictions)
    if task.kind != "regression":
        good &= (predictions >= -ROUNDING) & (predictions <= 1 + ROUNDING)
    return np.asarray(_columns(good).all(axis=1))


def _unusable(share: float, limits: Limits) -> Fault | None:
    text = f"{share:.1%} of its predictions are no number or no probability; the limit is {limits.error_share:.1%}"
    return Fault("unusable", text) if share > limits.error_share else None


def _constant(live: np.ndarray, scores: np.ndarray) -> Fault | None:
    spread, usual = float(scores.std(axis=0).max()), float(live.std(axis=0).max())
    text = f"its predictions hardly vary: a standard deviation of {spread:.3g} where the live model's is {usual:.3g}"
    return Fault("constant", text) if spread < FLAT * usual else None


def _inverted(live: np.ndarray, scores: np.ndarray) -> Fault | None:
    from scipy.stats import rankdata

    vary = np.flatnonzero((np.ptp(live, axis=0) > 0) & (np.ptp(scores, axis=0) > 0))
    ranks = [(rankdata(live[:, column]), rankdata(scores[:, column])) for column in vary]
    agreement = float(np.mean([np.corrcoef(*pair)[0, 1] for pair in ranks])) if ranks else 0.0
    text = f"it ranks rows the other way round: a rank correlation of {agreement:+.2f} with the live model"
    return Fault("inverted", text) if agreement < 0 else None


def _strange(known: list[np.ndarray], scores: np.ndarray, limits: Limits) -> Fault | None:
    distance = min(_distance(each, scores) for each in known) if len(scores) >= MANY else 0.0
    text = f"its predictions are {distance:.2f} from all that is known; the limit is {limits.score_distance:g}"
    return Fault("distribution", text) if distance > limits.score_distance else None


def _distance(one: np.ndarray, other: np.ndarray) -> float:
    """Kolmogorov and Smirnov's distance, the largest over the columns: float64 [n, k] and [m, k]."""
    return max(_largest_gap(np.sort(a), np.sort(b)) for a, b in zip(one.T, other.T, strict=True))


def _largest_gap(one: np.ndarray, other: np.ndarray) -> float:
    shares = [np.searchsorted(each, np.append(one, other), side="right") / len(each) for each in (one, other)]
    return float(np.abs(shares[0] - shares[1]).max())


def _columns(predictions: np.ndarray) -> np.ndarray:
    """[n, k] as it is, [n] as [n, 1]."""
    return np.atleast_2d(predictions.T).T
