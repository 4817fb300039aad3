#!/usr/bin/env bash
# skl2onnx 1.20.0, onnxruntime 1.32.0, scikit-learn 1.9.1: `Normalizer(norm="max")` divides each row by the largest of
# its absolute values. skl2onnx makes it ONNX's `Normalizer` with the mode MAX, which divides by the largest value, sign
# and all. A row of negative numbers changes its signs, one of both kinds leaves [-1, 1] as far as its numbers go, and
# only rows without a negative number are as in scikit-learn, so that a test on counts or prices finds nothing. The
# norms l1 and l2 agree.
#
# Seen, for three rows: scikit-learn's and the model's result.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check \
  skl2onnx==1.20.0 onnxruntime==1.32.0 onnx==1.23.2 scikit-learn==1.9.1 numpy==2.4.6
cat > "$place/scale.py" <<'PYTHON'
import numpy as np
import onnxruntime
from skl2onnx import to_onnx
from sklearn.preprocessing import Normalizer

rows = np.array([[1, 2], [-4, 1], [-1, -2]], np.float32)
for norm in ("max", "l1", "l2"):
    scaler = Normalizer(norm).fit(rows)
    model = to_onnx(scaler, rows).SerializeToString()
    converted = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]).run(None, {"X": rows})[0]
    expected = scaler.transform(rows)
    print(norm, "| equal:", np.allclose(expected, converted, atol=1e-6))
    if norm == "max":
        print("scikit-learn", expected.tolist())
        print("ONNX", converted.tolist())
PYTHON
"$place/venv/bin/python" "$place/scale.py" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "skl2onnx 1.20.0: as described"
max | equal: False
scikit-learn [[0.5, 1.0], [-1.0, 0.25], [-0.5, -1.0]]
ONNX [[0.5, 1.0], [-4.0, 1.0], [1.0, 2.0]]
l1 | equal: True
l2 | equal: True
SEEN
