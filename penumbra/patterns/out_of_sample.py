"""What the patterns share: predictions ahead in time, and the logistic function that makes probabilities of scores."""

from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import TimeSeriesSplit
from sklearn.utils.multiclass import check_classification_targets, type_of_target

LOGIT_CLIP = 1e-6  # probabilities are kept so far from 0 and 1 before their logit is taken
INVERSE_PENALTY = 1e4  # the inverse of the penalty that keeps a logistic function finite where classes are apart


def predict_out_of_sample(
    estimator: Any, inputs: np.ndarray, y: np.ndarray, folds: int, copies: np.ndarray | None = None
) -> np.ndarray:
    """What `estimator` says of rows later than all that it learnt from: float64 [n], NaN for the oldest block.

    The rows (inputs [n, k], y [n], oldest first) are cut into folds + 1 blocks, and each but the first is predicted by
    a clone fitted on all the blocks before: a rolling origin (Tashman, "Out-of-sample tests of forecasting accuracy",
    International Journal of Forecasting 16, 2000). Row i counts `copies[i]` times in fitting, or once.
    """
    said = np.full(len(y), np.nan)
    for earlier, later in TimeSeriesSplit(folds).split(inputs):
        rows = earlier if copies is None else np.repeat(earlier, copies[earlier])
        said[later] = predict_scores(clone(estimator).fit(inputs[rows], y[rows]), inputs[later])
    return said


def predict_scores(fitted: Any, inputs: np.ndarray) -> np.ndarray:
    """A regressor's prediction, or a classifier's probability of the second of its two classes: float64 [n]."""
    if not hasattr(fitted, "predict_proba"):
        return np.asarray(fitted.predict(inputs), float)
    if len(fitted.classes_) != 2:
        raise ValueError(f"{type(fitted).__name__} was shown {list(fitted.classes_)}: two classes were expected")
    return np.asarray(fitted.predict_proba(inputs)[:, 1], float)


def require_two_classes(owner: Any, y: np.ndarray) -> np.ndarray:
    """The two classes of labels [n], sorted. Raises ValueError, naming the pattern, where there are more or fewer."""
    check_classification_targets(y)
    classes, kind = np.unique(y), type_of_target(y)
    if len(classes) != 2:
        told = f"{len(classes)} class{'es' * (len(classes) > 1)}: {', '.join(map(str, classes))}"
        raise ValueError(
            f"Only binary classification is supported. The type of the target is {kind}. "
            f"{type(owner).__name__} was given {told}"
        )
    return classes


def set_binary_tags(tags: Any) -> Any:
    """scikit-learn's tags of a classifier of two classes whose inputs may be missing."""
    tags.classifier_tags.multi_class, tags.input_tags.allow_nan = False, True
    return tags


def fit_calibration(ahead_of_time: np.ndarray, final: np.ndarray, truth: np.ndarray, folds: int) -> tuple[float, float]:
    """Slope and intercept with which expit(slope · score + intercept) is the probability of `truth` bool [n].

    The slope is fitted to the scores ahead of time, float64 [n], NaN for the oldest block (see `ahead`), with an
    intercept for each block: from month to month base rates rise and fall, and an older model's scores don't follow,
    which says nothing of how sharp they are. The intercept gives the final model's scores, float64 [n], the base rate
    of all rows ("calibration in the large").

    Sources: Platt, "Probabilistic outputs for support vector machines and comparisons to regularized likelihood
    methods", 1999; Steyerberg, "Clinical Prediction Models", 2009 (slope and intercept recalibrated apart).
    """
    known = np.isfinite(ahead_of_time)
    blocks = np.repeat(np.eye(folds), known.sum() // folds, axis=0)
    scale = ahead_of_time[known].std() or 1.0
    design = np.column_stack([ahead_of_time[known] / scale, blocks])
    fitted = LogisticRegression(C=INVERSE_PENALTY, fit_intercept=False, max_iter=1000).fit(design, truth[known])
    slope = float(fitted.coef_[0, 0] / scale)
    return slope, _solve_intercept(slope * final, truth.mean())


def _solve_intercept(scores: np.ndarray, rate: float) -> float:
    """What added to the scores makes `rate` the mean probability."""
    odds = np.log(rate / (1 - rate))
    lowest, highest = odds - scores.max(), odds - scores.min()
    if lowest == highest:
        return float(lowest)
    return float(brentq(lambda intercept: expit(scores + intercept).mean() - rate, lowest, highest))


def compute_logits(probabilities: np.ndarray) -> np.ndarray:
    kept = np.clip(probabilities, LOGIT_CLIP, 1 - LOGIT_CLIP)
    return np.log(kept) - np.log(1 - kept)


def stack_class_probabilities(positive: np.ndarray) -> np.ndarray:
    """Probabilities [n, 2] of the two classes from those of the second, [n]."""
    return np.column_stack([1 - positive, positive])
