"""Turns a fitted scikit-learn estimator into an ONNX model that gives the same numbers, in double precision.

To compile one more type, write a function (graph, estimator, name of its inputs) -> name of its outputs and put it
in CONVERTERS. A transformer makes [n, k], a classifier [n, n_classes] probabilities, a regressor [n]; a
meta-estimator calls `graph.convert` on the estimators within.
"""

import os
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read once, by the import

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from sklearn import linear_model
from sklearn.base import is_classifier, is_regressor
from sklearn.utils.validation import check_is_fitted

from penumbra.training.onnx.composites import PATTERN_CONVERTERS
from penumbra.training.onnx.pipelines import PIPELINE_CONVERTERS
from penumbra.training.onnx.trees import TREE_CONVERTERS, add_probabilities

IR_VERSION, OPSET, ML_OPSET = 10, 21, 5


class CannotCompile(TypeError):
    """The estimator, or how it is set, has no exact ONNX counterpart here."""

    def __init__(self, estimator: Any, reason: str) -> None:
        known = ", ".join(sorted(kind.__name__ for kind in CONVERTERS))
        super().__init__(f"cannot compile {type(estimator).__name__}: {reason}; what can be compiled: {known}")


class Graph:
    """ONNX nodes under construction; tensors go by name, numpy arrays become constants. `prefix` keeps the names within
    a branch apart from those around it."""

    def __init__(self, prefix: str = "") -> None:
        self.prefix = prefix
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, operator: str, *inputs: str | np.ndarray, output: str = "", **attributes: Any) -> str:
        """Adds one node and returns the name of its output."""
        names = [value if isinstance(value, str) else self._constant(value) for value in inputs]
        output = output or f"{self.prefix}{operator}_{len(self.nodes)}"
        domain = "ai.onnx.ml" if operator == "TreeEnsemble" else ""
        self.nodes.append(helper.make_node(operator, names, [output], domain=domain, **attributes))
        return output

    def convert(self, estimator: Any, inputs: str) -> str:
        """Adds a fitted estimator and returns the name of its output; raises CannotCompile."""
        if type(estimator) not in CONVERTERS:
            self.refuse(estimator, "its type is unknown")
        if getattr(estimator, "n_outputs_", 1) != 1:
            self.refuse(estimator, "it has several outputs")
        return CONVERTERS[type(estimator)](self, estimator, inputs)

    def add_branch(self, condition: str, then: "Branch", otherwise: "Branch") -> str:
        """Adds what `then` and `otherwise` make of graphs within this one: `condition` says which of them is run."""
        bodies = [self._body(name, make) for name, make in (("then", then), ("else", otherwise))]
        return self.add("If", condition, then_branch=bodies[0], else_branch=bodies[1])

    def _body(self, name: str, make: "Branch") -> onnx.GraphProto:
        inner = Graph(f"{self.prefix}{name}_{len(self.nodes)}_")
        output = helper.make_tensor_value_info(inner.add("Identity", make(inner)), TensorProto.DOUBLE, None)
        return helper.make_graph(inner.nodes, name, [], [output], inner.constants)

    def refuse(self, estimator: Any, reason: str) -> NoReturn:
        """Raises CannotCompile."""
        raise CannotCompile(estimator, reason)

    def _constant(self, values: np.ndarray) -> str:
        name = f"{self.prefix}constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, order="C"), name))
        return name


def compile_model(estimator: Any, n_inputs: int) -> bytes:
    """ONNX bytes of a fitted classifier or regressor; the same estimator always gives the same bytes.

    Input "inputs": float64 [n, n_inputs], numbers with NaN = missing, categories as integer codes with -1 = missing
    or unseen. Output "output": float64, [n, n_classes] probabilities in the order of `classes_`, or [n] predictions.
    Where scikit-learn refuses a row (NaN into a bare linear model) the compiled model answers, with NaN.

    Raises NotFittedError, CannotCompile, or ValueError if the estimator was fitted on another number of columns.
    """
    check_is_fitted(estimator)
    if not (is_classifier(estimator) or is_regressor(estimator)):
        raise CannotCompile(estimator, "it is neither classifier nor regressor")
    fitted_on = getattr(estimator, "n_features_in_", n_inputs)
    if fitted_on != n_inputs:
        raise ValueError(f"n_inputs is {n_inputs}, but {type(estimator).__name__} was fitted on {fitted_on} columns")
    graph = Graph()
    graph.add("Identity", graph.convert(estimator, "inputs"), output="output")
    return _serialize_graph(graph, n_inputs, [len(estimator.classes_)] if is_classifier(estimator) else [])


def _serialize_graph(graph: Graph, n_inputs: int, width: Sequence[int]) -> bytes:
    inputs = helper.make_tensor_value_info("inputs", TensorProto.DOUBLE, ["n", n_inputs])
    output = helper.make_tensor_value_info("output", TensorProto.DOUBLE, ["n", *width])
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
    body = helper.make_graph(graph.nodes, "model", [inputs], [output], graph.constants)
    model = helper.make_model(body, opset_imports=opsets, ir_version=IR_VERSION)
    onnx.checker.check_model(model)
    return model.SerializeToString(deterministic=True)


def measure_parity(estimator: Any, model: bytes, inputs: np.ndarray) -> float:
    """Largest absolute difference between the compiled and the fitted estimator on `inputs` [n, n_inputs], float64.

    NaN if either answers NaN, so `parity(...) <= 1e-9` fails then. Raises ValueError if the shapes differ.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    (compiled,) = session.run(["output"], {"inputs": inputs})
    fitted = predict_outputs(estimator, inputs)
    if compiled.shape != fitted.shape:
        raise ValueError(f"the compiled model answers {compiled.shape}, the fitted one {fitted.shape}")
    return float(np.max(np.abs(compiled - fitted)))


def predict_outputs(estimator: Any, inputs: np.ndarray) -> np.ndarray:
    """What the compiled model has to answer: a classifier's probabilities [n, n_classes], a regressor's values [n]."""
    return np.asarray(estimator.predict_proba(inputs) if is_classifier(estimator) else estimator.predict(inputs))


def _linear(graph: Graph, model: Any, inputs: str) -> str:
    if np.ndim(model.coef_) != 1:
        graph.refuse(model, "it has several outputs")
    return graph.add("Squeeze", _linear_scores(graph, model, inputs), np.array([1]))


def _linear_scores(graph: Graph, model: Any, inputs: str) -> str:
    weights, bias = np.atleast_2d(model.coef_).astype(float), np.atleast_1d(model.intercept_).astype(float)
    return graph.add("Gemm", inputs, weights.T, bias)


def _logistic(graph: Graph, model: Any, inputs: str) -> str:
    return add_probabilities(graph, _linear_scores(graph, model, inputs), len(model.coef_))


Branch = Callable[[Graph], str]
LINEAR_REGRESSORS = (linear_model.LinearRegression, linear_model.Ridge, linear_model.Lasso, linear_model.ElasticNet)
CONVERTERS: dict[type, Callable[[Graph, Any, str], str]] = {
    linear_model.LogisticRegression: _logistic,
    **dict.fromkeys(LINEAR_REGRESSORS, _linear),
    **PIPELINE_CONVERTERS,
    **TREE_CONVERTERS,
    **PATTERN_CONVERTERS,
}
