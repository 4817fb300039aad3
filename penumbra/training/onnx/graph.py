"""The ONNX graph under construction, and what several converters need."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Converter = Callable[["Graph", Any, str], str]
"""A function (graph, fitted estimator, name of the input tensor) -> name of the output tensor. A transformer gives
[n, k], a classifier probabilities [n, n_classes], a regressor [n], all float64."""
BranchBuilder = Callable[["Graph"], str]


class CannotCompile(TypeError):
    """Raised where an estimator, or a parameter of it, has no exact ONNX counterpart here.

    Args:
        estimator: The estimator that can't be compiled.
        reason: Why not.
        compilable: The types that can be compiled, for the message.
    """

    def __init__(self, estimator: Any, reason: str, compilable: Iterable[type]) -> None:
        known = ", ".join(sorted(kind.__name__ for kind in compilable))
        super().__init__(f"cannot compile {type(estimator).__name__}: {reason}; what can be compiled: {known}")


class Graph:
    """ONNX nodes under construction. Tensors go by name; numpy arrays become constants.

    Args:
        converters: The converter of each estimator type that can be compiled.
        prefix: Beginning of the names in this graph, which keeps those within a branch apart from those around it.
    """

    def __init__(self, converters: Mapping[type, Converter], prefix: str = "") -> None:
        self.converters = converters
        self.prefix = prefix
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, operator: str, *inputs: str | np.ndarray, output: str = "", **attributes: Any) -> str:
        """Add a node.

        Args:
            operator: ONNX operator.
            inputs: Names of tensors, or arrays, which become constants.
            output: Name of the output; by default one that no other tensor has.
            attributes: Attributes of the node.

        Returns:
            The name of its output.
        """
        names = [value if isinstance(value, str) else self._add_constant(value) for value in inputs]
        output = output or f"{self.prefix}{operator}_{len(self.nodes)}"
        domain = "ai.onnx.ml" if operator == "TreeEnsemble" else ""
        self.nodes.append(helper.make_node(operator, names, [output], domain=domain, **attributes))
        return output

    def convert(self, estimator: Any, inputs: str) -> str:
        """Add a fitted estimator.

        Args:
            estimator: Fitted scikit-learn estimator or transformer.
            inputs: Name of the tensor [n, k] that it is given.

        Returns:
            The name of its output.

        Raises:
            CannotCompile: If its type is unknown, it has several outputs, or its converter refuses it.
        """
        if type(estimator) not in self.converters:
            self.refuse(estimator, "its type is unknown")
        if getattr(estimator, "n_outputs_", 1) != 1:
            self.refuse(estimator, "it has several outputs")
        return self.converters[type(estimator)](self, estimator, inputs)

    def add_branch(self, condition: str, then: BranchBuilder, otherwise: BranchBuilder) -> str:
        """Add two graphs of which one is run.

        Args:
            condition: Name of the Boolean scalar that decides.
            then: Builds the graph for True: adds nodes to the graph it is given, returns the name of its result.
            otherwise: Builds the graph for False.

        Returns:
            The name of the output.
        """
        bodies = [self._build_body(name, build) for name, build in (("then", then), ("else", otherwise))]
        return self.add("If", condition, then_branch=bodies[0], else_branch=bodies[1])

    def refuse(self, estimator: Any, reason: str) -> NoReturn:
        """Refuse to compile an estimator.

        Args:
            estimator: The estimator.
            reason: Why it can't be compiled.

        Raises:
            CannotCompile: Always.
        """
        raise CannotCompile(estimator, reason, self.converters)

    def _build_body(self, name: str, build: BranchBuilder) -> onnx.GraphProto:
        inner = Graph(self.converters, f"{self.prefix}{name}_{len(self.nodes)}_")
        output = helper.make_tensor_value_info(inner.add("Identity", build(inner)), TensorProto.DOUBLE, None)
        return helper.make_graph(inner.nodes, name, [], [output], inner.constants)

    def _add_constant(self, values: np.ndarray) -> str:
        name = f"{self.prefix}constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, order="C"), name))
        return name


def add_probabilities(graph: Graph, scores: str, width: int) -> str:
    """Add the softmax of scores, or the sigmoid of a single one.

    onnxruntime takes exponentials in pairs, and one that is left over comes out different in the last bit. Here each
    row has an even number of them, so that its result doesn't depend on how many rows are scored with it.

    Args:
        graph: The graph to add to.
        scores: Name of the tensor [n, width].
        width: Number of classes, or 1 for two classes with the score of the second.

    Returns:
        The name of the probabilities [n, n_classes].
    """
    if width == 1:
        return graph.add("Sigmoid", graph.add("Mul", scores, np.array([[-1.0, 1.0]])))
    below_top = graph.add("Sub", scores, graph.add("ReduceMax", scores, np.array([1])))
    if width % 2:
        below_top = graph.add("Pad", below_top, np.array([0, 0, 0, 1]), np.array(-np.inf))
    powers = graph.add("Exp", below_top)
    shares = graph.add("Div", powers, graph.add("ReduceSum", powers, np.array([1])))
    return graph.add("Slice", shares, np.array([0]), np.array([width]), np.array([1])) if width % 2 else shares


def add_single_precision(graph: Graph, values: str) -> str:
    """Add the rounding to single precision, in which scikit-learn's trees compare.

    Args:
        graph: The graph to add to.
        values: Name of a tensor.

    Returns:
        The name of the rounded values, which are float64.
    """
    return graph.add("Cast", graph.add("Cast", values, to=TensorProto.FLOAT), to=TensorProto.DOUBLE)


def read_category_codes(graph: Graph, estimator: Any, categories: Iterable[np.ndarray]) -> list[np.ndarray]:
    """Read the categories that an encoder has learned as numbers.

    Args:
        graph: The graph that would refuse the estimator.
        estimator: The estimator that they belong to, for the message.
        categories: The categories of each column, in any numeric dtype.

    Returns:
        float64 [n_categories] for each column.

    Raises:
        CannotCompile: If the categories of some column aren't numbers.
    """
    if any(values.dtype.kind not in "iufb" for values in categories):
        graph.refuse(estimator, "it was fitted on categories that are not integer codes")
    return [values.astype(float) for values in categories]
