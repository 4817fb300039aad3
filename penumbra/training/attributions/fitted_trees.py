"""Fitted scikit-learn trees as the nodes that attributions are computed from."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from penumbra.core.attributions.leaf_paths import TreeNodes
from penumbra.training.onnx.trees import NODE_DTYPE, convert_boosted_tree, convert_decision_tree

SAME_FIELDS = ("leaf", "value", "target", "threshold", "missing_true", "true", "false")
FIELDS = dict(zip(SAME_FIELDS, SAME_FIELDS, strict=True)) | {"column": "feature"}  # of TreeNodes, by their names here
FIRST_CODE = 2  # the column of code 0 in `TreeNodes.members`

GrownTree = tuple[np.ndarray, np.ndarray]  # NODE_DTYPE [nodes] and the training rows that reached each node [nodes]


def list_boosted_trees(model: Any, columns: np.ndarray, categories: Sequence[np.ndarray]) -> list[GrownTree]:
    """List the trees of histogram gradient boosting.

    Args:
        model: The fitted estimator.
        columns: int [n_features], the input columns in the order in which the trees number them.
        categories: float64 [n_categories] for each categorical column, its sorted codes.

    Returns:
        The trees.
    """
    numbered = [(target, grown) for row in model._predictors for target, grown in enumerate(row)]
    return [
        (convert_boosted_tree(grown, target, columns, categories), grown.nodes["count"]) for target, grown in numbered
    ]


def list_decision_trees(members: Iterable[tuple[Any, int, int]], share: float) -> list[GrownTree]:
    """List decision trees, or the trees of a forest.

    Args:
        members: Fitted estimators with a `tree_`, each with the column of its values to take, and its target.
        share: The factor for their values, such as one over the number of trees.

    Returns:
        The trees.
    """
    return [
        (convert_decision_tree(each.tree_, output, target, share), each.tree_.weighted_n_node_samples)
        for each, output, target in members
    ]


def join_trees(trees: Sequence[GrownTree], n_targets: int) -> tuple[TreeNodes, np.ndarray]:
    """Join trees to an ensemble.

    Args:
        trees: The trees, of any number.
        n_targets: The number of outputs that they add to.

    Returns:
        The nodes of those that have splits, and what the others add to each output, float64 [n_targets].
    """
    constants = np.zeros(n_targets)
    for nodes, cover in trees:
        if len(cover) == 1:  # see `build_constant_tree`
            constants[nodes["target"][0]] += nodes["value"][1]
    grown = [(nodes, cover) for nodes, cover in trees if len(cover) > 1]
    sizes = [len(nodes) for nodes, _ in grown]
    shift = np.repeat(np.cumsum([0, *sizes])[:-1], sizes)
    nodes = np.concatenate([np.zeros(0, NODE_DTYPE), *(nodes for nodes, _ in grown)])
    cover = np.concatenate([np.zeros(0), *(cover for _, cover in grown)])
    nodes["true"] += shift
    nodes["false"] += shift
    members, member_set = _number_members(nodes)
    fields = {field: nodes[name] for field, name in FIELDS.items()}
    return TreeNodes(**fields, cover=cover, members=members, member_set=member_set), constants


def _number_members(nodes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the table of the sets of codes (see `TreeNodes.members`), and which of them each node has."""
    splits = np.flatnonzero(nodes["categorical"] & ~nodes["leaf"])
    sets = [np.asarray(nodes["members"][split], int) for split in splits]
    members = np.zeros((len(sets), FIRST_CODE + 1 + max((max(codes, default=0) for codes in sets), default=0)), bool)
    for row, codes in zip(members, sets, strict=True):
        row[codes + FIRST_CODE] = True
    member_set = np.full(len(nodes), -1)
    member_set[splits] = np.arange(len(splits))
    return members, member_set
