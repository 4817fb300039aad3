"""How many answered rows a labelled one stands for, where not every row gets its label."""

import numpy as np


def count_represented_rows(
    probabilities: np.ndarray, picked: np.ndarray, explored: np.ndarray, shares: np.ndarray
) -> np.ndarray:
    """Count the rows that each labelled row stands for, by the inverse of its chance of getting the label.

    A row with an outcome stands for itself: outcomes come of all rows, but for those that a decision prevents. A row
    that people labelled stands for those without an outcome that had the same chance of being picked.

    Prevented rows that exploration could have shown are in two parts: those that were picked for people are known, so
    each stands for itself, explored or not; of the others an explored row stands for all that weren't. A row's count
    depends on the row alone, so it is right whenever the label comes. The inverse of the overall chance of being
    labelled either way would vary less, but of explored rows that weren't picked the chance of being picked is unknown.
    All this holds where whether a row is picked doesn't depend on whether it was explored (penumbra/reviews/selection).

    Args:
        probabilities: The chance of being picked of rows that people labelled, float64 [n]; 1 for outcomes.
        picked: Whether the row was picked for people, bool [n].
        explored: Whether the decision was replaced so that the outcome is seen, bool [n].
        shares: The chance with which it was to be replaced, float64 [n]; 0 where that wasn't in question.

    Returns:
        float64 [n], above 0; 1 for each where all are outcomes and none was explored.

    Source:
        Horvitz & Thompson, "A generalization of sampling without replacement from a finite universe", JASA 47, 1952;
        Hartley, "Multiple frame surveys", 1962 (two samples of one population).
    """
    by_exploration = explored & ~picked
    return np.select([by_exploration, shares > 0], [1 / np.where(by_exploration, shares, 1.0), 1.0], 1 / probabilities)
