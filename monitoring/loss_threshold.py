"""From which mean loss on is a window's realised loss no longer what the model's own reference lets expect?"""

from dataclasses import dataclass

import numpy as np

from monitoring.permutation import compute_permutation_limit, draw_permutations


@dataclass(frozen=True)
class DailyLosses:
    """Of each day with labels: the sum of the rows' losses, of their squares, and the number of labels; float64 [days].
    The loss must be bounded, or a single surprise decides."""

    sums: np.ndarray
    squares: np.ndarray
    labels: np.ndarray

    @classmethod
    def from_rows(cls, days: np.ndarray, losses: np.ndarray) -> "DailyLosses":
        """From each row's day (anything that sorts) and loss, float64 [n] without NaN."""
        named, at = np.unique(days, return_inverse=True)
        counted = (np.bincount(at, weights, len(named)) for weights in (losses, losses**2, np.ones(len(losses))))
        return cls(*counted)

    @property
    def mean(self) -> float:
        """NaN where there are no labels."""
        return float(self.sums.sum() / self.labels.sum()) if self.labels.sum() else float("nan")


def compute_loss_threshold(window: DailyLosses, reference: DailyLosses, one_in: float, seed: int = 0) -> float | None:
    """At most one in `one_in` windows has a larger mean loss where nothing has changed (see replays.py); None where
    either has no day with labels."""
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
