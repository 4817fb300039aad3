"""Compile a fitted scikit-learn estimator to an ONNX model, and measure how far apart the two are.

To compile one more type, write a converter (`penumbra.training.onnx.graph.Converter`) and put it into the table of its
family, or into CONVERTERS. A meta-estimator calls `graph.convert` on the estimators within.
"""

import os
from collections.abc import Sequence
from typing import Any

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read once, by the import

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper
from sklearn.base import is_classifier, is_regressor
from sklearn.utils.validation import check_is_fitted

from penumbra.training.onnx.graph import CannotCompile, Converter, Graph, add_single_precision
from penumbra.training.onnx.linear_converters import LINEAR_CONVERTERS
from penumbra.training.onnx.pattern_converters import PATTERN_CONVERTERS
from penumbra.training.onnx.pipeline_converters import PIPELINE_CONVERTERS
from penumbra.training.onnx.tree_converters import TREE_CONVERTERS

IR_VERSION, OPSET, ML_OPSET = 10, 21, 5
CONVERTERS: dict[type, Converter] = {
    **LINEAR_CONVERTERS,
    **PIPELINE_CONVERTERS,
    **TREE_CONVERTERS,
    **PATTERN_CONVERTERS,
}


def compile_model(estimator: Any, n_inputs: int) -> bytes:
    """Compile a fitted classifier or regressor; the same estimator always gives the same bytes.

    Where scikit-learn refuses a row (NaN into a bare linear model) the compiled model answers, with NaN.

    Args:
        estimator: Fitted estimator.
        n_inputs: Number of columns that it was fitted on.

    Returns:
        A serialized ONNX model. Input "inputs": float64 [n, n_inputs], numbers with NaN for missing, categories as
        integer codes with -1 for missing or unseen. Output "output": float64, probabilities [n, n_classes] in the
        order of `classes_`, or predictions [n].

    Raises:
        NotFittedError: If the estimator isn't fitted.
        CannotCompile: If the estimator, one within it, or a parameter has no exact ONNX counterpart here.
        ValueError: If the estimator was fitted on another number of columns.
    """
    check_is_fitted(estimator)
    if not (is_classifier(estimator) or is_regressor(estimator)):
        raise CannotCompile(estimator, "it is neither classifier nor regressor", CONVERTERS)
    fitted_on = getattr(estimator, "n_features_in_", n_inputs)
    if fitted_on != n_inputs:
        raise ValueError(f"n_inputs is {n_inputs}, but {type(estimator).__name__} was fitted on {fitted_on} columns")
    graph = Graph(CONVERTERS)
    graph.add("Identity", graph.convert(estimator, "inputs"), output="output")
    return _serialize_graph(graph, n_inputs, [len(estimator.classes_)] if is_classifier(estimator) else [])


def compile_steps(steps: Sequence[Any], n_inputs: int, n_columns: int, single_precision: bool) -> bytes:
    """Compile fitted transformers that follow one another.

    Args:
        steps: Fitted transformers, none or more.
        n_inputs: Number of columns that the first one was fitted on.
        n_columns: Number of columns that the last one makes.
        single_precision: Round these to single precision, in which scikit-learn's trees compare.

    Returns:
        A serialized ONNX model with input and output as those of `compile_model`; the output is [n, n_columns].

    Raises:
        CannotCompile: If one of them has no exact ONNX counterpart here.
    """
    graph, columns = Graph(CONVERTERS), "inputs"
    for step in steps:
        columns = graph.convert(step, columns)
    columns = add_single_precision(graph, columns) if single_precision else columns
    graph.add("Identity", columns, output="output")
    return _serialize_graph(graph, n_inputs, [n_columns])


def _serialize_graph(graph: Graph, n_inputs: int, width: Sequence[int]) -> bytes:
    inputs = helper.make_tensor_value_info("inputs", TensorProto.DOUBLE, ["n", n_inputs])
    output = helper.make_tensor_value_info("output", TensorProto.DOUBLE, ["n", *width])
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
    body = helper.make_graph(graph.nodes, "model", [inputs], [output], graph.constants)
    model = helper.make_model(body, opset_imports=opsets, ir_version=IR_VERSION)
    onnx.checker.check_model(model)
    return model.SerializeToString(deterministic=True)


def measure_parity(estimator: Any, model: bytes, inputs: np.ndarray) -> float:
    """Measure the largest absolute difference between the outputs of the compiled and of the fitted estimator.

    Args:
        estimator: Fitted estimator.
        model: Serialized ONNX model.
        inputs: Rows to try, float64 [n, n_inputs].

    Returns:
        The difference; NaN if either outputs NaN, so that `measure_parity(...) <= 1e-9` is False then.

    Raises:
        ValueError: If the shapes of the outputs differ.
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
    """Predict with a fitted estimator what its compiled model has to output.

    Args:
        estimator: Fitted estimator.
        inputs: float64 [n, n_inputs].

    Returns:
        A classifier's probabilities [n, n_classes], or a regressor's predictions [n].
    """
    return np.asarray(estimator.predict_proba(inputs) if is_classifier(estimator) else estimator.predict(inputs))
