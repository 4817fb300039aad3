"""Fitted scikit-learn trees as the ONNX operator TreeEnsemble (ai.onnx.ml 5), in double precision.

Source:
    https://onnx.ai/onnx/operators/onnx_aionnxml_TreeEnsemble.html
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import numpy_helper

LESS_OR_EQUAL_MODE, MEMBER_MODE, SUM_AGGREGATION = 0, 6, 1
NODE_DTYPE = np.dtype(
    [("leaf", bool), ("value", float), ("target", int), ("feature", int), ("threshold", float), ("categorical", bool)]
    + [("members", object), ("missing_true", bool), ("true", int), ("false", int)]
)
"""A node. A tree is an array of nodes, root first; `true` and `false` are the positions of the children. A row goes to
`true` if its `feature` is at most `threshold` or, where `categorical`, among `members`. A leaf adds `value` to column
`target` of the output."""


def build_constant_tree(value: float, target: int) -> np.ndarray:
    """Build a tree that gives the same value for every row.

    It has two equal leaves: onnxruntime 1.31 reads the weight of a lone leaf at the index of the node, not of the leaf.

    Args:
        value: What it adds.
        target: The output column that it adds to.

    Returns:
        NODE_DTYPE [3].
    """
    tree = np.zeros(3, NODE_DTYPE)
    tree["value"], tree["target"] = value, target
    tree["leaf"], tree["true"], tree["false"] = [False, True, True], 1, 2
    return tree


def convert_boosted_tree(
    predictor: Any, target: int, columns: np.ndarray, categories: Sequence[np.ndarray]
) -> np.ndarray:
    """Convert a tree of histogram gradient boosting. Missing and unseen codes go to `false`.

    Args:
        predictor: scikit-learn's TreePredictor.
        target: The output column that it adds to.
        columns: int [n_features], the input columns in the order in which the trees number them.
        categories: float64 [n_categories] for each categorical column, its sorted codes.

    Returns:
        NODE_DTYPE [nodes].

    Source:
        scikit-learn, ensemble/_hist_gradient_boosting/_predictor.pyx.
    """
    nodes = predictor.nodes
    if len(nodes) == 1:
        return build_constant_tree(nodes["value"][0], target)
    tree = np.zeros(len(nodes), NODE_DTYPE)
    tree["leaf"], tree["value"], tree["target"] = nodes["is_leaf"], nodes["value"], target
    tree["feature"], tree["threshold"] = columns[nodes["feature_idx"]], nodes["num_threshold"]
    missing_left, categorical = nodes["missing_go_to_left"] > 0, nodes["is_categorical"] > 0
    swapped = missing_left & categorical
    tree["categorical"], tree["missing_true"] = categorical, missing_left & ~categorical
    tree["true"] = np.where(swapped, nodes["right"], nodes["left"])
    tree["false"] = np.where(swapped, nodes["left"], nodes["right"])
    for row in np.flatnonzero(categorical & ~tree["leaf"]):
        bits = predictor.raw_left_cat_bitsets[nodes["bitset_idx"][row]]
        tree["members"][row] = _true_branch_codes(categories[nodes["feature_idx"][row]], bits, missing_left[row])
    return tree


def _true_branch_codes(codes: np.ndarray, bits: np.ndarray, missing_left: bool) -> np.ndarray:
    """Select the codes that go to `true`, by the bit set of those that go left and the side of a missing value."""
    rank = np.arange(len(codes))
    in_left = (bits[rank // 32] >> (rank % 32)) & 1
    return codes[in_left != missing_left]


def convert_decision_tree(fitted: Any, output: int, target: int, share: float) -> np.ndarray:
    """Convert a decision tree, or a tree of a forest.

    Args:
        fitted: scikit-learn's Tree.
        output: The column of its values to take.
        target: The output column that it adds to.
        share: The factor for its values, such as one over the number of trees.

    Returns:
        NODE_DTYPE [nodes].
    """
    value = fitted.value[:, 0, output] * share
    if fitted.node_count == 1:
        return build_constant_tree(value[0], target)
    tree = np.zeros(fitted.node_count, NODE_DTYPE)
    tree["leaf"], tree["value"], tree["target"] = fitted.children_left < 0, value, target
    tree["feature"], tree["threshold"] = fitted.feature, fitted.threshold
    tree["true"], tree["false"] = fitted.children_left, fitted.children_right
    tree["missing_true"] = fitted.missing_go_to_left
    return tree


def build_ensemble_attributes(trees: Sequence[np.ndarray], n_targets: int) -> dict[str, Any]:
    """Build the attributes of the TreeEnsemble that sums trees. It numbers splits and leaves separately.

    Args:
        trees: NODE_DTYPE [nodes] for each tree.
        n_targets: Number of output columns.

    Returns:
        The attributes by name; the node's output is float64 [n, n_targets].
    """
    sizes = [len(tree) for tree in trees]
    roots = np.cumsum([0, *sizes[:-1]])
    nodes, shift = np.concatenate(trees), np.repeat(roots, sizes)
    leaf = nodes["leaf"]
    position = np.where(leaf, np.cumsum(leaf), np.cumsum(~leaf)) - 1
    splits, leaves = nodes[~leaf], nodes[leaf]
    true, false = splits["true"] + shift[~leaf], splits["false"] + shift[~leaf]
    members = [np.append(codes, np.nan) for codes in splits["members"][splits["categorical"]]]
    return {
        "n_targets": n_targets,
        "aggregate_function": SUM_AGGREGATION,
        "tree_roots": position[roots].tolist(),
        "nodes_featureids": splits["feature"].tolist(),
        "nodes_modes": _tensor(np.where(splits["categorical"], MEMBER_MODE, LESS_OR_EQUAL_MODE).astype(np.uint8)),
        "nodes_splits": _tensor(splits["threshold"]),
        "nodes_missing_value_tracks_true": splits["missing_true"].astype(int).tolist(),
        "nodes_truenodeids": position[true].tolist(),
        "nodes_trueleafs": leaf[true].astype(int).tolist(),
        "nodes_falsenodeids": position[false].tolist(),
        "nodes_falseleafs": leaf[false].astype(int).tolist(),
        "leaf_targetids": leaves["target"].tolist(),
        "leaf_weights": _tensor(leaves["value"]),
    } | ({"membership_values": _tensor(np.concatenate(members))} if members else {})


def _tensor(values: np.ndarray) -> Any:
    return numpy_helper.from_array(np.ascontiguousarray(values), "values")
