#!/usr/bin/env bash
# skl2onnx 1.20.0, onnxruntime 1.32.0, scikit-learn 1.9.1: PowerTransformer leaves a missing number missing, for an
# imputer or a tree behind it. skl2onnx converts it without a word, and ONNX gives it the value that 0 has: each branch
# of the formula is a mask, and a missing number is in neither. So nothing is missing any more behind it.
#
# Seen, of the numbers 1, missing, 4 and 0: scikit-learn, ONNX.
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
from sklearn.preprocessing import PowerTransformer


def convert(model, rows):
    content = to_onnx(model, rows[:1]).SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: rows})


rows = np.array([[1], [np.nan], [4], [0]], np.float32)
transformer = PowerTransformer().fit(rows)
print(transformer.transform(rows)[:, 0].astype(float).round(3).tolist())
print(convert(transformer, rows)[0][:, 0].astype(float).round(3).tolist())
PYTHON
"$place/venv/bin/python" "$place/look.py" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "skl2onnx 1.20.0: as described"
[-0.046, nan, 1.247, -1.201]
[-0.046, -1.201, 1.247, -1.201]
SEEN
