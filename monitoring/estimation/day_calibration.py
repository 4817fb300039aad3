"""Calibration of estimated losses by days: how far the losses of whole days follow what was expected of them.

The mean loss of the reference's days is regressed on their expected loss. The slope, 0 to 1, says how much of a
difference in expected loss comes true; days are noisy, so a mean that lies outside those of the reference has a wide
band. The band is for the loss that the labels of as many new days show.
"""

from dataclasses import dataclass

import numpy as np

from monitoring.estimation.shift_weights import compute_effective_size

TINY_VARIANCE = 1e-12
CONFIDENCE = 0.95  # how often the realised mean lies within its reach


@dataclass(frozen=True)
class DayCalibration:
    """A straight line through the days of a reference.

    Attributes:
        days: How many days of equal weight it rests on.
        expected: Their mean expected loss.
        realised: Their mean loss.
        slope: The rise of loss by expected loss, 0 to 1.
        spread: The variance of the days' losses around the line.
        variance: The variance of the days' expected losses.
    """

    days: float
    expected: float
    realised: float
    slope: float
    spread: float
    variance: float

    @classmethod
    def fit(cls, expected: np.ndarray, losses: np.ndarray, weights: np.ndarray, days: np.ndarray) -> "DayCalibration":
        """Fit the line.

        Args:
            expected: The expected loss of each row, float64 [n].
            losses: Its loss, float64 [n].
            weights: Its weight, float64 [n].
            days: Its day, [n], at least three different ones.

        Returns:
            The line.

        Source: weighted least squares; Draper, Smith, *Applied Regression Analysis*, 1998, chapters 1 and 9.
        """
        _, at = np.unique(days, return_inverse=True)
        sums = np.bincount(at, weights)
        x, y = (np.bincount(at, weights * values) / sums for values in (expected, losses))
        shares, effective = sums / sums.sum(), compute_effective_size(sums)
        dx, dy = x - shares @ x, y - shares @ y
        variance = float(shares @ dx**2)
        slope = float(np.clip(shares @ (dx * dy) / variance, 0, 1)) if variance > TINY_VARIANCE else 0.0
        spread = float(shares @ (dy - slope * dx) ** 2) * effective / max(effective - 2, 1.0)
        return cls(effective, float(shares @ x), float(shares @ y), slope, spread, variance)

    def predict_mean(self, expected: float, days: float) -> tuple[float, float]:
        """Predict the mean loss of new days.

        Args:
            expected: Their mean expected loss.
            days: How many they are, as days with equal numbers of rows.

        Returns:
            The mean, and how far from it the realised one lies in 95 % of the cases at most.
        """
        from scipy.special import stdtrit

        away = expected - self.expected
        leverage = away**2 / (self.days * self.variance) if self.variance > TINY_VARIANCE else 0.0
        reach = stdtrit(max(self.days - 2, 1.0), (1 + CONFIDENCE) / 2) * np.sqrt(
            self.spread * (1 / days + 1 / self.days + leverage)
        )
        return self.realised + self.slope * away, float(reach)
