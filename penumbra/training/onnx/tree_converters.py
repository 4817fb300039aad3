"""Converters of histogram gradient boosting, trees, forests and dummy estimators: each becomes one sum of trees."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn import dummy, ensemble
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from penumbra.training.onnx.graph import Converter, Graph, add_probabilities, add_single_precision, read_category_codes
from penumbra.training.onnx.trees import (
    build_constant_tree,
    build_ensemble_attributes,
    convert_boosted_tree,
    convert_decision_tree,
)


def _add_both_classes(graph: Graph, positive: str) -> str:
    return graph.add("Gemm", positive, np.array([[-1.0, 1.0]]), np.array([1.0, 0.0]))


def _add_tree_sum(graph: Graph, inputs: str, trees: Sequence[np.ndarray], n_targets: int) -> str:
    return graph.add("TreeEnsemble", inputs, **build_ensemble_attributes(trees, n_targets))


def _add_squeeze(graph: Graph, scores: str) -> str:
    return graph.add("Squeeze", scores, np.array([1]))


def _convert_dummy_classifier(graph: Graph, model: Any, inputs: str) -> str:
    if model.strategy == "stratified":
        graph.refuse(model, "its probabilities are random")
    (constants,) = model.predict_proba(np.zeros((1, 1)))
    return _add_tree_sum(
        graph, inputs, [build_constant_tree(value, k) for k, value in enumerate(constants)], len(constants)
    )


def _convert_dummy_regressor(graph: Graph, model: Any, inputs: str) -> str:
    (constant,) = model.predict(np.zeros((1, 1)))
    return _add_squeeze(graph, _add_tree_sum(graph, inputs, [build_constant_tree(constant, 0)], 1))


def read_boosted_columns(model: Any) -> tuple[np.ndarray, list[np.ndarray]]:
    """Read how the trees of histogram gradient boosting number columns and categories.

    Args:
        model: Fitted estimator.

    Returns:
        The input columns in the order of the trees' numbers, int [n_features]; and the sorted categories of each
        categorical one, in the dtype that it was fitted on.
    """
    if model.is_categorical_ is None:
        return np.arange(model.n_features_in_), []
    encoder = model._preprocessor.named_transformers_["encoder"]
    return np.argsort(~model.is_categorical_, kind="stable"), encoder.categories_


def _add_boosted_scores(graph: Graph, model: Any, inputs: str) -> str:
    columns, known = read_boosted_columns(model)
    categories = [codes[~np.isnan(codes)] for codes in read_category_codes(graph, model, known)]
    start = [build_constant_tree(value, k) for k, value in enumerate(model._baseline_prediction.ravel())]
    rounds = [
        convert_boosted_tree(grown, k, columns, categories) for row in model._predictors for k, grown in enumerate(row)
    ]
    return _add_tree_sum(graph, inputs, start + rounds, model.n_trees_per_iteration_)


def _convert_boosted_classifier(graph: Graph, model: Any, inputs: str) -> str:
    return add_probabilities(graph, _add_boosted_scores(graph, model, inputs), model.n_trees_per_iteration_)


def _convert_boosted_regressor(graph: Graph, model: Any, inputs: str) -> str:
    scores = _add_boosted_scores(graph, model, inputs)
    if model.loss in ("poisson", "gamma"):
        twice = graph.add("Exp", graph.add("Mul", scores, np.array([[1.0, 1.0]])))  # in pairs, see `add_probabilities`
        scores = graph.add("Gather", twice, np.array([0]), axis=1)
    return _add_squeeze(graph, scores)


def _add_forest(graph: Graph, model: Any, inputs: str, outputs: Sequence[int]) -> str:
    members = getattr(model, "estimators_", [model])
    trees = [convert_decision_tree(m.tree_, k, i, 1 / len(members)) for m in members for i, k in enumerate(outputs)]
    return _add_tree_sum(graph, add_single_precision(graph, inputs), trees, len(outputs))


def _convert_forest_classifier(graph: Graph, model: Any, inputs: str) -> str:
    if model.n_classes_ == 2:
        return _add_both_classes(graph, _add_forest(graph, model, inputs, [1]))
    return _add_forest(graph, model, inputs, range(model.n_classes_))


def _convert_forest_regressor(graph: Graph, model: Any, inputs: str) -> str:
    return _add_squeeze(graph, _add_forest(graph, model, inputs, [0]))


FOREST_CLASSIFIERS = (ensemble.RandomForestClassifier, ensemble.ExtraTreesClassifier, DecisionTreeClassifier)
FOREST_REGRESSORS = (ensemble.RandomForestRegressor, ensemble.ExtraTreesRegressor, DecisionTreeRegressor)
TREE_CONVERTERS: dict[type, Converter] = {
    dummy.DummyClassifier: _convert_dummy_classifier,
    dummy.DummyRegressor: _convert_dummy_regressor,
    ensemble.HistGradientBoostingClassifier: _convert_boosted_classifier,
    ensemble.HistGradientBoostingRegressor: _convert_boosted_regressor,
    **dict.fromkeys(FOREST_CLASSIFIERS, _convert_forest_classifier),
    **dict.fromkeys(FOREST_REGRESSORS, _convert_forest_regressor),
}
