"""Exploration: a stated random share of the decisions that hide their outcome is replaced by one that shows it."""

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from penumbra.core.task import Task
from penumbra.features import Record
from penumbra.logs.keys import KeyEncoder
from penumbra.reviews.selection.sampling import hash_uniforms
from penumbra.rules import DecisionValue, Prediction

EXPLORE_KEY = "explore"  # of the hashes of rows' keys that exploration goes by
ExploreFunction = Callable[[Record, Prediction, DecisionValue], tuple[DecisionValue, dict[str, Any]]]
DrawFunction = Callable[[Record], float]


def keep_decision(
    record: Record, prediction: Prediction, decision: DecisionValue
) -> tuple[DecisionValue, dict[str, Any]]:
    """Keep a decision as it is.

    Args:
        record: The record by column.
        prediction: The model's output.
        decision: What follows from it.

    Returns:
        The decision, and no marks.
    """
    return decision, {}


def make_key_draw(key: Mapping[str, Any]) -> DrawFunction:
    """Return the function that draws for a record: the same number whenever a row is asked about.

    Args:
        key: The columns of the row's primary key with their dtypes; without any, each prediction has a draw of its own.

    Returns:
        A function of the record that returns a number as if drawn at random, on (0, 1].
    """
    if not key:
        return lambda record: 1 - random.random()
    encoders = [(name, KeyEncoder({name: dtype}).encode_values) for name, dtype in key.items()]

    def draw(record: Record) -> float:
        values = [encode([record[name]])[1:-1] for name, encode in encoders]  # in the contract's order, for ever
        return float(hash_uniforms([f"[{','.join(values)}]"], EXPLORE_KEY)[0])

    return draw


def make_explorer(task: Task, observed: Sequence[DecisionValue], share: float, draw: DrawFunction) -> ExploreFunction:
    """Return the function that explores: by chance alone, whatever is predicted.

    Args:
        task: The problem's task, binary or multi-class.
        observed: The problem's `OBSERVED_DECISIONS`.
        share: The chance with which a decision that hides its outcome is replaced (`rules.explore_share`).
        draw: See `make_key_draw`.

    Returns:
        A function of record, output and decision that returns the decision from now on, of several the most probable
        one, and the marks of answer and log: `explore_share`, and `explored` (true) where it was replaced; none where
        nothing is hidden.
    """
    if not (share and observed):
        return keep_decision

    def explore(
        record: Record, prediction: Prediction, decision: DecisionValue
    ) -> tuple[DecisionValue, dict[str, Any]]:
        if decision in observed:
            return decision, {}
        if draw(record) > share:
            return decision, {"explore_share": share}
        shown = max(observed, key=lambda value: prediction[task.classes.index(str(value))]) if task.classes else None
        return observed[0] if shown is None else shown, {"explore_share": share, "explored": True}

    return explore
