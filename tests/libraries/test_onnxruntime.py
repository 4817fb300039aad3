"""onnxruntime."""

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper


@pytest.mark.parametrize(
    ("kind", "dtype", "value"), [(TensorProto.FLOAT, np.float32, -19.0), (TensorProto.DOUBLE, np.float64, -38.0)]
)
def test_onnxruntime_gives_0_for_the_sigmoid_of_a_number_far_below_0(kind, dtype, value):
    ends = [helper.make_tensor_value_info(name, kind, [None]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Sigmoid", ["x"], ["y"])], "sigmoid", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    assert session.run(None, {"x": np.array([value], dtype)})[0].item() == 0
    assert dtype(1) / (1 + np.exp(dtype(-value))) > 0
