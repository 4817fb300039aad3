"""Shapley values of a sum of trees for rows, exact, by numerical integration that has no error but rounding.

For a leaf of value w, let o_j be whether a row meets the conditions on input j, and z_j the share of the training rows
that does. Where only the inputs of a set S are known, the leaf adds w · Π_{j in S} o_j · Π_{j not in S} z_j, the
path-dependent expectation of TreeSHAP. The Shapley value of that game is an integral over its multilinear extension:

    φ_i = w · (o_i - z_i) · ∫₀¹ Π_{j ≠ i} (z_j (1 - t) + o_j t) dt

Of D inputs the integrand has degree D - 1 in t, and Gauss and Legendre's quadrature with D / 2 points, rounded up, is
exact for it. Nothing is recursive, so that rows and leaves are computed side by side.

Source:
    Lundberg, Erion & Lee, "Consistent Individualized Feature Attribution for Tree Ensembles", arXiv:1802.03888, 2018,
    for the game; Owen, "Multilinear Extensions of Games", Management Science 18, 1972, for the integral.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from penumbra.core.attributions.leaf_paths import LeafPaths

CHUNK_VALUES = 2**17  # of a temporary array: 1 MB, which stays in the processor's cache


@dataclass(frozen=True)
class LeafGroup:
    """Leaves with the same even number D of inputs on their paths; where one is lacking, one that changes nothing.

    Attributes:
        conditions: int [D * L or more], positions in the arrays of `LeafPaths`.
        starts: int [D * L], where the conditions of each slot begin, None where each has one.
        player: int [D * L].
        share: float64 [D, L].
        absent: float64 [D, points, L], z (1 - t).
        points: float64 [points, 1], t.
        point_weights: float64 [points, 1].
        weight: float64 [L].
    """

    conditions: np.ndarray
    starts: np.ndarray | None
    player: np.ndarray
    share: np.ndarray
    absent: np.ndarray
    points: np.ndarray
    point_weights: np.ndarray
    weight: np.ndarray


class TreeShapley:
    """The Shapley values of one output of an ensemble."""

    def __init__(self, paths: LeafPaths, n_inputs: int) -> None:
        """Prepare `paths`, whose conditions are on `n_inputs` inputs."""
        self._paths = _append_neutral_slot(paths)
        self._n_inputs = n_inputs
        self._groups = list(_group_leaves(paths))
        leaf = np.repeat(np.arange(len(paths.weight)), paths.n_slots)
        reached = np.ones(len(paths.weight))
        np.multiply.at(reached, leaf, paths.share)
        self.expected = float(reached @ paths.weight)

    def compute(self, columns: np.ndarray) -> np.ndarray:
        """Compute the Shapley value of each input.

        Args:
            columns: float64 [n, columns], NaN for missing.

        Returns:
            float64 [n, inputs]; with `expected` they add up to the sum of the trees.
        """
        values = np.zeros((len(columns), self._n_inputs))
        has_missing = bool(np.isnan(columns).any())
        for group in self._groups:
            rows = max(1, CHUNK_VALUES // group.absent.size)
            for first in range(0, len(columns), rows):
                part = slice(first, first + rows)
                values[part] += self._compute_group(group, columns[part], has_missing)
        return values

    def _compute_group(self, group: LeafGroup, columns: np.ndarray, has_missing: bool) -> np.ndarray:
        met = self._meet_conditions(group, columns, has_missing).reshape(len(columns), *group.share.shape)
        factors = np.where(met[:, :, None], group.absent + group.points, group.absent)
        products = factors.prod(axis=1) * group.point_weights
        integrals = (products[:, None] / factors).sum(axis=2)
        shapley = (integrals * (met - group.share) * group.weight).reshape(len(columns), -1)
        positions = group.player + self._n_inputs * np.arange(len(columns))[:, None]
        size = self._n_inputs * len(columns)
        return np.bincount(positions.ravel(), shapley.ravel(), size).reshape(-1, self._n_inputs)

    def _meet_conditions(self, group: LeafGroup, columns: np.ndarray, has_missing: bool) -> np.ndarray:
        """Tell which slots the rows meet: bool [n, D * L]."""
        paths, which = self._paths, group.conditions
        values = columns[:, paths.column[which]]
        met = (values > paths.low[which]) & (values <= paths.high[which])
        if has_missing:
            met |= np.isnan(values) & paths.missing[which]
        if len(categorical := np.flatnonzero(paths.code_set[which] >= 0)):
            codes = values[:, categorical] + 2  # see `TreeNodes.members`
            codes = np.where((codes > 0) & (codes < paths.codes.shape[1]), codes, 0).astype(int)
            met[:, categorical] = paths.codes[paths.code_set[which][categorical], codes]
        return met if group.starts is None else np.logical_and.reduceat(met, group.starts, axis=1)


def _append_neutral_slot(paths: LeafPaths) -> LeafPaths:
    """Append a condition that every value meets."""
    return LeafPaths(
        paths.weight,
        paths.n_slots,
        paths.player,
        paths.share,
        paths.n_conditions,
        np.append(paths.column, 0),
        np.append(paths.low, -np.inf),
        np.append(paths.high, np.inf),
        np.append(paths.missing, True),
        paths.codes,
        np.append(paths.code_set, -1),
    )


def _group_leaves(paths: LeafPaths) -> Iterator[LeafGroup]:
    sizes, first_slots = paths.n_slots + paths.n_slots % 2, np.cumsum(paths.n_slots) - paths.n_slots
    for size in np.unique(sizes[sizes > 0]):
        leaves = np.flatnonzero(sizes == size)
        numbers = np.arange(size)[:, None]
        slots = np.where(numbers < paths.n_slots[leaves], first_slots[leaves] + numbers, len(paths.share))
        yield _build_group(paths, slots, paths.weight[leaves])


def _build_group(paths: LeafPaths, slots: np.ndarray, weight: np.ndarray) -> LeafGroup:
    """Build the group with these slots [D, L], among which the one behind the last is the neutral one."""
    counts = np.append(paths.n_conditions, 1)
    firsts, flat = np.cumsum(counts) - counts, slots.ravel()
    starts = np.cumsum(counts[flat]) - counts[flat]
    conditions = np.repeat(firsts[flat] - starts, counts[flat]) + np.arange(counts[flat].sum())
    points, point_weights = np.polynomial.legendre.leggauss(len(slots) // 2)
    share = np.append(paths.share, 1.0)[slots]
    t = (points[:, None] + 1) / 2
    return LeafGroup(
        conditions,
        None if len(conditions) == len(flat) else starts,
        np.append(paths.player, 0)[flat],
        share,
        share[:, None] * (1 - t),
        t,
        point_weights[:, None] / 2,
        weight,
    )
