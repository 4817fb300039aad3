"""Priority sampling: a draw with unequal chances, an exact count, and estimates without bias.

Each row's weight says how much it is wanted. With u uniform on (0, 1], a row's priority is weight / u, and the rows
with the highest priorities are picked. As each picked row's chance is known, a total over all rows is estimated by the
sum over the picked ones, each divided by its chance (Horvitz-Thompson), whatever the weights are.

Source:
    Duffield, Lund and Thorup, "Priority sampling for estimation of arbitrary subset sums", Journal of the ACM 54(6),
    2007.
"""

import hashlib
import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
HASH_BYTES = 8


class DrawnRow(NamedTuple):
    """A row that was picked: its name, its reasons, and the chance that it had."""

    name: str
    reasons: tuple[str, ...]
    probability: float


class PriorityDraw:
    """A draw among rows that come piece by piece, the same as `draw_by_priority` with `mix_weights` of all of them.

    Rows with the same reasons have the same weight, so among them the smallest uniform numbers are the highest
    priorities: no more than `count` + 1 rows of each combination of reasons are held, whatever the number of rows.

    Attributes:
        count: How many rows to pick.
        rows: How many of the rows so far have each combination of reasons.
    """

    def __init__(self, count: int, chance_share: float) -> None:
        self.count = count
        self.rows: Counter[tuple[str, ...]] = Counter()
        self._chance_share = chance_share
        self._lowest: dict[tuple[str, ...], list[tuple[float, str]]] = {}

    def add(self, names: Sequence[str], reasons: Sequence[Sequence[str]], uniforms: FloatArray) -> None:
        """Let more rows take part.

        Args:
            names: Their names.
            reasons: The reasons of each, as for `mix_weights`.
            uniforms: As for `draw_by_priority`.
        """
        members: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for at, row in enumerate(reasons):
            members[tuple(row)].append(at)
        for combination, places in members.items():
            self.rows[combination] += len(places)
            new = heapq.nsmallest(self.count + 1, ((uniforms[at], names[at]) for at in places))
            lowest = heapq.merge(self._lowest.get(combination, []), new)
            self._lowest[combination] = list(islice(lowest, self.count + 1))

    def finish(self) -> list[DrawnRow]:
        """Return the rows that are picked, those with a higher priority first."""
        shares = _share_weight(self.rows, self._chance_share)
        held = [(each, *row) for each, lowest in self._lowest.items() for row in lowest]
        weights = np.array([shares[combination] for combination, *_ in held])
        uniforms = np.array([uniform for _, uniform, _ in held])
        picked, chances = draw_by_priority(weights, uniforms, self.count)
        order = sorted(np.flatnonzero(picked), key=lambda at: -weights[at] / uniforms[at])
        return [DrawnRow(held[at][2], held[at][0], float(chances[at])) for at in order]


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
    rows = [tuple(row) for row in reasons]
    shares = _share_weight(Counter(rows), chance_share)
    return np.fromiter((shares[row] for row in rows), float, len(rows))


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


def _share_weight(rows: Mapping[tuple[str, ...], int], chance_share: float) -> dict[tuple[str, ...], float]:
    """The weight of a row with each combination of reasons, from how many rows have it."""
    counts: Counter[str] = Counter()
    for combination, number in rows.items():
        counts.update(dict.fromkeys(combination, number))
    by_need = (1 - chance_share) / max(len(counts), 1)
    by_chance = (chance_share if counts else 1) / max(sum(rows.values()), 1)
    return {each: by_chance + sum(by_need / counts[reason] for reason in each) for each in rows}
