"""A sequential test of a mean: valid however often one looks, for sums that depend on each other a little.

Each sum x_i is divided by the root mean square of x_1 to x_i, which gives u_i. With S their sum and V >= the sum of
their squares, exp(λS - λ²V/2) averaged over a half-normal λ is

    E = 2 Φ(S / √(V + r)) √(r / (V + r)) exp(S² / 2(V + r)),   r = 5

Where each x_i is symmetric about 0 given those before it, E is at most 1 on average at any stopping time, and ever
exceeds 1/level with probability `level` at most (Ville, 1939). Two models of equal worth give such sums if they could
swap names block by block. Days do depend on each other (a storm front stays: an autocorrelation of 0.3 to 0.6 from one
day to the next was measured), so V is raised to the long-run variance wherever that is larger, which can only lower E.
How well that keeps the promise is measured, not proved: see docs/promotion.md.

Source:
    Method of mixtures: Robbins, "Statistical methods related to the law of the iterated logarithm", 1970.
    Self-normalised sums: de la Peña, "A general class of exponential inequalities for martingales and ratios", 1999;
    Howard, Ramdas, McAuliffe and Sekhon, "Time-uniform Chernoff bounds via nonnegative supermartingales", 2020, and
    "Time-uniform, nonparametric, nonasymptotic confidence sequences", 2021.
    Long-run variance: Newey and West, "A simple, positive semi-definite, heteroskedasticity and autocorrelation
    consistent covariance matrix", 1987.
"""

from collections.abc import Callable

import numpy as np

MIXTURE_RHO = 5.0  # effects that show within about so many blocks get the most weight
NEWEY_WEST_LAGS = 3
MAX_BLOCKS_AHEAD = 3650
SMALLEST_STEP = 1e-12  # of the largest sum: where all are the same, so are their mean and its bounds
SEARCH_STEPS, BISECTION_STEPS = 12, 60


def compute_log_e_values(sums: np.ndarray) -> np.ndarray:
    """Compute the logarithm of E after each sum, against a mean of 0 or less.

    Args:
        sums: Block sums, oldest first, float64 [..., n].

    Returns:
        float64 [..., n].
    """
    scaled = _self_normalise(sums)
    return _log_mixture(scaled.cumsum(axis=-1), _long_run_variance(scaled))


def compute_final_log_e_value(sums: np.ndarray) -> float:
    """Compute the logarithm of E after the last sum.

    Args:
        sums: Block sums, oldest first, float64 [n].

    Returns:
        The logarithm; 0 without sums.
    """
    return float(compute_log_e_values(sums)[-1]) if len(sums) else 0.0


def compute_lower_bound(
    sums: np.ndarray,
    weights: np.ndarray,
    level: float,
    compute_evidence: Callable[[np.ndarray], float] = compute_final_log_e_value,
    reach: float = 0.0,
) -> float | None:
    """Compute the lower end of a confidence sequence for the mean of sums per weight.

    The probability that it is ever above the truth is `level`. It is above 0 exactly if the evidence is above 1/level.

    Args:
        sums: Block sums, oldest first, float64 [n].
        weights: The weight of each block, such as its number of rows, float64 [n].
        level: The probability of error.
        compute_evidence: Computes from such sums the logarithm of the evidence against a mean of 0 or less.
        reach: A sum beside which the evidence weighs these, such as the largest loss before them; 0 for none.

    Returns:
        The bound; None while nothing can be said.
    """

    def shown(mean: float) -> bool:
        return compute_evidence(sums - mean * weights) >= -np.log(level)

    inside = float(sums.sum() / weights.sum())
    spread = compute_root_mean_squares(sums - inside * weights)[-1]
    steps = np.array([max(spread, SMALLEST_STEP * np.abs(sums).max()) or 1.0, reach]) / weights.mean()
    distances = np.unique(np.outer(steps[(steps > 0) & np.isfinite(steps)], 2.0 ** np.arange(SEARCH_STEPS)))
    outside = next((mean for mean in (inside - distances).tolist() if shown(mean)), None)
    if outside is None:
        return None
    for _ in range(BISECTION_STEPS):
        middle = (inside + outside) / 2
        inside, outside = (inside, middle) if shown(middle) else (middle, outside)
    return inside


def estimate_blocks_needed(sums: np.ndarray, level: float) -> int | None:
    """Estimate how many more blocks like those so far would show a mean above 0.

    Args:
        sums: Block sums, oldest first, float64 [n].
        level: The probability of error.

    Returns:
        The number of blocks; None if it is beyond ten years of days, or the mean isn't above 0.
    """
    scaled, had = _self_normalise(sums), len(sums)
    if had == 0 or scaled.sum() <= 0:
        return None
    more = np.arange(1, MAX_BLOCKS_AHEAD + 1)
    grown = 1 + more / had
    reached = _log_mixture(scaled.sum() * grown, _long_run_variance(scaled)[-1] * grown) >= -np.log(level)
    return int(more[reached.argmax()]) if reached.any() else None


def compute_root_mean_squares(sums: np.ndarray) -> np.ndarray:
    """Compute the root mean square of the sums so far, in whatever unit they are: no square overflows.

    Args:
        sums: Block sums, oldest first, float64 [..., n].

    Returns:
        float64 [..., n].
    """
    _, exponent = np.frexp(np.abs(sums).max(axis=-1, keepdims=True, initial=0.0))
    squares = np.ldexp(sums, -exponent) ** 2
    return np.ldexp(np.sqrt(squares.cumsum(axis=-1) / np.arange(1, sums.shape[-1] + 1)), exponent)


def _self_normalise(sums: np.ndarray) -> np.ndarray:
    """Divide each sum by the root mean square of those so far, itself included; 0 where all were 0."""
    scale = compute_root_mean_squares(sums)
    return sums / np.where(scale > 0, scale, 1)


def _long_run_variance(scaled: np.ndarray) -> np.ndarray:
    """Compute the sum of squares so far, or the long-run variance with Bartlett weights if that is larger."""
    squares = (scaled**2).cumsum(axis=-1)
    crossed = sum(
        (1 - lag / (NEWEY_WEST_LAGS + 1)) * _lagged_products(scaled, lag) for lag in range(1, NEWEY_WEST_LAGS + 1)
    )
    return np.maximum(squares, squares + 2 * crossed)


def _lagged_products(scaled: np.ndarray, lag: int) -> np.ndarray:
    """Sum the products so far of deviations from the mean so far, `lag` blocks apart."""
    pairs = np.maximum(np.arange(1, scaled.shape[-1] + 1) - lag, 0)
    mean = scaled.cumsum(axis=-1) / np.arange(1, scaled.shape[-1] + 1)
    late, early = scaled[..., lag:], scaled[..., : max(scaled.shape[-1] - lag, 0)]
    products, both = (np.zeros_like(scaled) for _ in range(2))
    products[..., lag:], both[..., lag:] = (late * early).cumsum(axis=-1), (late + early).cumsum(axis=-1)
    return products - mean * both + pairs * mean**2


def _log_mixture(total: np.ndarray, variance: np.ndarray) -> np.ndarray:
    from scipy.special import log_ndtr

    spread = variance + MIXTURE_RHO
    one_sided = np.log(2) + log_ndtr(total / np.sqrt(spread))
    return np.asarray(one_sided + np.log(MIXTURE_RHO / spread) / 2 + total**2 / (2 * spread))
