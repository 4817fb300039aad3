#!/usr/bin/env bash
# onnxmltools 1.16.0, XGBoost 3.2.0, onnxruntime 1.32.0: `XGBRegressor(objective="reg:logistic")` learns a share between 0
# and 1, and predicts one. onnxmltools converts it without a word and leaves the sigmoid at the end out, so that ONNX
# answers with log-odds, from -4 to 5. Nor does a sigmoid behind it mend that, as the intercept, which XGBoost keeps as a
# share, is added to them as it is; where it's 0.5 all log-odds are too large by 0.5. The exponential at the end of Poisson,
# gamma and Tweedie regressions is converted, as is the sigmoid of classifiers.
#
# The order of the answers is right, so that a measure of ranks sees nothing.
#
# Seen: the range of answers by XGBoost and by ONNX for four objectives, and by how much the last one's log-odds differ.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check \
  onnxmltools==1.16.0 skl2onnx==1.20.0 onnx==1.23.2 xgboost-cpu==3.2.0 onnxruntime==1.32.0 scikit-learn==1.9.1 \
  numpy==2.4.6 scipy==1.17.1
cd "$place"
cat > shares.py <<'PYTHON'
import numpy as np
import onnxruntime
from onnxmltools import convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType
from scipy.special import expit, logit
from xgboost import XGBRegressor

onnxruntime.set_default_logger_severity(4)
inputs = np.random.default_rng(0).normal(size=(2000, 2)).astype(np.float32)
shares = expit(2 * inputs[:, 0])
for objective in ("reg:squarederror", "count:poisson", "reg:gamma", "reg:logistic"):
    model = XGBRegressor(objective=objective, n_estimators=50, n_jobs=1).fit(inputs, shares)
    graph = convert_xgboost(model, initial_types=[("rows", FloatTensorType([None, 2]))], target_opset=15)
    answers = onnxruntime.InferenceSession(graph.SerializeToString()).run(None, {"rows": inputs})[0].ravel()
    expected = model.predict(inputs)
    ranges = [f"{numbers.min():.1f} to {numbers.max():.1f}" for numbers in (expected, answers)]
    print(f"{objective}: XGBoost {ranges[0]}, ONNX {ranges[1]}, agree", np.allclose(expected, answers, atol=1e-5))
differences = answers - logit(expected.astype(float))
print(f"log-odds by ONNX less those by XGBoost: {differences.min():.2f} to {differences.max():.2f}")
PYTHON
OMP_NUM_THREADS=1 "$place/venv/bin/python" -W ignore shares.py > seen
diff - seen <<'SEEN' && echo "onnxmltools 1.16.0: as described"
reg:squarederror: XGBoost 0.0 to 1.0, ONNX 0.0 to 1.0, agree True
count:poisson: XGBoost 0.0 to 1.0, ONNX 0.0 to 1.0, agree True
reg:gamma: XGBoost 0.0 to 1.0, ONNX 0.0 to 1.0, agree True
reg:logistic: XGBoost 0.0 to 1.0, ONNX -3.9 to 4.8, agree False
log-odds by ONNX less those by XGBoost: 0.52 to 0.52
SEEN
