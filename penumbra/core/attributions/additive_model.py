"""A model as a sum of constants, linear terms and trees, whose Shapley values are exact; or several in turn."""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np

from penumbra.core.attributions.leaf_paths import TreeNodes, list_leaf_paths
from penumbra.core.attributions.tree_shapley import MAX_TABLE_VALUES, TreeShapley

Scale = Literal["log-odds", "probability", "margin", "value", "log of the value"]
"""What the terms of a model add up to: of a probability its logarithm of the odds or itself; of several classes the
margins that softmax makes probabilities of; the number that a regression predicts, or its logarithm."""
Transform = Callable[[np.ndarray], np.ndarray]
REFUSED_KEY = "refused"


class NotExplainable(ValueError):
    """The model's score is no sum of trees and linear terms; the message says why."""


class Attributions(NamedTuple):
    """Why each of n rows got its score.

    Attributes:
        values: float64 [n, inputs], how far each input moves the score from what is expected without knowing any.
        expected: float64 [n]; it and `values` add up to the score.
        scales: What the score of each row is.
        classes: int [n], the class that the score is of; 0 where the task has no classes.
    """

    values: np.ndarray
    expected: np.ndarray
    scales: Sequence[Scale]
    classes: np.ndarray

    @property
    def scores(self) -> np.ndarray:
        """The scores, float64 [n]."""
        return np.asarray(self.expected + self.values.sum(axis=1))


@dataclass(frozen=True)
class AdditiveModel:
    """A model whose scores are sums.

    Attributes:
        scale: What the scores are.
        n_inputs: The number of inputs.
        sources: int [columns], the input that each column is made of.
        transform: An ONNX model that makes the columns of the inputs, empty where they are the inputs themselves.
        constants: float64 [targets], what each score begins with.
        weights: float64 [columns, targets], of the linear terms.
        means: float64 [columns], what the columns are without knowing an input, in linear terms.
        nodes: The trees.
        unsure: Between which probabilities (both included) the next model answers in place of this one; None where this
            one answers.
    """

    scale: Scale
    n_inputs: int
    sources: np.ndarray
    transform: bytes
    constants: np.ndarray
    weights: np.ndarray
    means: np.ndarray
    nodes: TreeNodes
    unsure: tuple[float, float] | None = None

    @cached_property
    def _trees(self) -> list[TreeShapley]:
        targets = range(len(self.constants))
        paths = (list_leaf_paths(self.nodes, self.sources, target) for target in targets)
        return [TreeShapley(each, self.n_inputs, MAX_TABLE_VALUES // len(targets)) for each in paths]

    @property
    def n_leaves(self) -> int:
        """The number of leaves, which the work of a row grows with."""
        return int(self.nodes.leaf.sum())

    @cached_property
    def expected(self) -> np.ndarray:
        """The scores without knowing any input, float64 [targets]."""
        trees = np.array([each.expected for each in self._trees])
        return np.asarray(self.constants + self.means @ self.weights + trees)

    def compute(self, columns: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Compute the Shapley values of a score of each row.

        Args:
            columns: float64 [n, columns].
            targets: int [n], which score.

        Returns:
            float64 [n, inputs].
        """
        values = np.zeros((len(columns), self.n_inputs))
        for target in np.unique(targets):
            rows = targets == target
            values[rows] = self._trees[target].compute(columns[rows])
        if self.weights.any():
            terms = (columns - self.means) * self.weights[:, targets].T
            np.add.at(values.T, self.sources, terms.T)
        return values

    def is_unsure(self, scores: np.ndarray) -> np.ndarray:
        """Tell for which scores the next model answers.

        Args:
            scores: float64 [n].

        Returns:
            bool [n].
        """
        if self.unsure is None:
            return np.zeros(len(scores), bool)
        low, high = self.unsure
        probabilities = 1 / (1 + np.exp(-scores)) if self.scale == "log-odds" else scores
        return (low <= probabilities) & (probabilities <= high)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return all of it as arrays by name, with the dtypes of the attributes, as `from_arrays` takes them."""
        return {
            "scale": np.array(self.scale),
            "n_inputs": np.array(self.n_inputs),
            "sources": self.sources,
            "transform": np.frombuffer(self.transform, np.uint8),
            "constants": self.constants,
            "weights": self.weights,
            "means": self.means,
            "unsure": np.array(self.unsure or ()),
            **self.nodes.to_arrays(),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "AdditiveModel":
        """Build a model.

        Args:
            arrays: What `to_arrays` returns, arrays by name with the dtypes of the attributes.

        Returns:
            The model.
        """
        unsure = arrays["unsure"].tolist()
        return cls(
            str(arrays["scale"]),  # type: ignore[arg-type]
            int(arrays["n_inputs"]),
            arrays["sources"],
            arrays["transform"].tobytes(),
            arrays["constants"],
            arrays["weights"],
            arrays["means"],
            TreeNodes.from_arrays(arrays),
            (unsure[0], unsure[1]) if unsure else None,
        )


class Explainer:
    """Explains the scores of a model that is one additive model, or several of which the first that is sure answers."""

    def __init__(self, models: Sequence[AdditiveModel], open_transform: Callable[[bytes], Transform]) -> None:
        """Keep the models; `open_transform` opens the ONNX model of a transformation."""
        self.models = models
        self._transforms = [
            open_transform(model.transform) if model.transform else (lambda matrix: matrix) for model in models
        ]

    def explain(self, matrix: np.ndarray, outputs: np.ndarray) -> Attributions:
        """Explain the scores of rows.

        Args:
            matrix: The model's inputs, float64 [n, inputs].
            outputs: Its predictions, float64 [n] or [n, classes]; the most probable class is explained, or the second
                of two that have one score between them.

        Returns:
            The attributions.
        """
        classes = outputs.argmax(axis=1) if outputs.ndim == 2 else np.zeros(len(outputs), int)
        if outputs.ndim == 2 and any(len(model.constants) == 1 for model in self.models):
            classes = np.ones(len(outputs), int)
        values, expected = np.zeros((len(matrix), self.models[0].n_inputs)), np.zeros(len(matrix))
        scales, rows = np.empty(len(matrix), object), np.arange(len(matrix))
        for model, transform in zip(self.models, self._transforms, strict=True):
            if not len(rows):
                break
            targets = np.minimum(classes[rows], len(model.constants) - 1)
            values[rows] = model.compute(transform(matrix[rows]), targets)
            expected[rows], scales[rows] = model.expected[targets], model.scale
            rows = rows[model.is_unsure(expected[rows] + values[rows].sum(axis=1))]
        return Attributions(values, expected, scales.tolist(), classes)


def write_models(models: Sequence[AdditiveModel]) -> bytes:
    """Write models as a file of plain arrays.

    Args:
        models: The models, the first to answer first.

    Returns:
        The bytes of an .npz file, the same for the same models.
    """
    arrays = {f"{n}.{name}": each for n, model in enumerate(models) for name, each in model.to_arrays().items()}
    return _write_arrays(arrays)


def write_refusal(reason: str) -> bytes:
    """Write why a model can't be explained.

    Args:
        reason: The reason, a sentence.

    Returns:
        The bytes of an .npz file in place of one with models.
    """
    return _write_arrays({REFUSED_KEY: np.array(reason)})


def read_models(content: bytes) -> list[AdditiveModel]:
    """Read what `write_models` has written.

    Args:
        content: The bytes of the file.

    Returns:
        The models.

    Raises:
        NotExplainable: The file says why there are none.
    """
    file = np.load(io.BytesIO(content), allow_pickle=False)
    if REFUSED_KEY in file:
        raise NotExplainable(str(file[REFUSED_KEY]))
    by_model: dict[int, dict[str, Any]] = {}
    for key in file:
        number, _, name = key.partition(".")
        by_model.setdefault(int(number), {})[name] = file[key]
    return [AdditiveModel.from_arrays(by_model[number]) for number in sorted(by_model)]


def _write_arrays(arrays: Mapping[str, Any]) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()
