#!/usr/bin/env bash
# skl2onnx 1.20.0, onnxruntime 1.32.0, scikit-learn 1.9.1: `LinearDiscriminantAnalysis` of two classes. The ONNX model
# gives the probabilities of twice the margin, so that 0.7 becomes 0.84 and 0.9 becomes 0.99: the labels agree, order
# and ranks too, and with them each measure that takes only these. What is decided by a threshold other than one half,
# or by an expected value, is decided otherwise. With three classes the probabilities agree.
#
# Seen: the largest difference of a label and of a probability, and of a probability from that of twice the margin.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check \
  skl2onnx==1.20.0 onnxruntime==1.32.0 onnx==1.23.2 scikit-learn==1.9.1 numpy==2.4.6
cat > "$place/discriminant.py" <<'PYTHON'
import numpy as np
import onnxruntime
from skl2onnx import to_onnx
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

generator = np.random.default_rng(0)
rows = generator.normal(size=(1000, 2))
score = rows[:, 0] + generator.normal(size=1000)
for edges in ([0], [-1, 1]):
    model = LinearDiscriminantAnalysis().fit(rows, np.digitize(score, edges))
    content = to_onnx(model, rows[:1], options={id(model): {"zipmap": False}}).SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    labels, probabilities = session.run(None, {"X": rows})
    off = np.abs(probabilities - model.predict_proba(rows)).max()
    print(f"{len(edges) + 1} classes: labels differ {(labels != model.predict(rows)).sum()}, probabilities by {off:.2f}", end="")
    if len(edges) == 1:
        twice = 1 / (1 + np.exp(-2 * model.decision_function(rows)))
        print(f", from those of twice the margin by {np.abs(probabilities[:, 1] - twice).max():.2f}", end="")
    print()
PYTHON
"$place/venv/bin/python" "$place/discriminant.py" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "skl2onnx 1.20.0: as described"
2 classes: labels differ 0, probabilities by 0.15, from those of twice the margin by 0.00
3 classes: labels differ 0, probabilities by 0.00
SEEN
