"""Simulated daily series: days resemble the day before, and some are much worse than others."""

import numpy as np


def simulate_daily_series(
    count: int, days: int, like_the_day_before: float, skew: float = 0, seed: int = 0
) -> np.ndarray:
    """Simulate autoregressive series of order 1, driven by gamma or normal shocks.

    On the flights the daily loss differences of two models have autocorrelations of 0.15 to 0.25 and a skewness of
    about 1 either way.

    Args:
        count: The number of series.
        days: The length of each.
        like_the_day_before: The autocorrelation from day to day.
        skew: The skewness of the shocks; 0 for normal ones.
        seed: Seed of the shocks.

    Returns:
        Series of mean 0 and variance 1, float64 [count, days].
    """
    rng, shape = np.random.default_rng(seed), (count, days + 50)
    if skew:
        shocks = np.sign(skew) * (rng.gamma(4 / skew**2, 1, shape) - 4 / skew**2) * abs(skew) / 2
    else:
        shocks = rng.standard_normal(shape)
    for day in range(1, shape[1]):
        shocks[:, day] += like_the_day_before * shocks[:, day - 1]
    return shocks[:, -days:] * np.sqrt(1 - like_the_day_before**2)


def make_scored_days(seed: int, days: int = 24, rows: int = 20) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, predictions and days of some made-up rows, in no order."""
    rng = np.random.default_rng(seed)
    predictions = rng.uniform(0.05, 0.95, days * rows)
    return rng.uniform(size=len(predictions)) < predictions, predictions, rng.permutation(np.arange(days * rows) % days)
