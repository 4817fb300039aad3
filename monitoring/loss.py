"""How wrong is the model? Realised on rows whose labels are all due, and, before that, estimated from its own scores.

Late outcomes are reported late (a flight that is three hours late lands three hours later), so the first labels are too
good: of the example's flights 17.0 % were late by the labels of the same evening, 22.9 % by all. So a day counts once
it is over, the label of each of its rows is due, and enough of them have arrived.
"""

import datetime as dt
from dataclasses import dataclass

import numpy as np
import polars as pl

from penumbra.core.metrics.losses import LossName, compute_probability_losses
from penumbra.core.task import Task

CALIBRATION_GROUPS, MAX_SCORE_BINS = 10, 64
MIN_BAND_DAYS = 2
ESTIMATE_ASSUMPTION = (
    "that a score means what it meant on the model's reference, whoever asks: this sees rows become harder, and "
    "is blind to a change of what follows from them"
)


@dataclass(frozen=True)
class MeanBand:
    """A mean over rows with its confidence band: rows of a day lean on each other, so the day is the unit."""

    rows: int
    mean: float
    low: float
    high: float


def select_mature_rows(rows: pl.DataFrame, until: dt.date, coverage: float) -> pl.DataFrame:
    """The rows with a label of the days that count. `rows`: one for each prediction that can have a label, with `day`
    (Date), `due` (Boolean: its label is), `loss` (Float64, null or NaN where there is no label). A day counts that is
    before `until`, with every label due and at least the share `coverage` of them there."""
    known = pl.col("loss").is_finite().fill_null(False)
    complete = pl.col("due").all() & (known.sum() >= coverage * pl.len())
    days = rows.group_by("day").agg(complete=complete).filter(pl.col("complete"), pl.col("day") < until)
    return rows.filter(known).join(days.select("day"), on="day", how="semi")


def compute_mean_band(sums: np.ndarray, rows: np.ndarray, confidence: float = 0.95) -> MeanBand | None:
    """The mean over rows from each day's sum of their values and number of rows, float64 or int64 [days]. The band is
    Student's t over the days' sums, linearised (Cochran, *Sampling Techniques*, 1977, chapter 9: ratio estimates of
    clusters). None with fewer than two days that have rows."""
    from scipy.stats import t

    sums, rows = sums[rows > 0], rows[rows > 0]
    if len(rows) < MIN_BAND_DAYS:
        return None
    mean = float(sums.sum() / rows.sum())
    pulls = sums - mean * rows
    error = np.sqrt(len(rows) / (len(rows) - 1) * (pulls**2).sum()) / rows.sum()
    reach = float(t.ppf((1 + confidence) / 2, len(rows) - 1) * error)
    return MeanBand(int(rows.sum()), mean, mean - reach, mean + reach)


def compute_top_scores(task: Task, labels: np.ndarray, predictions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each row the score, that of the likeliest where there are several classes, and whether what it says happened:
    float64 [n], both NaN for numbers. `labels` float64 [n]."""
    if task.kind == "regression":
        return np.full(len(labels), np.nan), np.full(len(labels), np.nan)
    if task.kind == "multiclass":
        return predictions.max(axis=1), (labels == predictions.argmax(axis=1)).astype(float)
    return predictions, labels


def compute_score_edges(scores: np.ndarray) -> np.ndarray:
    """Edges of up to 64 bins, at quantiles of these scores but NaN: float64 [edges]."""
    known = scores[np.isfinite(scores)]
    return np.unique(np.quantile(known, np.linspace(0, 1, MAX_SCORE_BINS + 1)[1:-1])) if len(known) else np.zeros(0)


def sum_by_score_bin(scores: np.ndarray, happened: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Of each bin of scores how many rows it has, the sum of their scores, and how often what they say happened:
    float64 [3, edges + 1]; rows without a score are left out."""
    known = np.isfinite(scores)
    scores, happened = scores[known], happened[known]
    bins = np.searchsorted(edges, scores)
    return np.array([np.bincount(bins, each, len(edges) + 1) for each in (np.ones(len(bins)), scores, happened)])


def estimate_losses(
    task: Task, scores: np.ndarray, reference: np.ndarray, labels: np.ndarray, loss: LossName, ceiling: float
) -> np.ndarray | None:
    """Each row's expected loss given its score, before any label: float64 [n] (NannyML's "confidence-based performance
    estimation"). What a score means is learnt from the `reference` scores and their `labels`, by ten groups. None for
    numbers, which carry no confidence, and with fewer reference rows than a hundred."""
    if task.kind == "regression" or len(labels) < CALIBRATION_GROUPS * CALIBRATION_GROUPS:
        return None
    if task.kind == "multiclass":
        return _expected_multiclass_loss(scores, loss, ceiling)
    edges = np.quantile(reference, np.linspace(0, 1, CALIBRATION_GROUPS + 1)[1:-1])
    groups = np.searchsorted(edges, reference)
    rows = np.bincount(groups, minlength=CALIBRATION_GROUPS)
    gaps = np.bincount(groups, labels - reference, CALIBRATION_GROUPS) / np.maximum(rows, 1)
    chances = np.clip(scores + gaps[np.searchsorted(edges, scores)], 0, 1)
    if_happened, if_not = (
        np.minimum(compute_probability_losses(given, loss), ceiling) for given in (scores, 1 - scores)
    )
    return chances * if_happened + (1 - chances) * if_not


def _expected_multiclass_loss(scores: np.ndarray, loss: LossName, ceiling: float) -> np.ndarray:
    """Of several classes the scores are taken as they are."""
    squares = (scores**2).sum(axis=1, keepdims=True)
    log_losses = np.minimum(compute_probability_losses(scores, loss), ceiling)
    cost = log_losses if loss == "log_loss" else 1 - 2 * scores + squares
    return np.asarray((scores * cost).sum(axis=1))
