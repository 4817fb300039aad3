"""The threshold of a window's mean loss, from the losses of the model's own reference."""

from dataclasses import dataclass

import numpy as np

from monitoring.permutation import compute_permutation_limit, draw_permutations


@dataclass(frozen=True)
class DailyLosses:
    """Sums of losses by day. The loss must be bounded, or a single surprise decides.

    Attributes:
        sums: The sum of the rows' losses of each day, float64 [days].
        squares: The sum of their squares, float64 [days].
        labels: The number of labels, float64 [days].
    """

    sums: np.ndarray
    squares: np.ndarray
    labels: np.ndarray

    @classmethod
    def from_rows(cls, days: np.ndarray, losses: np.ndarray) -> "DailyLosses":
        """Sum the losses of rows by day.

        Args:
            days: Each row's day, [n] of anything that sorts.
            losses: Each row's loss, float64 [n] without NaN.

        Returns:
            The sums, in the order of the days.
        """
        named, at = np.unique(days, return_inverse=True)
        counted = (np.bincount(at, weights, len(named)) for weights in (losses, losses**2, np.ones(len(losses))))
        return cls(*counted)

    @property
    def mean(self) -> float:
        """The mean loss of a row; NaN without labels."""
        return float(self.sums.sum() / self.labels.sum()) if self.labels.sum() else float("nan")


def compute_loss_threshold(window: DailyLosses, reference: DailyLosses, one_in: float, seed: int = 0) -> float | None:
    """Compute the mean loss above which a window raises an alarm.

    Args:
        window: The window's days with labels.
        reference: The reference's days.
        one_in: At most one in so many windows without a change has a larger loss (see permutation.py).
        seed: Seed of the permutations.

    Returns:
        The threshold, or None where window or reference have no day with labels.
    """
    days = len(window.sums)
    if not days or not len(reference.sums):
        return None
    before = _thin_reference(reference, window, np.random.default_rng([seed, 1]))
    sums, labels = np.append(window.sums, before.sums), np.append(window.labels, before.labels)
    drawn = draw_permutations(days, len(before.sums), one_in, seed)
    more = drawn @ sums / (drawn @ labels) - ~drawn @ sums / (~drawn @ labels)
    return before.mean + float(compute_permutation_limit(more, one_in))


def _thin_reference(reference: DailyLosses, window: DailyLosses, random: np.random.Generator) -> DailyLosses:
    """The reference's days as they would be with as few labels as the window has in a day."""
    share = min(1.0, float(window.labels.mean() / reference.labels.mean()))
    noise = np.sqrt(share * (1 - share) * reference.squares) * random.standard_normal(len(reference.sums))
    return DailyLosses(reference.sums * share + noise, reference.squares * share, reference.labels * share)
