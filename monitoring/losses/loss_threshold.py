"""The thresholds of the mean loss over the latest days, from the losses of the model's own reference.

The window is judged, and the last two, four and eight windows together, by one permutation of days for all of them
(see permutation.py). Only a higher loss is an alarm. The reference was scored by fits that left the last batches out:
it is raised first by what the live fit loses more than these, as far as its rows show it.
"""

from dataclasses import dataclass

import numpy as np

from monitoring.permutation import LEAST_PART, compute_simultaneous_limits, draw_orders, list_stretches, thin_parts

MIN_THRESHOLD = 1e-9


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

    def __getitem__(self, days: slice | np.ndarray) -> "DailyLosses":
        return DailyLosses(self.sums[days], self.squares[days], self.labels[days])


@dataclass(frozen=True)
class StretchLoss:
    """The mean loss over the latest days.

    Attributes:
        days: How many days, those without labels included.
        mean: The mean loss.
        threshold: The mean loss above which it is an alarm.
    """

    days: int
    mean: float
    threshold: float

    @property
    def ratio(self) -> float:
        """Mean divided by threshold; above 1 is an alarm."""
        return self.mean / max(self.threshold, MIN_THRESHOLD)

    @property
    def is_high(self) -> bool:
        """Whether it is an alarm."""
        return self.mean > self.threshold


def measure_refit_excess(earlier: np.ndarray, live: np.ndarray) -> float:
    """Measure how much more the live fit loses than the fits that scored the reference, on the same rows.

    The live fit has learnt from these rows, so its loss of them is rather too small than too large: by what it still
    loses more, it loses more of any rows, with no change of the data. With heavy tails a few rows that only the live
    fit has learnt from can move it that far.

    Args:
        earlier: The losses of the reference's rows with the fits that scored it, float64 [n], NaN where unknown.
        live: Those with the live fit, likewise.

    Returns:
        The mean difference of a row where both are known, at least 0; 0 where there is none.
    """
    more = (live - earlier)[np.isfinite(live - earlier)]
    return max(0.0, float(more.mean())) if len(more) else 0.0


def judge_losses(
    recent: DailyLosses, reference: DailyLosses, one_in: float, window_days: int, seed: int = 0
) -> list[StretchLoss]:
    """Compare the mean losses of the last one, two, four and eight windows with that of the reference.

    A longer stretch counts where the window itself shows at least half of its rise, so that no alarm outlasts its
    cause.

    Args:
        recent: The latest days in the order of time, the window's last; days without labels are among them.
        reference: The reference's days.
        one_in: At most one in so many windows without a change is above any of the thresholds (see permutation.py).
        window_days: The number of days of a window.
        seed: Seed of the permutations.

    Returns:
        The window, and each longer stretch that counts; empty where window or reference have no day with labels.
    """
    backwards, before = recent[::-1], reference[reference.labels > 0]
    stretches = list_stretches(recent.labels > 0, window_days)
    sizes = [int((backwards.labels[:days] > 0).sum()) for days in stretches]
    if not sizes[0] or not len(before.labels):
        return []
    now, random = backwards[backwards.labels > 0], np.random.default_rng([seed, 1])
    known, level, shares = thin_parts(now.labels, sizes)
    sizes = sizes[:known]
    usual = _thin_days(before, min(1.0, level / float(before.labels.mean())), random)
    thinned = _thin_days(now[: sizes[-1]], shares, random)
    sums, labels = np.append(thinned.sums, usual.sums), np.append(thinned.labels, usual.labels)
    orders = draw_orders(len(sums), one_in, seed)
    rest = _compute_means(orders >= sizes[-1], sums, labels)
    rises = np.array([_compute_means(orders < size, sums, labels) - rest for size in sizes]).T
    means = np.array([now[:size].mean for size in sizes])
    rise, limits = means - usual.mean, compute_simultaneous_limits(rises, one_in)
    limits = np.where(limits > 0, limits, np.maximum(rise, 0))
    counts = [True, *(rise[0] >= LEAST_PART * rise[1:])]
    found = zip(stretches[:known], means.tolist(), (usual.mean + limits).tolist(), counts, strict=True)
    return [StretchLoss(days, mean, threshold) for days, mean, threshold, each in found if each]


def _compute_means(chosen: np.ndarray, sums: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The mean loss of the rows of chosen days: float64 [orders] of bool [orders, days]."""
    return np.asarray(chosen @ sums / (chosen @ labels))


def _thin_days(days: DailyLosses, shares: np.ndarray | float, random: np.random.Generator) -> DailyLosses:
    """The days as they would be if only these shares of their labels were known."""
    noise = np.sqrt(shares * (1 - shares) * days.squares) * random.standard_normal(len(days.sums))
    return DailyLosses(days.sums * shares + noise, days.squares * shares, days.labels * shares)
