"""Shapley values by their definition, over all coalitions of a tree's inputs: slow, and independent of the fast way."""

from collections.abc import Iterator
from dataclasses import replace
from math import factorial

import numpy as np

from penumbra.core.attributions.leaf_paths import TreeNodes


def enumerate_shapley_values(tree: TreeNodes, sources: np.ndarray, n_inputs: int, row: np.ndarray) -> np.ndarray:
    """Compute the Shapley values of one tree by all coalitions of its inputs.

    Args:
        tree: The nodes of one tree, root first.
        sources: int [columns], the input that each column is made of.
        n_inputs: The number of inputs.
        row: The columns of one row, float64 [columns].

    Returns:
        float64 [n_inputs].

    Source:
        Shapley, "A Value for n-Person Games", 1953.
    """
    players = list_players(tree, sources)
    size = len(players)
    coalitions = np.arange(2**size)[:, None] >> np.arange(size) & 1 == 1  # bool [2^size, size]
    worth = np.zeros(2**size)
    known = {player: coalitions[:, n] for n, player in enumerate(players)}
    for value, weight in _list_reached_leaves(tree, row, known, sources):
        worth += weight * value
    sizes, values = coalitions.sum(axis=1), np.zeros(n_inputs)
    factors = np.array([factorial(n) * factorial(size - n - 1) / factorial(size) for n in range(size)])
    for n, player in enumerate(players):
        without = np.flatnonzero(~coalitions[:, n])
        values[player] = (factors[sizes[without]] * (worth[without | 1 << n] - worth[without])).sum()
    return values


def list_players(tree: TreeNodes, sources: np.ndarray) -> list[int]:
    """List the inputs that a tree splits on.

    Args:
        tree: The nodes.
        sources: int [columns], the input that each column is made of.

    Returns:
        The inputs in order.
    """
    return np.unique(sources[tree.column[~tree.leaf]]).tolist()


def split_trees(nodes: TreeNodes) -> Iterator[TreeNodes]:
    """Split an ensemble into its trees.

    Args:
        nodes: The nodes of all trees, those of each side by side, its root first.

    Yields:
        The nodes of each tree.
    """
    is_child = np.zeros(len(nodes.leaf), bool)
    splits = np.flatnonzero(~nodes.leaf)
    is_child[nodes.true[splits]] = is_child[nodes.false[splits]] = True
    roots = np.flatnonzero(~is_child)
    for first, end in zip(roots, np.append(roots, len(is_child))[1:], strict=True):
        part = {name: each[first:end] for name, each in nodes.to_arrays().items() if name != "members"}
        tree = TreeNodes.from_arrays({**part, "members": nodes.members})
        yield replace(tree, true=tree.true - first, false=tree.false - first)


def _list_reached_leaves(
    tree: TreeNodes, row: np.ndarray, known: dict[int, np.ndarray], sources: np.ndarray
) -> Iterator[tuple[float, np.ndarray]]:
    """Yield the value of each leaf, and how much of it each coalition has, float64 [coalitions].

    `known` tells by input which coalitions know it; of the others both branches count, by the rows of training.
    """
    (size,) = {len(each) for each in known.values()} or {1}
    below = [(0, np.ones(size))]
    while below:
        node, weight = below.pop()
        if tree.leaf[node]:
            yield float(tree.value[node]), weight
            continue
        goes_true, is_known = _goes_true(tree, node, row), known[int(sources[tree.column[node]])]
        for child, is_taken in ((tree.true[node], goes_true), (tree.false[node], not goes_true)):
            share = tree.cover[child] / tree.cover[node]
            below.append((int(child), weight * np.where(is_known, is_taken, share)))


def _goes_true(tree: TreeNodes, node: int, row: np.ndarray) -> bool:
    value = row[tree.column[node]]
    if tree.member_set[node] < 0:
        return bool(tree.missing_true[node]) if np.isnan(value) else bool(value <= tree.threshold[node])
    return bool(value in np.flatnonzero(tree.members[tree.member_set[node]][1:]) - 1)
