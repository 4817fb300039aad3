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

from dataclasses import dataclass, replace

import numpy as np

from penumbra.core.attributions.leaf_paths import LeafPaths

CHUNK_VALUES = 2**17  # of a temporary array: 1 MB, which stays in the processor's cache
MAX_TABLE_VALUES = 2**22  # of all tables of a model: 32 MB


@dataclass(frozen=True)
class LeafGroup:
    """L leaves with the same number D of inputs on their paths.

    Attributes:
        slots: The place of its slots among those of all groups, an input of each leaf after the other.
        share: float64 [D, L], see `LeafPaths`.
        weight: float64 [L].
        table: float64 [L * 2^D, D], the values of each leaf's inputs by which of them meet their conditions, the first
            one the lowest bit; None where there is no room for it.
    """

    slots: slice
    share: np.ndarray
    weight: np.ndarray
    table: np.ndarray | None

    @property
    def work_values(self) -> int:
        """The number of values that a temporary array has for each row."""
        size = self.share.size
        return size if self.table is not None else size * ((len(self.share) + 1) // 2)


class TreeShapley:
    """The Shapley values of one output of an ensemble."""

    def __init__(self, paths: LeafPaths, n_inputs: int, max_table_values: int = MAX_TABLE_VALUES) -> None:
        """Prepare `paths`, whose conditions are on `n_inputs` inputs, with tables of so many values altogether."""
        self._n_inputs = n_inputs
        self._groups, slots = _group_leaves(paths, max_table_values)
        self._conditions = Conditions.select(paths, slots)
        orders = [np.arange(group.slots.start, group.slots.stop).reshape(group.share.shape) for group in self._groups]
        order = [
            each.ravel() if group.table is None else each.T.ravel()
            for each, group in zip(orders, self._groups, strict=True)
        ]
        self._player = paths.player[slots[np.concatenate([slots[:0], *order])]]
        self._rows = CHUNK_VALUES // max([1, len(slots), *(group.work_values for group in self._groups)]) or 1
        reached = np.ones(len(paths.weight))
        np.multiply.at(reached, np.repeat(np.arange(len(paths.weight)), paths.n_slots), paths.share)
        self.expected = float(reached @ paths.weight)

    def compute(self, columns: np.ndarray) -> np.ndarray:
        """Compute the Shapley value of each input.

        Args:
            columns: float64 [n, columns], NaN for missing.

        Returns:
            float64 [n, inputs]; with `expected` they add up to the sum of the trees.
        """
        parts = [
            self._compute_part(columns[first : first + self._rows]) for first in range(0, len(columns), self._rows)
        ]
        return np.concatenate([np.zeros((0, self._n_inputs)), *parts])

    def _compute_part(self, columns: np.ndarray) -> np.ndarray:
        met, n = self._conditions.meet(columns), len(columns)
        values = [np.zeros((n, 0))]
        for group in self._groups:
            of_group = met[:, group.slots].reshape(n, *group.share.shape)
            found = _integrate(group, of_group) if group.table is None else _look_up(group.table, of_group)
            values.append(found.reshape(n, -1))
        positions = self._player + self._n_inputs * np.arange(n)[:, None]
        sums = np.bincount(positions.ravel(), np.concatenate(values, axis=1).ravel(), n * self._n_inputs)
        return sums.reshape(n, self._n_inputs)


@dataclass(frozen=True)
class Conditions:
    """The conditions of slots, several of a slot one after another: see `LeafPaths`.

    Attributes:
        column: int [conditions].
        low: float64 [conditions].
        high: float64 [conditions].
        missing: bool [conditions].
        codes: bool [sets, codes + 2].
        categorical: int [categorical ones], those that sets decide.
        code_set: int [categorical ones].
        starts: int [slots], where the conditions of each slot begin; None where each has one.
    """

    column: np.ndarray
    low: np.ndarray
    high: np.ndarray
    missing: np.ndarray
    codes: np.ndarray
    categorical: np.ndarray
    code_set: np.ndarray
    starts: np.ndarray | None

    @classmethod
    def select(cls, paths: LeafPaths, slots: np.ndarray) -> "Conditions":
        """Select the conditions of slots.

        Args:
            paths: The paths.
            slots: int [slots], their positions in `paths`.

        Returns:
            Their conditions, in this order.
        """
        counts = paths.n_conditions[slots]
        firsts, starts = (np.cumsum(paths.n_conditions) - paths.n_conditions)[slots], np.cumsum(counts) - counts
        which = np.repeat(firsts - starts, counts) + np.arange(counts.sum())
        categorical = np.flatnonzero(paths.code_set[which] >= 0)
        return cls(
            paths.column[which],
            paths.low[which],
            paths.high[which],
            paths.missing[which],
            paths.codes,
            categorical,
            paths.code_set[which][categorical],
            None if len(which) == len(slots) else starts,
        )

    def meet(self, columns: np.ndarray) -> np.ndarray:
        """Tell which slots rows meet.

        Args:
            columns: float64 [n, columns], NaN for missing.

        Returns:
            bool [n, slots].
        """
        values = columns.take(self.column, axis=1)
        met = (values <= self.high) & ~(values <= self.low)
        if (is_missing := np.isnan(columns)).any():
            met |= is_missing.take(self.column, axis=1) & self.missing
        if len(self.categorical):
            width = self.codes.shape[1]
            codes = np.where((columns > -2) & (columns < width - 2), columns + 2, 0).astype(
                np.intp
            )  # as in `TreeNodes`
            positions = codes.take(self.column[self.categorical], axis=1) + self.code_set * width
            met[:, self.categorical] = self.codes.take(positions)
        return met if self.starts is None else np.logical_and.reduceat(met, self.starts, axis=1)


def _group_leaves(paths: LeafPaths, max_table_values: int) -> tuple[list[LeafGroup], np.ndarray]:
    """Group the leaves by the number of their slots; return them, and the positions of all slots in their order.

    Short paths have tables first, which are the smallest of a leaf.
    """
    first_slots = np.cumsum(paths.n_slots) - paths.n_slots
    groups, slots, begin = [], [np.zeros(0, int)], 0
    for size in np.unique(paths.n_slots[paths.n_slots > 0]).tolist():
        leaves = np.flatnonzero(paths.n_slots == size)
        of_group = first_slots[leaves] + np.arange(size)[:, None]
        place = slice(begin, begin := begin + of_group.size)
        group = LeafGroup(place, paths.share[of_group], paths.weight[leaves], None)
        if (table_values := of_group.size * 2**size) <= max_table_values:
            max_table_values -= table_values
            group = replace(group, table=_tabulate(group))
        groups.append(group)
        slots.append(of_group.ravel())
    return groups, np.concatenate(slots)


def _tabulate(group: LeafGroup) -> np.ndarray:
    """Compute the table of a group."""
    size, leaves = group.share.shape
    patterns = np.arange(2**size)[:, None] >> np.arange(size) & 1 == 1
    rows = max(1, CHUNK_VALUES // group.work_values)
    parts = [
        _integrate(
            group,
            np.broadcast_to(
                patterns[first : first + rows, :, None], (len(patterns[first : first + rows]), size, leaves)
            ),
        )
        for first in range(0, len(patterns), rows)
    ]
    return np.ascontiguousarray(np.concatenate(parts).transpose(2, 0, 1)).reshape(-1, size)


def _look_up(table: np.ndarray, met: np.ndarray) -> np.ndarray:
    """Look up the values of rows that meet `met`, bool [n, D, L]: float64 [n, L, D]."""
    _, size, leaves = met.shape
    packed = np.packbits(met, axis=1, bitorder="little").astype(np.intp)
    positions = (np.arange(leaves) << size) + packed[:, 0]
    for byte in range(1, packed.shape[1]):
        positions += packed[:, byte] << 8 * byte
    return table.take(positions, axis=0)


def _integrate(group: LeafGroup, met: np.ndarray) -> np.ndarray:
    """Compute the values of rows that meet `met`, bool [n, D, L]: float64 [n, D, L]."""
    points, weights = np.polynomial.legendre.leggauss((len(group.share) + 1) // 2)
    t = (points[:, None] + 1) / 2
    absent = group.share[:, None] * (1 - t)  # [D, points, L]
    factors = np.where(met[:, :, None], absent + t, absent)
    products = factors.prod(axis=1) * weights[:, None] / 2
    integrals = (products[:, None] / factors).sum(axis=2)
    return np.asarray(integrals * (met - group.share) * group.weight)
