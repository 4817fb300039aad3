"""Fitted scikit-learn trees as the ONNX operator TreeEnsemble (ai.onnx.ml 5), in double precision.

Operator: https://onnx.ai/onnx/operators/onnx_aionnxml_TreeEnsemble.html
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto, numpy_helper
from sklearn import dummy, ensemble
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

if TYPE_CHECKING:
    from penumbra.training.onnx.compile import Graph

LESS_OR_EQUAL_MODE, MEMBER_MODE, SUM_AGGREGATION = 0, 6, 1
NODE_DTYPE = np.dtype(
    [("leaf", bool), ("value", float), ("target", int), ("feature", int), ("threshold", float), ("categorical", bool)]
    + [("members", object), ("missing_true", bool), ("true", int), ("false", int)]
)
"""A tree is an array of these, the root first; `true` and `false` are the positions of the children. A row goes to
`true` if its `feature` is at most `threshold` or, where `categorical`, among `members`."""


def build_constant_tree(value: float, target: int) -> np.ndarray:
    """Tree that adds `value` to `target` for every row.

    It has two equal leaves: onnxruntime 1.31 reads the weight of a lone leaf at the index of the node, not of the leaf.
    """
    tree = np.zeros(3, NODE_DTYPE)
    tree["value"], tree["target"] = value, target
    tree["leaf"], tree["true"], tree["false"] = [False, True, True], 1, 2
    return tree


def convert_boosted_tree(
    predictor: Any, target: int, columns: np.ndarray, categories: Sequence[np.ndarray]
) -> np.ndarray:
    """Tree of a histogram gradient boosting: `columns` [n_features] are the inputs in the order the trees number them,
    `categories` the sorted codes of each categorical one. Missing and unseen codes go to `false`.

    Source of the rules: scikit-learn, ensemble/_hist_gradient_boosting/_predictor.pyx.
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
    rank = np.arange(len(codes))
    in_left = (bits[rank // 32] >> (rank % 32)) & 1
    return codes[in_left != missing_left]


def convert_decision_tree(fitted: Any, output: int, target: int, share: float) -> np.ndarray:
    """Tree of a decision tree or forest, adding `share` of column `output` of its values to `target`."""
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
    """Attributes of the TreeEnsemble [n, n_targets] that sums `trees`; splits and leaves are numbered apart."""
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


def read_category_codes(graph: "Graph", estimator: Any, categories: Iterable[np.ndarray]) -> list[np.ndarray]:
    """The categories an encoder learned, as float64; raises CannotCompile if they are not numbers."""
    if any(values.dtype.kind not in "iufb" for values in categories):
        graph.refuse(estimator, "it was fitted on categories that are not integer codes")
    return [values.astype(float) for values in categories]


def add_probabilities(graph: "Graph", scores: str, width: int) -> str:
    """Probabilities [n, n_classes] of `scores` [n, width], where width 1 stands for two classes.

    onnxruntime takes exponentials in pairs, and one that is left over comes out otherwise in the last bit. Here each
    row has an even number of them, so that what it gets doesn't depend on how many rows are scored with it."""
    if width == 1:
        return graph.add("Sigmoid", graph.add("Mul", scores, np.array([[-1.0, 1.0]])))
    below_top = graph.add("Sub", scores, graph.add("ReduceMax", scores, np.array([1])))
    if width % 2:
        below_top = graph.add("Pad", below_top, np.array([0, 0, 0, 1]), np.array(-np.inf))
    powers = graph.add("Exp", below_top)
    shares = graph.add("Div", powers, graph.add("ReduceSum", powers, np.array([1])))
    return graph.add("Slice", shares, np.array([0]), np.array([width]), np.array([1])) if width % 2 else shares


def _add_both_classes(graph: "Graph", positive: str) -> str:
    return graph.add("Gemm", positive, np.array([[-1.0, 1.0]]), np.array([1.0, 0.0]))


def _add_tree_sum(graph: "Graph", inputs: str, trees: Sequence[np.ndarray], n_targets: int) -> str:
    return graph.add("TreeEnsemble", inputs, **build_ensemble_attributes(trees, n_targets))


def _add_squeeze(graph: "Graph", scores: str) -> str:
    return graph.add("Squeeze", scores, np.array([1]))


def _dummy_classifier(graph: "Graph", model: Any, inputs: str) -> str:
    if model.strategy == "stratified":
        graph.refuse(model, "its probabilities are random")
    (constants,) = model.predict_proba(np.zeros((1, 1)))
    return _add_tree_sum(
        graph, inputs, [build_constant_tree(value, k) for k, value in enumerate(constants)], len(constants)
    )


def _dummy_regressor(graph: "Graph", model: Any, inputs: str) -> str:
    (constant,) = model.predict(np.zeros((1, 1)))
    return _add_squeeze(graph, _add_tree_sum(graph, inputs, [build_constant_tree(constant, 0)], 1))


def _add_boosted_scores(graph: "Graph", model: Any, inputs: str) -> str:
    columns, categories = np.arange(model.n_features_in_), []
    if model.is_categorical_ is not None:
        columns = np.argsort(~model.is_categorical_, kind="stable")
        encoder = model._preprocessor.named_transformers_["encoder"]
        categories = [codes[~np.isnan(codes)] for codes in read_category_codes(graph, model, encoder.categories_)]
    start = [build_constant_tree(value, k) for k, value in enumerate(model._baseline_prediction.ravel())]
    rounds = [
        convert_boosted_tree(grown, k, columns, categories) for row in model._predictors for k, grown in enumerate(row)
    ]
    return _add_tree_sum(graph, inputs, start + rounds, model.n_trees_per_iteration_)


def _boosted_classifier(graph: "Graph", model: Any, inputs: str) -> str:
    return add_probabilities(graph, _add_boosted_scores(graph, model, inputs), model.n_trees_per_iteration_)


def _boosted_regressor(graph: "Graph", model: Any, inputs: str) -> str:
    scores = _add_boosted_scores(graph, model, inputs)
    if model.loss in ("poisson", "gamma"):
        twice = graph.add("Exp", graph.add("Mul", scores, np.array([[1.0, 1.0]])))  # in pairs, see `probabilities`
        scores = graph.add("Gather", twice, np.array([0]), axis=1)
    return _add_squeeze(graph, scores)


def _add_forest(graph: "Graph", model: Any, inputs: str, outputs: Sequence[int]) -> str:
    members = getattr(model, "estimators_", [model])
    trees = [convert_decision_tree(m.tree_, k, i, 1 / len(members)) for m in members for i, k in enumerate(outputs)]
    # scikit-learn compares in single precision
    rounded = graph.add("Cast", graph.add("Cast", inputs, to=TensorProto.FLOAT), to=TensorProto.DOUBLE)
    return _add_tree_sum(graph, rounded, trees, len(outputs))


def _forest_classifier(graph: "Graph", model: Any, inputs: str) -> str:
    if model.n_classes_ == 2:
        return _add_both_classes(graph, _add_forest(graph, model, inputs, [1]))
    return _add_forest(graph, model, inputs, range(model.n_classes_))


def _forest_regressor(graph: "Graph", model: Any, inputs: str) -> str:
    return _add_squeeze(graph, _add_forest(graph, model, inputs, [0]))


FOREST_CLASSIFIERS = (ensemble.RandomForestClassifier, ensemble.ExtraTreesClassifier, DecisionTreeClassifier)
FOREST_REGRESSORS = (ensemble.RandomForestRegressor, ensemble.ExtraTreesRegressor, DecisionTreeRegressor)
TREE_CONVERTERS = {
    dummy.DummyClassifier: _dummy_classifier,
    dummy.DummyRegressor: _dummy_regressor,
    ensemble.HistGradientBoostingClassifier: _boosted_classifier,
    ensemble.HistGradientBoostingRegressor: _boosted_regressor,
    **dict.fromkeys(FOREST_CLASSIFIERS, _forest_classifier),
    **dict.fromkeys(FOREST_REGRESSORS, _forest_regressor),
}
