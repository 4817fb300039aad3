"""The leaves of an ensemble, each with what a row must be like to reach it, feature by feature."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

MIN_COVER = 1e-30  # of a node, so that a branch without any weight in training divides by no zero


@dataclass(frozen=True)
class TreeNodes:
    """The nodes of all trees of an ensemble; a node that is no child is a root.

    Attributes:
        leaf: bool [nodes].
        value: float64 [nodes], what a leaf adds to the score.
        target: int [nodes], the output that a leaf adds to.
        column: int [nodes], the column that a split reads.
        threshold: float64 [nodes]; up to it rows go to `true`.
        missing_true: bool [nodes], whether NaN goes there.
        true: int [nodes], position of the one child.
        false: int [nodes], position of the other child.
        cover: float64 [nodes], the training rows that reached the node.
        members: bool [sets, codes + 2], the codes from -1 on that go to `true`, after a column for all other values.
        member_set: int [nodes], the row of `members` that a categorical split has, -1 for other nodes.
    """

    leaf: np.ndarray
    value: np.ndarray
    target: np.ndarray
    column: np.ndarray
    threshold: np.ndarray
    missing_true: np.ndarray
    true: np.ndarray
    false: np.ndarray
    cover: np.ndarray
    members: np.ndarray
    member_set: np.ndarray

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays by name, with the dtypes of the attributes, as `from_arrays` takes them."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> "TreeNodes":
        """Build the nodes.

        Args:
            arrays: The arrays by name, and others.

        Returns:
            The nodes.
        """
        return cls(**{field.name: arrays[field.name] for field in fields(cls)})


@dataclass(frozen=True)
class LeafPaths:
    """Leaves with the conditions on their paths. A slot is a leaf and an input that its path has conditions on.

    Attributes:
        weight: float64 [leaves], what each leaf adds.
        n_slots: int [leaves], the number of inputs on its path; slots and conditions stand in the leaves' order.
        player: int [slots], the input.
        share: float64 [slots], the product of the shares of training rows that the splits on this input let pass.
        n_conditions: int [slots], the columns of the input on the path.
        column: int [conditions].
        low: float64 [conditions]; values above it, and at most `high`, meet the condition; NaN where any is above it.
        high: float64 [conditions].
        missing: bool [conditions], whether NaN meets it.
        codes: bool [sets, codes + 2], the codes that meet a condition (see `TreeNodes.members`).
        code_set: int [conditions], the row of `codes` that counts, -1 where `low` and `high` do.
    """

    weight: np.ndarray
    n_slots: np.ndarray
    player: np.ndarray
    share: np.ndarray
    n_conditions: np.ndarray
    column: np.ndarray
    low: np.ndarray
    high: np.ndarray
    missing: np.ndarray
    codes: np.ndarray
    code_set: np.ndarray


def list_leaf_paths(nodes: TreeNodes, sources: np.ndarray, target: int) -> LeafPaths:
    """List the leaves that add to one output.

    Args:
        nodes: The trees.
        sources: int [columns], the input that each column is made of.
        target: The output.

    Returns:
        The leaves with their paths. Several conditions on a column are joined to one.
    """
    leaves = np.flatnonzero(nodes.leaf & (nodes.target == target))
    leaf, split, side, ratio = _climb(nodes, leaves)
    column = nodes.column[split]
    order = np.lexsort((column, sources[column], leaf))
    leaf, split, side, ratio, column = (each[order] for each in (leaf, split, side, ratio, column))
    player = sources[column]
    slots = _find_starts(leaf, player)
    conditions = _find_starts(leaf, player, column)
    threshold, sets = nodes.threshold[split], nodes.member_set[split]
    codes, code_set = _join_code_sets(nodes.members, sets, side, conditions)
    return LeafPaths(
        weight=nodes.value[leaves],
        n_slots=np.bincount(leaf[slots], minlength=len(leaves)),
        player=player[slots],
        share=_reduce(np.multiply, ratio, slots),
        n_conditions=np.diff(np.append(np.searchsorted(conditions, slots), len(conditions))),
        column=column[conditions],
        low=_reduce(np.fmax, np.where(side, np.nan, threshold), conditions),
        high=_reduce(np.minimum, np.where(side, threshold, np.inf), conditions),
        missing=_reduce(np.logical_and, nodes.missing_true[split] == side, conditions),
        codes=codes,
        code_set=code_set,
    )


def _climb(nodes: TreeNodes, leaves: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Climb from all leaves to their roots; return each edge: the leaf's number, the split, its side, its share."""
    parent, splits = np.full(len(nodes.leaf), -1), np.flatnonzero(~nodes.leaf)
    parent[nodes.true[splits]] = parent[nodes.false[splits]] = splits
    cover = np.maximum(nodes.cover, MIN_COVER)
    number, current = np.arange(len(leaves)), leaves
    edges = [(number[:0], current[:0], np.zeros(0, bool), np.zeros(0))]
    while (inner := parent[current] >= 0).any():
        number, current = number[inner], current[inner]
        above = parent[current]
        edges.append((number, above, nodes.true[above] == current, cover[current] / cover[above]))
        current = above
    leaf, split, side, ratio = (np.concatenate(each) for each in zip(*edges, strict=True))
    return leaf, split, side, ratio


def _join_code_sets(
    members: np.ndarray, sets: np.ndarray, side: np.ndarray, conditions: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Join the sets of codes of each condition; return the distinct results, and the one of each condition, or -1."""
    code_set, categorical = np.full(len(conditions), -1), sets[conditions] >= 0
    if not categorical.any():
        return members[:0], code_set
    passing = members[sets] == side[:, None]
    joined = np.logical_and.reduceat(passing, conditions, axis=0)[categorical]
    codes, code_set[categorical] = np.unique(joined, axis=0, return_inverse=True)
    return codes, code_set


def _find_starts(*keys: np.ndarray) -> np.ndarray:
    """Return the positions where any of these sorted keys changes, 0 among them."""
    changes = np.logical_or.reduce([np.diff(key, prepend=-1) != 0 for key in keys])
    return np.flatnonzero(changes)


def _reduce(operation: np.ufunc, values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    return operation.reduceat(values, starts) if len(starts) else values[:0]
