#!/usr/bin/env bash
# skl2onnx 1.20.0, onnxruntime 1.32.0, scikit-learn 1.9.1: between two of its thresholds, isotonic calibration of
# scikit-learn goes along a straight line. skl2onnx converts CalibratedClassifierCV(method="isotonic") without a word,
# and in ONNX each score has the probability of the threshold that is nearest: a staircase. Scores on the thresholds
# agree, so a test by rows that were seen shows little; the fewer rows it was calibrated by, the wider are the steps.
#
# Seen: the probability of numbers between those of the calibration, by scikit-learn and by ONNX.
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
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression

order = np.random.default_rng(0).permutation(70)
rows = np.repeat(np.arange(-3.0, 4), 10).reshape(-1, 1)[order]
target = (np.tile(np.arange(10), 7) < np.repeat([1, 1, 3, 5, 7, 9, 9], 10))[order]
model = CalibratedClassifierCV(LogisticRegression(), method="isotonic", cv=2, ensemble=False).fit(rows, target)
content = to_onnx(model, rows[:1], options={"zipmap": False}).SerializeToString()
session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
for number in (-0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75):
    row = np.array([[number]])
    print(number, model.predict_proba(row)[0, 1].round(2), session.run(None, {"X": row})[1][0, 1].round(2))
PYTHON
"$place/venv/bin/python" "$place/look.py" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "skl2onnx 1.20.0: as described"
-0.75 0.24 0.25
-0.5 0.36 0.25
-0.25 0.5 0.5
0.0 0.5 0.5
0.25 0.53 0.5
0.5 0.58 0.5
0.75 0.63 0.67
SEEN
