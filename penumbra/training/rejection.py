"""Why a candidate can't be trained or served, in one sentence with the remedy."""

import re
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from penumbra.core.task import Task
from penumbra.core.text.errors import LastingRefusal
from penumbra.core.text.quoting import shorten_text

MAX_REASON_LENGTH = 300
MODEL_PATH = re.compile(r"\S*/(?=model\.(skops|onnx))")  # of a folder that is gone when the reason is read
REMEDIES = (  # by words of the message: what helps
    ("x contains nan", "put a SimpleImputer before it, or take an estimator that accepts missing values"),
    ("y contains nan", "`learns` has no value for rows that have an outcome: fill it, or learn the target"),
    ("cardinality", "a category of boosting may have at most 255 values: fold rare ones together in "
     "problem/features.py, or one-hot encode it before another estimator"),
    ("predict_proba", "wrap it in CalibratedClassifierCV, or take a classifier with probabilities"),
    ("as trusted", "take an estimator that compiles (docs/patterns.md) or is made of scikit-learn's own "
     "types"),
    ("compiled and fitted", "put a SimpleImputer before it if values may be missing, or take another estimator"),
    ("its classes are", "the rows that it learns from must have every class: give it a longer window"),
    ("memory", "give it fewer rows (`window`), a smaller model, or the machine more memory"),
)  # fmt: skip


class TrainingRefused(LastingRefusal):
    """Nothing can be trained or released; says why, and what to do."""


@dataclass(frozen=True)
class Rejection:
    """A candidate that was left out.

    Args:
        candidate: Its name, with the seed of a search where there is one.
        reason: Why, and what to do about it.
    """

    candidate: str
    reason: str

    def __str__(self) -> str:
        """A sentence for the terminal."""
        return f"{self.candidate} is left out: {self.reason}"


def refuse_training(rejections: Sequence[Rejection]) -> NoReturn:
    """Refuse to train because no candidate is left.

    Args:
        rejections: Why each of them was left out.

    Raises:
        TrainingRefused: Always.
    """
    reasons = "; ".join(str(rejection) for rejection in rejections)
    raise TrainingRefused(f"no candidate can be trained and served, so nothing was registered: {reasons}")


def find_estimator_fault(estimator: Any, task: Task, target: str) -> str:
    """Find why an unfitted estimator doesn't suit the task.

    Args:
        estimator: What a candidate's `make` returned.
        task: The task.
        target: The target's dtype, for the message.

    Returns:
        The reason with the remedy, "" if it suits.
    """
    from sklearn.base import is_classifier, is_regressor

    kind = f"a {type(estimator).__name__}"
    if isinstance(estimator, type) or not all(hasattr(type(estimator), name) for name in ("fit", "predict")):
        made = "None" if estimator is None else "a class" if isinstance(estimator, type) else kind
        return f"its function returns {made}: expected an unfitted scikit-learn estimator"
    try:
        classifies, regresses = is_classifier(estimator), is_regressor(estimator)
    except Exception as error:  # an object that only looks like an estimator raises whatever it likes
        return f"{kind} is no scikit-learn estimator ({type(error).__name__}): derive it from BaseEstimator"
    if task.kind == "regression":
        advice = 'return a Boolean from target(), such as pl.col("…") == 1, if it means yes or no, or take a regressor'
        return "" if regresses else f"{kind} is no regressor and target() gives numbers ({target}): {advice}"
    if not classifies:
        return f"{kind} is no classifier and target() gives classes ({target}): take a classifier"
    if not hasattr(type(estimator), "predict_proba"):
        return f"{kind} has no predict_proba: {_find_remedy('predict_proba')}"
    return ""


def describe_failure(error: BaseException, files: Path | None = None) -> str:
    """Describe why a candidate failed.

    Args:
        error: What was raised.
        files: The user's folder: the innermost line in it is named.

    Returns:
        Where, the kind of error, the first lines of its message, and the remedy where one is known.
    """
    text = shorten_text(MODEL_PATH.sub("", " ".join(str(error).split())), MAX_REASON_LENGTH)
    is_own = type(error).__module__.startswith("penumbra.") and text
    reason = _find_place(error, files) + (text if is_own else f"{type(error).__name__}: {text}".rstrip(": "))
    remedy = _find_remedy(f"{type(error).__name__} {error}")
    return f"{reason.rstrip('.')}; {remedy}" if remedy else reason


def _find_remedy(text: str) -> str:
    return next((remedy for words, remedy in REMEDIES if words in text.lower()), "")


def _find_place(error: BaseException, files: Path | None) -> str:
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if files and Path(frame.filename).parent == files:
            return f"{files.name}/{Path(frame.filename).name}, line {frame.lineno}: "
    return ""
