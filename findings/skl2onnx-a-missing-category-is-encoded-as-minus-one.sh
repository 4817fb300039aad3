#!/usr/bin/env bash
# skl2onnx 1.20.0, onnxruntime 1.32.0, scikit-learn 1.9.1: OrdinalEncoder gives a missing value nan, or what
# `encoded_missing_value` says. skl2onnx converts both without a word, and ONNX gives it -1, whatever that says: a tree
# behind it then has it at the smallest of all categories. All other values agree.
#
# Seen, of the categories 3, missing and 5: what stands for each by scikit-learn, and by ONNX.
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
from sklearn.preprocessing import OrdinalEncoder


def convert(model, rows):
    content = to_onnx(model, rows[:1]).SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: rows})


rows = np.array([[3], [np.nan], [5]], np.float32)
for stands in (np.nan, 9):
    encoder = OrdinalEncoder(encoded_missing_value=stands).fit(rows)
    print(stands, encoder.transform(rows)[:, 0].tolist(), convert(encoder, rows)[0][:, 0].tolist())
PYTHON
"$place/venv/bin/python" "$place/look.py" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "skl2onnx 1.20.0: as described"
nan [0.0, nan, 1.0] [0.0, -1.0, 1.0]
9 [0.0, 9.0, 1.0] [0.0, -1.0, 1.0]
SEEN
