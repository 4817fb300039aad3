"""Exploration: a stated random share of the decisions that hide their outcome is replaced by one that shows it."""

import random
from collections.abc import Callable, Sequence
from typing import Any

from penumbra.core.task import Task
from penumbra.rules import DecisionValue, Prediction

ExploreFunction = Callable[[Prediction, DecisionValue], tuple[DecisionValue, dict[str, Any]]]


def keep_decision(prediction: Prediction, decision: DecisionValue) -> tuple[DecisionValue, dict[str, Any]]:
    """Keep a decision as it is.

    Args:
        prediction: The model's output.
        decision: What follows from it.

    Returns:
        The decision, and no marks.
    """
    return decision, {}


def make_explorer(
    task: Task, observed: Sequence[DecisionValue], share: float, draw: Callable[[], float] = random.random
) -> ExploreFunction:
    """Return the function that explores: by chance alone, whatever the record is.

    Args:
        task: The problem's task, binary or multi-class.
        observed: The problem's `OBSERVED_DECISIONS`.
        share: The chance with which a decision that hides its outcome is replaced (`rules.explore_share`).
        draw: Draws a number of at least 0 and below 1.

    Returns:
        A function of output and decision that returns the decision from now on, of several the most probable one, and
        the marks of answer and log: `explore_share`, and `explored` (true) where it was replaced; none where nothing is
        hidden.
    """
    if not (share and observed):
        return keep_decision

    def explore(prediction: Prediction, decision: DecisionValue) -> tuple[DecisionValue, dict[str, Any]]:
        if decision in observed:
            return decision, {}
        if draw() >= share:
            return decision, {"explore_share": share}
        shown = max(observed, key=lambda value: prediction[task.classes.index(str(value))]) if task.classes else None
        return observed[0] if shown is None else shown, {"explore_share": share, "explored": True}

    return explore
