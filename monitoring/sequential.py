"""A test of a mean that holds however often one looks, for sums that lean on each other a little.

The statistic is the method of mixtures (Robbins, "Statistical methods related to the law of the iterated logarithm",
1970) on self-normalised sums (de la Peña, "A general class of exponential inequalities for martingales and ratios",
1999; Howard, Ramdas, McAuliffe and Sekhon, "Time-uniform Chernoff bounds via nonnegative supermartingales", 2020, and
"Time-uniform, nonparametric, nonasymptotic confidence sequences", 2021). Each sum x_i is divided by the root mean
square of x_1 to x_i, which gives u_i; with S their sum and V >= the sum of their squares, exp(λS - λ²V/2) averaged over
a half-normal λ is

    E = 2 Φ(S / √(V + r)) √(r / (V + r)) exp(S² / 2(V + r)),   r = 5

Where each x_i is symmetric about 0 given those before it, E is at most 1 on average at any stopping time, and ever
exceeds 1/level with probability `level` at most (Ville, 1939). Two models of equal worth give such sums if they could
swap names block by block. Days do lean on each other (a storm front stays: an autocorrelation of 0.3 to 0.6 from one
day to the next was measured), so V is raised to the long-run variance of Newey and West (1987) wherever that is larger,
which can only lower E. What that is worth is measured, not proved: see docs/promotion.md.
"""

import numpy as np

RHO = 5.0  # effects that show within about so many blocks get the most weight
LAGS = 3
HORIZON = 3650
STEPS = 60


def log_evidence(sums: np.ndarray) -> np.ndarray:
    """log E after each sum that the mean is above 0: float64 [..., n] of block sums float64 [..., n]."""
    scaled = _scaled(sums)
    return _mixture(scaled.cumsum(axis=-1), _variance(scaled))


def lower_bound(sums: np.ndarray, weights: np.ndarray, level: float) -> float | None:
    """The lower end of a confidence sequence for the mean of `sums` per weight, both float64 [n]: that it is ever above
    the truth has probability `level`. It is above 0 just if E is above 1/level; None while nothing can be said."""

    def shown(mean: float) -> bool:
        return bool(log_evidence(sums - mean * weights)[-1] >= -np.log(level))

    inside = float(sums.sum() / weights.sum())
    step = max(float(np.sqrt(np.mean((sums - inside * weights) ** 2)) / weights.mean()), 1e-12)
    distances = (inside - step * 2.0**power for power in range(12))
    outside = next((mean for mean in distances if shown(mean)), None)
    if outside is None:
        return None
    for _ in range(STEPS):
        middle = (inside + outside) / 2
        inside, outside = (inside, middle) if shown(middle) else (middle, outside)
    return outside


def blocks_needed(sums: np.ndarray, level: float) -> int | None:
    """How many more blocks like those so far would show a mean above 0 at `level`; None where that is out of sight."""
    scaled, had = _scaled(sums), len(sums)
    if had == 0 or scaled.sum() <= 0:
        return None
    more = np.arange(1, HORIZON + 1)
    grown = 1 + more / had
    reached = _mixture(scaled.sum() * grown, _variance(scaled)[-1] * grown) >= -np.log(level)
    return int(more[reached.argmax()]) if reached.any() else None


def _scaled(sums: np.ndarray) -> np.ndarray:
    """Each sum over the root mean square of those so far, itself included; 0 where all were 0."""
    scale = np.sqrt((sums**2).cumsum(axis=-1) / np.arange(1, sums.shape[-1] + 1))
    return sums / np.where(scale > 0, scale, 1)


def _variance(scaled: np.ndarray) -> np.ndarray:
    """The sum of squares so far, or the long-run variance with Bartlett weights if that is more."""
    squares = (scaled**2).cumsum(axis=-1)
    crossed = sum((1 - lag / (LAGS + 1)) * _crossed(scaled, lag) for lag in range(1, LAGS + 1))
    return np.maximum(squares, squares + 2 * crossed)


def _crossed(scaled: np.ndarray, lag: int) -> np.ndarray:
    """The sum so far of products of deviations from the mean so far, `lag` blocks apart."""
    pairs = np.maximum(np.arange(1, scaled.shape[-1] + 1) - lag, 0)
    mean = scaled.cumsum(axis=-1) / np.arange(1, scaled.shape[-1] + 1)
    late, early = scaled[..., lag:], scaled[..., : max(scaled.shape[-1] - lag, 0)]
    products, both = (np.zeros_like(scaled) for _ in range(2))
    products[..., lag:], both[..., lag:] = (late * early).cumsum(axis=-1), (late + early).cumsum(axis=-1)
    return products - mean * both + pairs * mean**2


def _mixture(total: np.ndarray, variance: np.ndarray) -> np.ndarray:
    from scipy.special import log_ndtr

    spread = variance + RHO
    one_sided = np.log(2) + log_ndtr(total / np.sqrt(spread))
    return np.asarray(one_sided + np.log(RHO / spread) / 2 + total**2 / (2 * spread))
