#!/usr/bin/env bash
# onnxmltools 1.16.0, LightGBM 4.7.0, onnxruntime 1.32.0: with `linear_tree=True` each leaf of LightGBM is a linear function
# of the columns on its path. onnxmltools converts such a model without a word and takes the plain value of the leaf,
# without its function. What linear trees are chosen for is lost: ONNX answers in steps, is wrong by a large share of the
# labels' spread, and doesn't go on beyond the range that was learned. Ordinary trees agree to seven digits.
#
# Seen: the error of each on labels that are twice their column, and the answers at 1.5 and at 5, where the column ends at
# 3.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check \
  onnxmltools==1.16.0 skl2onnx==1.20.0 onnx==1.23.2 lightgbm==4.7.0 onnxruntime==1.32.0 scikit-learn==1.9.1 \
  numpy==2.4.6 scipy==1.17.1
cd "$place"
cat > linear.py <<'PYTHON'
import numpy as np
import onnxruntime
from lightgbm import LGBMRegressor
from onnxmltools import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType

onnxruntime.set_default_logger_severity(4)
inputs = np.random.default_rng(0).uniform(0, 3, size=(2000, 1)).astype(np.float32)
labels = 2 * inputs[:, 0]
asked = np.array([[1.5], [5.0]], np.float32)
for linear in (False, True):
    model = LGBMRegressor(linear_tree=linear, num_leaves=4, n_estimators=100, n_jobs=1, verbose=-1).fit(inputs, labels)
    graph = convert_lightgbm(model, initial_types=[("rows", FloatTensorType([None, 1]))], target_opset=15)
    session = onnxruntime.InferenceSession(graph.SerializeToString())
    for name, predict in (("LightGBM", model.predict), ("ONNX", lambda rows: session.run(None, {"rows": rows})[0].ravel())):
        error = np.sqrt(np.mean((predict(inputs) - labels) ** 2))
        print(f"linear_tree={linear}, {name}: error {error:.2f}, answers", *[f"{answer:.1f}" for answer in predict(asked)])
PYTHON
OMP_NUM_THREADS=1 "$place/venv/bin/python" -W ignore linear.py > seen
diff - seen <<'SEEN' && echo "onnxmltools 1.16.0: as described"
linear_tree=False, LightGBM: error 0.02, answers 2.9 6.0
linear_tree=False, ONNX: error 0.02, answers 2.9 6.0
linear_tree=True, LightGBM: error 0.00, answers 3.0 10.0
linear_tree=True, ONNX: error 0.34, answers 3.4 5.2
SEEN
