"""Predictions out of sample, and the logistic function that makes probabilities of scores; shared by the patterns."""

from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import TimeSeriesSplit
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from penumbra.patterns.weighting import fit_weighted, select_weights

LOGIT_CLIP = 1e-6  # probabilities are kept so far from 0 and 1 before their logit is taken
INVERSE_PENALTY = 1e4  # the inverse of the penalty that keeps a logistic function finite where classes are apart


def predict_out_of_sample(
    estimator: Any,
    inputs: np.ndarray,
    y: np.ndarray,
    folds: int,
    copies: np.ndarray | None = None,
    weights: Any = None,
) -> np.ndarray:
    """Predict rows with models fitted on earlier rows only.

    The rows are cut into folds + 1 blocks, and each but the first is predicted by a clone fitted on all blocks before
    it: a rolling origin.

    Args:
        estimator: Unfitted estimator.
        inputs: float64 [n, k], oldest row first.
        y: Labels or values [n].
        folds: Number of blocks that are predicted.
        copies: How often each row stands in what is fitted on, int [n]; once by default.
        weights: How much a row counts each time, float64 [n]; 1 by default.

    Returns:
        float64 [n], NaN for the oldest block.

    Source:
        Tashman, "Out-of-sample tests of forecasting accuracy", International Journal of Forecasting 16, 2000.
    """
    predicted = np.full(len(y), np.nan)
    for earlier, later in TimeSeriesSplit(folds).split(inputs):
        rows = earlier if copies is None else np.repeat(earlier, copies[earlier])
        fitted = fit_weighted(clone(estimator), inputs[rows], y[rows], select_weights(weights, rows))
        predicted[later] = predict_scores(fitted, inputs[later])
    return predicted


def predict_scores(fitted: Any, inputs: np.ndarray) -> np.ndarray:
    """Predict values with a regressor, or probabilities of the second class with a classifier.

    Args:
        fitted: Fitted estimator.
        inputs: float64 [n, k].

    Returns:
        float64 [n].

    Raises:
        ValueError: If the classifier was shown more or fewer classes than two.
    """
    if not hasattr(fitted, "predict_proba"):
        return np.asarray(fitted.predict(inputs), float)
    if len(fitted.classes_) != 2:
        raise ValueError(f"{type(fitted).__name__} was shown {list(fitted.classes_)}: two classes were expected")
    return np.asarray(fitted.predict_proba(inputs)[:, 1], float)


def require_two_classes(owner: Any, y: np.ndarray) -> np.ndarray:
    """Require that labels have two classes.

    Args:
        owner: The pattern that needs them, for the message.
        y: The labels [n].

    Returns:
        The two classes, sorted.

    Raises:
        ValueError: If there are more or fewer, or the labels are no classes.
    """
    check_classification_targets(y)
    classes, kind = np.unique(y), type_of_target(y)
    if len(classes) != 2:
        counted = f"{len(classes)} class{'es' * (len(classes) > 1)}: {', '.join(map(str, classes))}"
        raise ValueError(
            f"Only binary classification is supported. The type of the target is {kind}. "
            f"{type(owner).__name__} was given {counted}"
        )
    return classes


def fit_calibration(
    out_of_sample: np.ndarray, final: np.ndarray, truth: np.ndarray, folds: int, weights: Any = None
) -> tuple[float, float]:
    """Fit slope and intercept with which expit(slope · score + intercept) is a probability.

    The slope is fitted to out-of-sample scores, with an intercept for each block: from month to month base rates rise
    and fall, and an older model's scores don't follow, which says nothing of how sharp they are. The intercept gives
    the final model's scores the base rate of all rows ("calibration in the large").

    Args:
        out_of_sample: The scores of `predict_out_of_sample`, float64 [n], NaN for the oldest block.
        final: The final model's scores, float64 [n].
        truth: The labels, bool [n].
        folds: Number of blocks that were predicted.
        weights: How much each row counts, float64 [n]; 1 by default.

    Returns:
        Slope and intercept.

    Source:
        Platt, "Probabilistic outputs for support vector machines and comparisons to regularized likelihood methods",
        1999; Steyerberg, "Clinical Prediction Models", 2009 (slope and intercept recalibrated apart).
    """
    known = np.isfinite(out_of_sample)
    blocks = np.repeat(np.eye(folds), known.sum() // folds, axis=0)
    scale = out_of_sample[known].std() or 1.0
    design = np.column_stack([out_of_sample[known] / scale, blocks])
    logistic = LogisticRegression(C=INVERSE_PENALTY, fit_intercept=False, max_iter=1000)
    fitted = fit_weighted(logistic, design, truth[known], select_weights(weights, known))
    slope = float(fitted.coef_[0, 0] / scale)
    return slope, _solve_intercept(slope * final, np.average(truth, weights=weights), weights)


def _solve_intercept(scores: np.ndarray, rate: float, weights: Any) -> float:
    """Solve for the intercept that makes `rate` the (weighted) mean probability of the scores."""
    odds = np.log(rate / (1 - rate))
    lowest, highest = odds - scores.max(), odds - scores.min()
    if lowest == highest:
        return float(lowest)

    def exceed(intercept: float) -> float:
        return float(np.average(expit(scores + intercept), weights=weights) - rate)

    return float(brentq(exceed, lowest, highest))


def compute_logits(probabilities: np.ndarray) -> np.ndarray:
    """Compute logits of probabilities, which are clipped to [1e-6, 1 - 1e-6].

    Args:
        probabilities: float64 [n].

    Returns:
        float64 [n].
    """
    kept = np.clip(probabilities, LOGIT_CLIP, 1 - LOGIT_CLIP)
    return np.log(kept) - np.log(1 - kept)


def stack_class_probabilities(positive: np.ndarray) -> np.ndarray:
    """Stack the probabilities of the two classes.

    Args:
        positive: Probabilities of the second class, float64 [n].

    Returns:
        float64 [n, 2].
    """
    return np.column_stack([1 - positive, positive])
