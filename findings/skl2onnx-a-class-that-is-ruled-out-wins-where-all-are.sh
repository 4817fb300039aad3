#!/usr/bin/env bash
# skl2onnx 1.20.0, onnxruntime 1.32.0, scikit-learn 1.9.1: `SGDClassifier(loss="modified_huber")` gives probabilities that are
# often exactly 0 or 1, and equal ones where every class is ruled out by its own score. scikit-learn predicts by the scores, which
# are never equal. In ONNX the label is that of the largest probability, and of equal ones the first: the same probabilities, to
# the last digit, and other labels for a third of the rows. A test that compares probabilities sees nothing, and one with two
# classes neither. With `loss="log_loss"` both agree.
#
# Seen: by loss, the largest difference between probabilities, the share of rows with another label, and the accuracy by
# scikit-learn and by ONNX.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check \
  skl2onnx==1.20.0 onnxruntime==1.32.0 onnx==1.23.2 scikit-learn==1.9.1 numpy==2.4.6
cat > "$place/huber.py" <<'PYTHON'
import numpy as np
import onnxruntime
from skl2onnx import to_onnx
from sklearn.linear_model import SGDClassifier

draws = np.random.default_rng(0)
rows = draws.normal(size=(300, 4))
labels = np.digitize(3 * rows[:, 0] + draws.normal(scale=0.1, size=300), [-2, 2])
for loss in ("log_loss", "modified_huber"):
    model = SGDClassifier(loss=loss, random_state=0).fit(rows, labels)
    content = to_onnx(model, rows[:1], options={"zipmap": False}).SerializeToString()
    predicted, probabilities = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"]).run(None, {"X": rows})
    largest = np.abs(probabilities - model.predict_proba(rows)).max()
    other = np.mean(predicted != model.predict(rows))
    print(f"{loss}: {largest:.6f}, {other:.2f}, {model.score(rows, labels):.2f} {np.mean(predicted == labels):.2f}")
PYTHON
OMP_NUM_THREADS=1 "$place/venv/bin/python" "$place/huber.py" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "skl2onnx 1.20.0: as described"
log_loss: 0.000000, 0.00, 0.96 0.96
modified_huber: 0.000000, 0.32, 0.93 0.61
SEEN
