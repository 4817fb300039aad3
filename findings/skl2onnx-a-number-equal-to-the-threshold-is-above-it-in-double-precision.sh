#!/usr/bin/env bash
# skl2onnx 1.20.0, onnxruntime 1.32.0, scikit-learn 1.9.1: Binarizer gives 1 for numbers above its threshold, 0 for the
# threshold itself. Converted for float32 it does that in ONNX, too; converted for float64 it is another graph, in which
# the threshold itself is 1. Counts and grades are equal to their threshold in many rows.
#
# Seen, of 1, 2 and 3 with the threshold 2: scikit-learn, ONNX.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check \
  skl2onnx==1.20.0 onnxruntime==1.32.0 onnx==1.23.2 scikit-learn==1.9.1 numpy==2.4.6
cat > "$place/look.py" <<'PYTHON'
import numpy as np
import onnxruntime
from skl2onnx import to_onnx
from sklearn.preprocessing import Binarizer


def convert(model, rows):
    content = to_onnx(model, rows[:1]).SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: rows})


for dtype in (np.float32, np.float64):
    rows = np.array([[1], [2], [3]], dtype)
    binarizer = Binarizer(threshold=2).fit(rows)
    print(dtype.__name__, binarizer.transform(rows)[:, 0].tolist(), convert(binarizer, rows)[0][:, 0].tolist())
PYTHON
"$place/venv/bin/python" "$place/look.py" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "skl2onnx 1.20.0: as described"
float32 [0.0, 0.0, 1.0] [0.0, 0.0, 1.0]
float64 [0.0, 0.0, 1.0] [0.0, 1.0, 1.0]
SEEN
