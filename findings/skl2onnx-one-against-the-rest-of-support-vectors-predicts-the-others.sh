#!/usr/bin/env bash
# skl2onnx 1.20.0, onnxruntime 1.32.0, scikit-learn 1.9.1: `OneVsRestClassifier(SVC())`, a common way to have one machine for each
# class, is converted without a word into a model with the scores of the classes turned round: the class that is least likely has
# the highest, and is predicted. An accuracy of 0.92 becomes 0.00. One-against-rest of a logistic regression and a plain SVC of
# the same classes convert well, so neither of the two parts is to blame alone. With two classes it is the same, and there
# LinearSVC, too, predicts other labels, of a few rows in a hundred.
#
# Seen: the accuracy on 300 rows by scikit-learn and by ONNX, of three classes and of two.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check \
  skl2onnx==1.20.0 onnxruntime==1.32.0 onnx==1.23.2 scikit-learn==1.9.1 numpy==2.4.6
cat > "$place/rest.py" <<'PYTHON'
import numpy as np
import onnxruntime
from skl2onnx import to_onnx
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.svm import SVC, LinearSVC

draws = np.random.default_rng(0)
rows = draws.normal(size=(300, 4)).astype(np.float32)
delay = 3 * rows[:, 0] + draws.normal(scale=0.5, size=300)
for labels in (np.digitize(delay, [-2, 2]), (delay > 2).astype(int)):
    for one in (LogisticRegression(), LinearSVC(), SVC()):
        for model in (one, OneVsRestClassifier(one)):
            model.fit(rows, labels)
            content = to_onnx(model, rows[:1]).SerializeToString()
            session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
            predicted = session.run([session.get_outputs()[0].name], {"X": rows})[0]
            name = type(one).__name__ if model is one else f"one against the rest of {type(one).__name__}"
            print(f"{len(set(labels))} classes, {name}: {model.score(rows, labels):.2f} {np.mean(predicted == labels):.2f}")
PYTHON
OMP_NUM_THREADS=1 "$place/venv/bin/python" -W ignore "$place/rest.py" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "skl2onnx 1.20.0: as described"
3 classes, LogisticRegression: 0.89 0.89
3 classes, one against the rest of LogisticRegression: 0.89 0.89
3 classes, LinearSVC: 0.90 0.90
3 classes, one against the rest of LinearSVC: 0.90 0.90
3 classes, SVC: 0.92 0.92
3 classes, one against the rest of SVC: 0.92 0.00
2 classes, LogisticRegression: 0.95 0.95
2 classes, one against the rest of LogisticRegression: 0.95 0.95
2 classes, LinearSVC: 0.95 0.95
2 classes, one against the rest of LinearSVC: 0.95 0.92
2 classes, SVC: 0.95 0.95
2 classes, one against the rest of SVC: 0.95 0.05
SEEN
