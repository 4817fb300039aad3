"""The model's loss, realised on rows whose labels are all due.

Late outcomes are reported late (what takes three hours longer ends three hours later), so the first labels are too
good: in the example 17.0 % of the outcomes were bad by the labels of the same evening, 22.9 % by all. So a day counts
once it is over, the label of each of its rows is due, and enough of them have arrived.
"""

from dataclasses import astuple, dataclass

import numpy as np
import polars as pl

from penumbra.core.metrics.proportions import compute_clustered_limits
from penumbra.core.task import Task

MAX_SCORE_BINS = 64
MIN_BAND_DAYS = 2
BAND_CONFIDENCE = 0.95


@dataclass(frozen=True)
class MeanBand:
    """A mean over rows with its confidence band. The unit is the day, because the rows of a day depend on each other.

    Attributes:
        rows: The number of rows.
        mean: Their mean.
        low: The lower end of the band.
        high: The upper end of the band.
    """

    rows: int
    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class ArrivedLabels:
    """How many labels of a day's rows are there. Counts of parts of a day add up.

    Attributes:
        rows: Rows that can have a label.
        due: Those of them whose label is due.
        arrived: Due labels that have arrived.
        known: Labels that have arrived, due or not.
    """

    rows: int
    due: int
    arrived: int
    known: int

    @classmethod
    def count(cls, rows: pl.DataFrame) -> "ArrivedLabels":
        """Count the labels of some rows.

        Args:
            rows: A row for each prediction that can have a label: `due` (Boolean: its label is due) and `loss`
                (Float64, null or NaN without a label).

        Returns:
            The counts.
        """
        known = rows["loss"].is_finite().fill_null(value=False)
        return cls(rows.height, int(rows["due"].sum()), int((known & rows["due"]).sum()), int(known.sum()))

    def __add__(self, other: "ArrivedLabels") -> "ArrivedLabels":
        return ArrivedLabels(*(mine + others for mine, others in zip(astuple(self), astuple(other), strict=True)))

    def is_enough(self, coverage: float) -> bool:
        """Return whether each row's label is due, and at least the share `coverage` of them (0 to 1) is there."""
        return self.due == self.rows and self.known >= coverage * self.rows


def compute_mean_band(sums: np.ndarray, rows: np.ndarray, is_rate: bool = False) -> MeanBand | None:
    """Compute the mean over rows with a 95 % confidence band from daily sums.

    Args:
        sums: The sum of the rows' values of each day, float64 [days].
        rows: The number of rows of each day, int64 or float64 [days].
        is_rate: Whether each value is 0 or 1, so that the band is that of a proportion.

    Returns:
        Mean and band, or None with fewer than two days that have rows.

    Source: Student's t over the days' linearised sums: Cochran, *Sampling Techniques*, 1977, chapter 9 (ratio estimates
    of clusters).
    """
    from scipy.special import stdtrit

    sums, rows = sums[rows > 0], rows[rows > 0]
    if len(rows) < MIN_BAND_DAYS:
        return None
    mean = float(sums.sum() / rows.sum())
    pulls = sums - mean * rows
    error = float(np.sqrt(len(rows) / (len(rows) - 1) * (pulls**2).sum()) / rows.sum())
    reach = float(stdtrit(len(rows) - 1, (1 + BAND_CONFIDENCE) / 2))
    low, high = mean - reach * error, mean + reach * error
    if is_rate:
        low, high = compute_clustered_limits(mean, float(rows.sum()), pulls / rows.sum(), error, reach)
    return MeanBand(int(rows.sum()), mean, low, high)


def compute_top_scores(task: Task, labels: np.ndarray, predictions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Select the score of each row whose calibration is judged, and whether what it predicts happened.

    Args:
        task: The kind of prediction.
        labels: Label codes, float64 [n], NaN where unknown.
        predictions: Predictions, float64 [n], or [n, classes] of which the most probable one is taken.

    Returns:
        Scores and outcomes (0, 1 or NaN), each float64 [n]; all NaN for regression.
    """
    if task.kind == "regression":
        return np.full(len(labels), np.nan), np.full(len(labels), np.nan)
    if task.kind == "multiclass":
        return predictions.max(axis=1), (labels == predictions.argmax(axis=1)).astype(float)
    return predictions, labels


def compute_score_edges(scores: np.ndarray) -> np.ndarray:
    """Compute the edges of up to 64 bins of scores.

    Args:
        scores: Scores, float64 [n]; NaN is left out.

    Returns:
        Different quantiles in ascending order, float64 [edges].
    """
    known = scores[np.isfinite(scores)]
    return np.unique(np.quantile(known, np.linspace(0, 1, MAX_SCORE_BINS + 1)[1:-1])) if len(known) else np.zeros(0)


def sum_by_score_bin(scores: np.ndarray, happened: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Sum scores and outcomes by bin of the score; rows without a score are left out.

    Args:
        scores: Scores, float64 [n].
        happened: Whether what the score predicts happened (0, 1), float64 [n].
        edges: Edges of the bins, float64 [edges].

    Returns:
        For each bin the number of rows, the sum of scores and the sum of outcomes, float64 [3, edges + 1].
    """
    known = np.isfinite(scores)
    scores, happened = scores[known], happened[known]
    bins = np.searchsorted(edges, scores)
    return np.array([np.bincount(bins, each, len(edges) + 1) for each in (np.ones(len(bins)), scores, happened)])
