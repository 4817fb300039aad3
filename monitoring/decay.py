"""From which mean loss on is a window's realised loss no longer what the model's own reference lets expect?"""

from dataclasses import dataclass

import numpy as np

from monitoring.replays import draws, limit


@dataclass(frozen=True)
class DailyLoss:
    """Of each day with labels: the sum of the rows' losses, of their squares, and the number of labels; float64 [days].
    The loss must be bounded, or a single surprise decides."""

    sums: np.ndarray
    squares: np.ndarray
    labels: np.ndarray

    @classmethod
    def of(cls, days: np.ndarray, losses: np.ndarray) -> "DailyLoss":
        """From each row's day (anything that sorts) and loss, float64 [n] without NaN."""
        named, at = np.unique(days, return_inverse=True)
        counted = (np.bincount(at, weights, len(named)) for weights in (losses, losses**2, np.ones(len(losses))))
        return cls(*counted)

    @property
    def mean(self) -> float:
        """NaN where there are no labels."""
        return float(self.sums.sum() / self.labels.sum()) if self.labels.sum() else float("nan")


def threshold(window: DailyLoss, reference: DailyLoss, one_in: float, seed: int = 0) -> float | None:
    """At most one in `one_in` windows has a larger mean loss where nothing has changed (see replays.py); None where
    either has no day with labels."""
    days = len(window.sums)
    if not days or not len(reference.sums):
        return None
    before = _thinned(reference, window, np.random.default_rng([seed, 1]))
    sums, labels = np.append(window.sums, before.sums), np.append(window.labels, before.labels)
    drawn = draws(days, len(before.sums), one_in, seed)
    more = drawn @ sums / (drawn @ labels) - ~drawn @ sums / (~drawn @ labels)
    return before.mean + float(limit(more, one_in))


def _thinned(reference: DailyLoss, window: DailyLoss, random: np.random.Generator) -> DailyLoss:
    """The reference's days as they would be with as few labels as the window has in a day."""
    share = min(1.0, float(window.labels.mean() / reference.labels.mean()))
    noise = np.sqrt(share * (1 - share) * reference.squares) * random.standard_normal(len(reference.sums))
    return DailyLoss(reference.sums * share + noise, reference.squares * share, reference.labels * share)
