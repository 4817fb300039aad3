"""Converters of the patterns (penumbra/patterns). A compiled cascade runs the expensive model only on unsure rows."""

from typing import Any

import numpy as np

from penumbra.patterns.augmentation import Augmented
from penumbra.patterns.cascade import Cascade
from penumbra.patterns.class_padding import PaddedClasses
from penumbra.patterns.hard_negatives import HardNegatives
from penumbra.patterns.out_of_sample import LOGIT_CLIP
from penumbra.patterns.reframing import Reframed
from penumbra.training.onnx.graph import Converter, Graph, add_probabilities


def _convert_reframed(graph: Graph, model: Any, inputs: str) -> str:
    quantity = graph.add("Unsqueeze", graph.convert(model.regressor_, inputs), np.array([1]))
    return _add_calibration(graph, model, quantity)


def _convert_hard_negatives(graph: Graph, model: Any, inputs: str) -> str:
    positive = graph.add("Gather", graph.convert(model.estimator_, inputs), np.array([1]), axis=1)
    kept = graph.add("Min", graph.add("Max", positive, np.array(LOGIT_CLIP)), np.array(1 - LOGIT_CLIP))
    both = graph.add("Concat", kept, graph.add("Sub", np.array(1.0), kept), axis=1)
    logs = graph.add("Log", both)  # in pairs, see `add_probabilities`
    positive_log, negative_log = (graph.add("Gather", logs, np.array([k]), axis=1) for k in (0, 1))
    return _add_calibration(graph, model, graph.add("Sub", positive_log, negative_log))


def _add_calibration(graph: Graph, model: Any, scores: str) -> str:
    scaled = graph.add("Mul", scores, np.array(model.slope_))
    return add_probabilities(graph, graph.add("Add", scaled, np.array(model.intercept_)), 1)


def _convert_augmented(graph: Graph, model: Any, inputs: str) -> str:
    return graph.convert(model.estimator_, inputs)


def _convert_padded_classes(graph: Graph, model: Any, inputs: str) -> str:
    return graph.add("MatMul", graph.convert(model.estimator, inputs), model.selection)


def _convert_cascade(graph: Graph, model: Any, inputs: str) -> str:
    low, high = model.report_["low"], model.report_["high"]
    cheap = graph.convert(model.cheap_, inputs)
    positive = graph.add("Gather", cheap, np.array(1), axis=1)
    unsure = graph.add("Equal", positive, graph.add("Clip", positive, np.array(low), np.array(high)))

    def ask_expensive(inner: Graph) -> str:
        rest = inner.add("NonZero", unsure)
        rows = inner.add("Gather", inputs, inner.add("Squeeze", rest, np.array([0])), axis=0)
        answers = inner.convert(model.expensive_, rows)
        return inner.add("ScatterND", cheap, inner.add("Transpose", rest, perm=[1, 0]), answers)

    has_unsure = graph.add(
        "ReduceMax", graph.add("Concat", unsure, np.array([False]), axis=0), keepdims=0
    )  # or no rows
    return graph.add_branch(has_unsure, ask_expensive, lambda inner: cheap)


PATTERN_CONVERTERS: dict[type, Converter] = {
    Reframed: _convert_reframed,
    HardNegatives: _convert_hard_negatives,
    Augmented: _convert_augmented,
    Cascade: _convert_cascade,
    PaddedClasses: _convert_padded_classes,
}
