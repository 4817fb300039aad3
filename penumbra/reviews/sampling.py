"""Priority sampling: a draw with unequal chances, an exact count, and estimates without bias.

Each row's weight says how much it is wanted. With u uniform on (0, 1], a row's priority is weight / u, and the rows
with the highest priorities are picked. As each picked row's chance is known, a total over all rows is estimated by the
sum over the picked ones, each divided by its chance (Horvitz-Thompson), whatever the weights are.

Source:
    Duffield, Lund and Thorup, "Priority sampling for estimation of arbitrary subset sums", Journal of the ACM 54(6),
    2007.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
HASH_BYTES = 8


def mix_weights(reasons: Sequence[Sequence[str]], chance_share: float) -> FloatArray:
    """Compute how much each row is wanted, from its reasons.

    A part of the whole weight is spread evenly over all rows. The rest is divided evenly among the reasons that occur,
    and each reason's part evenly among the rows that have it. Where no row has a reason, all weights are equal.

    Args:
        reasons: The reasons of each row, each at most once; empty where there is none.
        chance_share: The part that is spread over all rows, from 0 to 1. With 0 a row without a reason has weight 0.

    Returns:
        The weights, float64 (rows,), whose sum is 1.
    """
    counts = Counter(reason for row in reasons for reason in row)
    if not counts:
        return np.full(len(reasons), 1 / max(len(reasons), 1))
    shares = {reason: (1 - chance_share) / len(counts) / rows for reason, rows in counts.items()}
    needs = np.fromiter((sum(shares[reason] for reason in row) for row in reasons), float, len(reasons))
    return needs + chance_share / len(reasons)


def draw_by_priority(weights: FloatArray, uniforms: FloatArray, count: int) -> tuple[NDArray[np.bool_], FloatArray]:
    """Pick the rows with the highest priorities; of equal ones the first.

    Args:
        weights: How much each row is wanted, at least 0, float64 (rows,). A row of weight 0 is never picked.
        uniforms: A number for each row that is uniform on (0, 1], float64 (rows,).
        count: How many rows to pick. Where no more have a weight above 0, all of those are picked with chance 1.

    Returns:
        Whether each row is picked, bool (rows,), and its chance, float64 (rows,): that of a picked row makes
        Horvitz-Thompson estimates unbiased. All chances are 0 where `count` is 0.
    """
    order = np.argsort(-weights / uniforms, kind="stable")
    picked = np.zeros(len(weights), bool)
    picked[order[:count]] = True
    picked &= weights > 0
    if count == 0:
        return picked, np.zeros(len(weights))
    limit = weights[order[count]] / uniforms[order[count]] if count < len(weights) else 0.0
    if limit == 0:
        return picked, (weights > 0).astype(float)
    return picked, np.minimum(1, weights / limit)


def hash_uniforms(names: Iterable[str], key: str) -> FloatArray:
    """Compute a number for each name that is as if drawn at random, and the same whenever it is computed.

    Args:
        names: Such as the ids of predictions.
        key: Another key gives numbers that are independent of those of this one; at most 64 bytes as UTF-8.

    Returns:
        Uniform numbers on (0, 1], float64 (names,).
    """
    secret = key.encode()
    hashes = b"".join(hashlib.blake2b(name.encode(), digest_size=HASH_BYTES, key=secret).digest() for name in names)
    return (np.frombuffer(hashes, ">u8") >> 11).astype(np.float64) / 2.0**53 + 2.0**-53
