#!/usr/bin/env bash
# skl2onnx 1.20.0, onnxruntime 1.32.0, scikit-learn 1.9.1: nearest neighbours with `weights="distance"` are converted
# without a word, and weigh all the same in the ONNX model, as with `weights="uniform"`. The model answers with the
# plain mean of the neighbours even for a row that it has learned, whose own target scikit-learn gives back. The option
# `optim="cdist"` changes nothing.
#
# Seen, of four points on a line whose target is their place, two neighbours: scikit-learn's answers and the model's.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check \
  skl2onnx==1.20.0 onnxruntime==1.32.0 onnx==1.23.2 scikit-learn==1.9.1 numpy==2.4.6
cat > "$place/neighbours.py" <<'PYTHON'
import numpy as np
import onnxruntime
from skl2onnx import to_onnx
from sklearn.neighbors import KNeighborsRegressor

known = np.array([[0], [1], [3], [10]], np.float32)
rows = np.array([[0], [0.25], [1], [2], [9]], np.float32)


def convert(model, **options):
    content = to_onnx(model, rows, options={id(model): options}).SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(None, {"X": rows})[0].ravel().tolist()


for weights in ("distance", "uniform"):
    model = KNeighborsRegressor(2, weights=weights).fit(known, known.ravel())
    answers = {"scikit-learn": model.predict(rows).tolist(), "ONNX": convert(model), "cdist": convert(model, optim="cdist")}
    print(weights, answers)
PYTHON
"$place/venv/bin/python" "$place/neighbours.py" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "skl2onnx 1.20.0: as described"
distance {'scikit-learn': [0.0, 0.25, 1.0, 2.0, 9.0], 'ONNX': [0.5, 0.5, 0.5, 2.0, 6.5], 'cdist': [0.5, 0.5, 0.5, 2.0, 6.5]}
uniform {'scikit-learn': [0.5, 0.5, 0.5, 2.0, 6.5], 'ONNX': [0.5, 0.5, 0.5, 2.0, 6.5], 'cdist': [0.5, 0.5, 0.5, 2.0, 6.5]}
SEEN
