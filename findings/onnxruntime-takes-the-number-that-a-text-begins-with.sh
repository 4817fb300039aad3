#!/usr/bin/env bash
# onnxruntime 1.32.0: `Cast` of a text to a number reads as far as it understands and drops the rest. "12 Main St" is
# 12, "2026-11-30" is 2026, "1,500" is 1, "1e" is 1, and "1e6" as an integer is 1, while "0x1F" is 31 as a float and 0
# as an integer. What doesn't begin with a number is an error, which looks like a check of the whole; float() and int()
# of Python refuse each of these but 1e6 as a float. A model that takes its numbers as texts, as they stand in a form or
# a CSV file, so answers for a thousandth of an amount, and for a year in place of a date.
#
# Seen: the table below; "refused" for "abc" and for "".
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
cat > "$place/cast.py" <<'PYTHON'
import numpy as np
import onnxruntime
from onnx import TensorProto, helper

onnxruntime.set_default_logger_severity(4)


def cast(text: str, kind: int) -> str:
    """The text as a number of the kind, by a model of one node."""
    node = helper.make_node("Cast", ["text"], ["number"], to=kind)
    text_info = helper.make_tensor_value_info("text", TensorProto.STRING, [1])
    graph = helper.make_graph([node], "cast", [text_info], [helper.make_tensor_value_info("number", kind, [1])])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        return str(session.run(None, {"text": np.array([text], object)})[0][0])
    except onnxruntime.capi.onnxruntime_pybind11_state.RuntimeException:
        return "refused"


for text in ("12 Main St", "2026-11-30", "1,500", "1e", "1e6", "0x1F", "abc", ""):
    print(f"{text!r}: {cast(text, TensorProto.FLOAT)} {cast(text, TensorProto.INT64)}")
PYTHON
"$place/venv/bin/python" "$place/cast.py" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "onnxruntime 1.32.0: as described"
'12 Main St': 12.0 12
'2026-11-30': 2026.0 2026
'1,500': 1.0 1
'1e': 1.0 1
'1e6': 1e+06 1
'0x1F': 31.0 0
'abc': refused refused
'': refused refused
SEEN
