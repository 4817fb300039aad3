"""Bundles whose model goes wrong on rows with a certain temperature, as real models do: on what only traffic has."""

import functools
from pathlib import Path

import numpy as np
import polars as pl
from onnx import TensorProto, helper, numpy_helper

from penumbra.core.encoding import FeatureEncoder, derive_features, learn_category_tables
from penumbra.registry.bundles import bundle, bundle_writing
from penumbra.training.onnx.compile import IR_VERSION, OPSET
from problem import features, schema
from tests.helpers.servers.local_service import THRESHOLD

TRIGGER_TEMP = -59.5  # degrees: on rows with this `temp` the model goes wrong
FAULT_KINDS = ("raises", "burns", "allocates", "nan", "shape")
MAX_ITERATIONS = 1 << 62
TEMP_COLUMN = [kind.name for kind in features.FEATURES].index("temp")
FEATURE_NAMES = [kind.name for kind in features.FEATURES]


def make_faulty_bundle(folder: Path, fault: str) -> Path:
    """A sealed bundle; the probability falls with the distance, as long as nothing is wrong."""
    rows = draw_rows().with_columns(temp=pl.lit(40.0), dewp=pl.lit(30.0))
    derived = derive_features(features.FEATURES, rows)
    inputs = FeatureEncoder(features.FEATURES, learn_category_tables(features.FEATURES, derived))
    model, matrix = build_faulty_model(fault, len(FEATURE_NAMES)), inputs.encode_frame(derived)
    answers = bundle.open_onnx_session(model).run(None, {"inputs": matrix})[0]
    bundle_writing.write_model_files(folder, model, matrix, answers)
    bundle_writing.write_reference_rows(folder, rows.head(5))
    bundle_writing.seal_bundle(folder, {"threshold": THRESHOLD}, inputs.kinds, inputs.tables)
    return folder


@functools.cache
def draw_rows() -> pl.DataFrame:
    """Flights that keep the contract, drawn once."""
    return schema.Row.sample(50)


def build_faulty_model(fault: str, width: int) -> bytes:
    """The model as ONNX."""
    constants = {
        "temp": np.array([TEMP_COLUMN]),
        "distance": np.array([FEATURE_NAMES.index("distance")]),
        "trigger": np.array(TRIGGER_TEMP),
        "scale": np.array(0.0001),
        "one": np.array(1.0),
        "two": np.array([2, 1]),
        "nothing": np.array([0]),
        "far": np.array(1_000_000),
        "ever": np.array(MAX_ITERATIONS),
        "true": np.array(True),
        "nan": np.array(np.nan),
    }
    nodes = [
        helper.make_node("Gather", ["inputs", "temp"], ["temps"], axis=1),
        helper.make_node("Equal", ["temps", "trigger"], ["bad_rows"]),
        helper.make_node("Cast", ["bad_rows"], ["bad_numbers"], to=TensorProto.INT64),
        helper.make_node("ReduceMax", ["bad_numbers"], ["bad"], keepdims=0),
        helper.make_node("Cast", ["bad"], ["is_bad"], to=TensorProto.BOOL),
        helper.make_node("Gather", ["inputs", "distance"], ["distances"], axis=1),
        helper.make_node("Mul", ["distances", "scale"], ["negative"]),
        helper.make_node("Sub", ["one", "negative"], ["positive"]),
        helper.make_node("Concat", ["negative", "positive"], ["both"], axis=1),
        helper.make_node("If", ["is_bad"], ["output"], then_branch=_make_branch(fault), else_branch=_make_branch("")),
    ]
    graph = helper.make_graph(
        nodes,
        fault,
        [helper.make_tensor_value_info("inputs", TensorProto.DOUBLE, ["n", width])],
        [helper.make_tensor_value_info("output", TensorProto.DOUBLE, ["n", "k"])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    return bytes(model.SerializeToString())


def _make_branch(fault: str) -> object:
    nodes = {
        "": [helper.make_node("Identity", ["both"], ["out"])],
        "nan": [helper.make_node("Where", ["bad_rows", "nan", "both"], ["out"])],
        "shape": [helper.make_node("Concat", ["both", "positive"], ["out"], axis=1)],
        "raises": [
            helper.make_node("Mul", ["bad", "far"], ["index"]),
            helper.make_node("Gather", ["both", "index"], ["one_row"], axis=0),
            helper.make_node("Add", ["one_row", "both"], ["out"]),
        ],
        "burns": [helper.make_node("Loop", ["ever", "true", "both"], ["out"], body=_make_loop_body("Add"))],
        "allocates": [
            helper.make_node("Loop", ["ever", "true", "both"], ["grown"], body=_make_loop_body("Concat")),
            helper.make_node("Slice", ["grown", "nothing", "two"], ["out"]),
        ],
    }[fault]
    return helper.make_graph(nodes, "branch", [], [helper.make_tensor_value_info("out", TensorProto.DOUBLE, None)])


def _make_loop_body(operator: str) -> object:
    attributes = {"axis": 0} if operator == "Concat" else {}
    nodes = [
        helper.make_node("Identity", ["going"], ["go_on"]),
        helper.make_node(operator, ["value", "value"], ["next"], **attributes),
    ]
    inputs = [
        helper.make_tensor_value_info("number", TensorProto.INT64, []),
        helper.make_tensor_value_info("going", TensorProto.BOOL, []),
        helper.make_tensor_value_info("value", TensorProto.DOUBLE, None),
    ]
    outputs = [
        helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
        helper.make_tensor_value_info("next", TensorProto.DOUBLE, None),
    ]
    return helper.make_graph(nodes, "body", inputs, outputs)
