#!/usr/bin/env bash
# onnxruntime 1.32.0: one nan among numbers. `ReduceMax` and `ReduceMin` are nan where it comes first, and else the
# extreme of the other numbers. `ArgMax` gives the place of the nan from one place and that of the largest number from
# another, and for doubles from other places than for floats. `Unique` leaves it out. Numpy's max, argmax and unique
# keep it wherever it stands, and so do `Max`, `Min` and `Relu` of ONNX. Whether a missing score shows in a model's
# answer so depends on the order of its columns.
#
# Seen, for a nan at each place of eleven rising numbers: ReduceMax and ReduceMin are nan from the first place only;
# ArgMax gives the nan's place from some of the places between and the largest number's from others; Unique has no nan.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
cat > "$place/missing.py" <<'PYTHON'
import numpy as np
import onnxruntime
from onnx import TensorProto, helper


def make_session(name: str, dtype: type, kind: int | None = None, **attributes) -> onnxruntime.InferenceSession:
    """A model of one node over a vector."""
    number = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    vector = helper.make_tensor_value_info("vector", number, [None])
    result = helper.make_tensor_value_info("result", kind or number, None)
    graph = helper.make_graph([helper.make_node(name, ["vector"], ["result"], **attributes)], name, [vector], [result])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


for dtype in (np.float32, np.float64):
    largest, smallest = (make_session(name, dtype, keepdims=0) for name in ("ReduceMax", "ReduceMin"))
    place_of_largest = make_session("ArgMax", dtype, TensorProto.INT64, axis=0, keepdims=0)
    nan_places, winners = [], set()
    for place in range(11):
        vector = np.arange(11, dtype=dtype)
        vector[place] = np.nan
        extremes = [session.run(None, {"vector": vector})[0] for session in (largest, smallest)]
        nan_places += [place] * int(np.isnan(extremes).sum())
        if 0 < place < 10:
            winners.add({place: "nan", 10: "largest"}[int(place_of_largest.run(None, {"vector": vector})[0])])
    print(dtype.__name__, "| ReduceMax and ReduceMin are nan from", nan_places, "| ArgMax", sorted(winners), end=" | ")
    print("Unique", make_session("Unique", dtype).run(None, {"vector": np.array([2, np.nan, 1], dtype)})[0])
PYTHON
"$place/venv/bin/python" "$place/missing.py" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "onnxruntime 1.32.0: as described"
float32 | ReduceMax and ReduceMin are nan from [0, 0] | ArgMax ['largest', 'nan'] | Unique [1. 2.]
float64 | ReduceMax and ReduceMin are nan from [0, 0] | ArgMax ['largest', 'nan'] | Unique [1. 2.]
SEEN
