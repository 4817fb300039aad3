"""Converters of linear and logistic regression."""

from typing import Any

import numpy as np
from sklearn import linear_model

from penumbra.training.onnx.graph import Converter, Graph, add_probabilities


def _convert_linear(graph: Graph, model: Any, inputs: str) -> str:
    if np.ndim(model.coef_) != 1:
        graph.refuse(model, "it has several outputs")
    return graph.add("Squeeze", _add_linear_scores(graph, model, inputs), np.array([1]))


def _convert_logistic(graph: Graph, model: Any, inputs: str) -> str:
    return add_probabilities(graph, _add_linear_scores(graph, model, inputs), len(model.coef_))


def _add_linear_scores(graph: Graph, model: Any, inputs: str) -> str:
    weights, bias = np.atleast_2d(model.coef_).astype(float), np.atleast_1d(model.intercept_).astype(float)
    return graph.add("Gemm", inputs, weights.T, bias)


LINEAR_REGRESSORS = (linear_model.LinearRegression, linear_model.Ridge, linear_model.Lasso, linear_model.ElasticNet)
LINEAR_CONVERTERS: dict[type, Converter] = {
    linear_model.LogisticRegression: _convert_logistic,
    **dict.fromkeys(LINEAR_REGRESSORS, _convert_linear),
}
