"""Expected calibration error: how far predicted probabilities are from observed frequencies, from rows or from sums.

Source:
    Naeini et al., "Obtaining well calibrated probabilities using Bayesian binning", AAAI 2015.
"""

import numpy as np

CALIBRATION_BINS = 10


def assign_quantile_bins(predictions: np.ndarray, bins: int, ranked: np.ndarray | None = None) -> np.ndarray:
    """Assign rows to bins between quantiles of the prediction.

    Args:
        predictions: float64 [n].
        bins: Number of bins; there are fewer where values repeat themselves.
        ranked: The predictions in rising order, if that is known: their quantiles are found faster.

    Returns:
        The bin of each row, int64 [n], rising with the prediction.
    """
    known = predictions if ranked is None else ranked
    return np.digitize(predictions, np.unique(np.quantile(known, np.linspace(0, 1, bins + 1)[1:-1])))


def compute_calibration_error(labels: np.ndarray, predictions: np.ndarray, ranked: np.ndarray | None = None) -> float:
    """Compute the expected calibration error of rows, over ten quantile bins of the prediction.

    Args:
        labels: bool [n].
        predictions: Probabilities of True, float64 [n].
        ranked: As for `assign_quantile_bins`.

    Returns:
        The mean difference between predicted and observed share, weighted by rows, from 0 to 1.
    """
    bins = assign_quantile_bins(predictions, CALIBRATION_BINS, ranked)
    return _average_gaps(np.bincount(bins, predictions - labels), len(labels))


def compute_binned_calibration_error(sums: np.ndarray) -> float | None:
    """Compute the expected calibration error of sums, over ten groups of about equal size.

    Args:
        sums: float64 [3, score bins], in rising order of scores: of each bin the number of rows, the sum of their
            scores (of several classes: of the likeliest), and how often the predicted outcome happened.

    Returns:
        The error, from 0 to 1; None without rows.
    """
    rows = sums[0]
    if not rows.sum():
        return None
    groups = (CALIBRATION_BINS * (np.cumsum(rows) - rows / 2) / rows.sum()).astype(int)
    predicted, happened = (np.bincount(groups, values) for values in sums[1:])
    return _average_gaps(happened - predicted, rows.sum())


def _average_gaps(gaps: np.ndarray, rows: float) -> float:
    """Average the differences of sums, predicted and observed, by group: float64 [groups]."""
    return float(np.abs(gaps).sum() / rows)
