"""How many answered rows a labelled one stands for, where not every row gets its label."""

import numpy as np


def count_represented_rows(
    by_people: np.ndarray,
    probabilities: np.ndarray,
    prevented: np.ndarray,
    explored: np.ndarray,
    shares: np.ndarray,
) -> np.ndarray:
    """Count the rows that each labelled row stands for, by the inverse of its chance of getting the label.

    A row with an outcome stands for itself: outcomes come of all rows, but for those that a decision prevents. A row
    that people labelled stands for those without an outcome that had the same chance of being picked.

    Rows of which the decision prevents the outcome are known in two ways: by those that were explored, decided
    otherwise by chance, and by those that people labelled. Each way alone stands for all of them; the two are mixed in
    the proportion of their rows.

    Args:
        by_people: Whether people gave the label, bool [n]; it is an outcome otherwise.
        probabilities: The chance of being picked for people, float64 [n]; 1 for outcomes.
        prevented: Whether the decision, before any exploration, was one under which no outcome is seen, bool [n].
        explored: Whether it was replaced, bool [n].
        shares: The chance with which it was to be replaced, float64 [n]; 0 where that wasn't in question.

    Returns:
        float64 [n], above 0; 1 for each where all are outcomes and none was explored.

    Source:
        Horvitz & Thompson, "A generalization of sampling without replacement from a finite universe", JASA 47, 1952;
        Hartley, "Multiple frame surveys", 1962 (two samples of one population).
    """
    counts = np.where(by_people, 1 / np.where(by_people, probabilities, 1.0), 1.0)
    seen, asked = explored, prevented & ~explored & by_people
    if seen.any():
        mix = seen.sum() / (seen.sum() + asked.sum())
        counts[seen] = mix / shares[seen]
        counts[asked] *= (1 - mix) / (1 - shares[asked])
    return counts
