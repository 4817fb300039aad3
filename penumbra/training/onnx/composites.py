"""The patterns (patterns/) as ONNX. A cascade stays one: the expensive model is run only on the rows that need it."""

from typing import TYPE_CHECKING, Any

import numpy as np

from penumbra.patterns.augmentation import Augmented
from penumbra.patterns.cascade import Cascade
from penumbra.patterns.hard_negatives import HardNegatives
from penumbra.patterns.out_of_sample import LOGIT_CLIP
from penumbra.patterns.reframing import Reframed
from penumbra.training.onnx.trees import add_probabilities

if TYPE_CHECKING:
    from penumbra.training.onnx.compile import Graph


def _reframed(graph: "Graph", model: Any, inputs: str) -> str:
    quantity = graph.add("Unsqueeze", graph.convert(model.regressor_, inputs), np.array([1]))
    return _calibrated(graph, model, quantity)


def _hard_negatives(graph: "Graph", model: Any, inputs: str) -> str:
    positive = graph.add("Gather", graph.convert(model.estimator_, inputs), np.array([1]), axis=1)
    kept = graph.add("Min", graph.add("Max", positive, np.array(LOGIT_CLIP)), np.array(1 - LOGIT_CLIP))
    both = graph.add("Concat", kept, graph.add("Sub", np.array(1.0), kept), axis=1)
    logs = graph.add("Log", both)  # in pairs, see trees.probabilities
    settings, against = (graph.add("Gather", logs, np.array([k]), axis=1) for k in (0, 1))
    return _calibrated(graph, model, graph.add("Sub", settings, against))


def _calibrated(graph: "Graph", model: Any, scores: str) -> str:
    scaled = graph.add("Mul", scores, np.array(model.slope_))
    return add_probabilities(graph, graph.add("Add", scaled, np.array(model.intercept_)), 1)


def _augmented(graph: "Graph", model: Any, inputs: str) -> str:
    return graph.convert(model.estimator_, inputs)


def _cascade(graph: "Graph", model: Any, inputs: str) -> str:
    low, high = model.report_["low"], model.report_["high"]
    cheap = graph.convert(model.cheap_, inputs)
    positive = graph.add("Gather", cheap, np.array(1), axis=1)
    unsure = graph.add("Equal", positive, graph.add("Clip", positive, np.array(low), np.array(high)))

    def asked(inner: "Graph") -> str:
        rest = inner.add("NonZero", unsure)
        rows = inner.add("Gather", inputs, inner.add("Squeeze", rest, np.array([0])), axis=0)
        answers = inner.convert(model.expensive_, rows)
        return inner.add("ScatterND", cheap, inner.add("Transpose", rest, perm=[1, 0]), answers)

    anyone = graph.add("ReduceMax", graph.add("Concat", unsure, np.array([False]), axis=0), keepdims=0)  # or no rows
    return graph.add_branch(anyone, asked, lambda inner: cheap)


PATTERN_CONVERTERS = {
    Reframed: _reframed,
    HardNegatives: _hard_negatives,
    Augmented: _augmented,
    Cascade: _cascade,
}
