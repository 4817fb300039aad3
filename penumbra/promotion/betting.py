"""A bet on a gain that is small enough for the losses seen so far: what a self-normalised sum can't do.

The test in sequential.py divides each sum by the scale of its time. A candidate that gains a little on most days and
loses much on rare ones has therefore gathered its evidence on a small scale before the rare day comes, which then
counts as one large day among them. Here a gambler stakes the same share of the capital each day,

    K_n = (1 + x_1 / b) (1 + x_2 / b) … (1 + x_n / b),   b = the largest loss so far + 4 root mean squares so far

and after each day all days are reckoned anew with that day's b, so that a loss counts in full whenever it came. For a b
that is known beforehand and that no loss exceeds, K is a martingale and never negative if the candidate is no better
*on average*, whatever the skew: K ever exceeds 1/level with probability `level` at most (Ville, 1939). What no b can
know is a loss that hasn't come yet: docs/promotion-statistics.md has what follows, and the measured rates.

Source:
    Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", 2024; here with a bound that is
    learnt from the days.
"""

import math

import numpy as np

from penumbra.promotion.sequential import compute_final_log_e_value, compute_log_e_values, compute_root_mean_squares

RESERVE_RMS = 4.0  # the next block may lose so many root mean squares more than the worst so far


def find_shown_gains(
    sums: np.ndarray, level: float, blocks_required: int, worst_before: float | np.ndarray = 0.0
) -> np.ndarray:
    """Find after which blocks a gain is shown: by E, by the capital, and over enough blocks.

    Args:
        sums: Block sums, oldest first, float64 [..., n].
        level: The probability of error; E and the capital have to reach 1/level.
        blocks_required: The fewest of these blocks that can show a gain.
        worst_before: The largest loss of a block that was seen before these, 0 or more, float or float64 [..., 1].

    Returns:
        bool [..., n].
    """
    evidence = np.minimum(compute_log_e_values(sums), compute_log_capital(sums, worst_before))
    return np.asarray((evidence >= -math.log(level)) & (np.arange(1, sums.shape[-1] + 1) >= blocks_required))


def compute_joint_log_evidence(sums: np.ndarray, worst_before: float = 0.0) -> float:
    """Compute the logarithm of E or of the capital after the last sum, whichever is less.

    Args:
        sums: Block sums, oldest first, float64 [n].
        worst_before: The largest loss of a block that was seen before these, 0 or more.

    Returns:
        The logarithm; 0 without sums, NaN if either is NaN.
    """
    return float(np.minimum(compute_final_log_e_value(sums), compute_final_log_capital(sums, worst_before)))


def compute_log_capital(sums: np.ndarray, worst_before: float | np.ndarray = 0.0) -> np.ndarray:
    """Compute the logarithm of the capital after each sum, against a mean of 0 or less.

    Args:
        sums: Block sums, oldest first, float64 [..., n].
        worst_before: The largest loss of a block that was seen before these, 0 or more, float or float64 [..., 1].

    Returns:
        float64 [..., n].
    """
    bounds = compute_loss_bounds(sums, worst_before)
    capital = [bet_log_capital(sums[..., :count], bounds[..., count - 1]) for count in range(1, sums.shape[-1] + 1)]
    return np.stack(capital, axis=-1) if capital else np.zeros_like(sums)


def compute_final_log_capital(sums: np.ndarray, worst_before: float = 0.0) -> float:
    """Compute the logarithm of the capital after the last sum.

    Args:
        sums: Block sums, oldest first, float64 [n].
        worst_before: The largest loss of a block that was seen before these, 0 or more.

    Returns:
        The logarithm; 0 without sums.
    """
    return float(bet_log_capital(sums, compute_loss_bounds(sums, worst_before)[-1])) if len(sums) else 0.0


def estimate_blocks_to_capital(sums: np.ndarray, level: float, worst_before: float = 0.0) -> int | None:
    """Estimate how many more blocks like those so far would bring the capital to 1/level.

    Args:
        sums: Block sums, oldest first, float64 [n].
        level: The probability of error.
        worst_before: The largest loss of a block that was seen before these, 0 or more.

    Returns:
        The number of blocks; None if the capital hasn't grown.
    """
    grown = compute_final_log_capital(sums, worst_before)
    return max(math.ceil(len(sums) * (-math.log(level) / grown - 1)), 0) if grown > 0 else None


def compute_loss_bounds(sums: np.ndarray, worst_before: float | np.ndarray = 0.0) -> np.ndarray:
    """Compute the loss of a block that would cost the whole capital, as it is after each block.

    Args:
        sums: Block sums, oldest first, float64 [..., n].
        worst_before: The largest loss of a block that was seen before these, 0 or more, float or float64 [..., 1].

    Returns:
        float64 [..., n], above each loss so far; 1 while all sums are 0, NaN where one is NaN.
    """
    counts = np.arange(1, sums.shape[-1] + 1)
    worst, largest = (np.maximum.accumulate(each, axis=-1) for each in (-sums, np.abs(sums)))
    scale = np.maximum(
        compute_root_mean_squares(sums), largest / np.sqrt(counts)
    )  # which it is never below, unless squares underflow
    bounds = np.maximum(np.maximum(worst, worst_before), 0.0) + RESERVE_RMS * scale
    return np.where(bounds == 0, 1.0, bounds)


def bet_log_capital(sums: np.ndarray, bound: np.ndarray) -> np.ndarray:
    """Compute the logarithm of the capital that a stake of 1/`bound` on each block makes.

    Args:
        sums: Block sums, float64 [..., n], each above -`bound`.
        bound: The loss of a block that would cost everything, float64 [...].

    Returns:
        float64 [...].
    """
    return np.asarray(np.log1p(sums / bound[..., None]).sum(axis=-1))
