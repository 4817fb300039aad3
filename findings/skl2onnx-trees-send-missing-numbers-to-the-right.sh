#!/usr/bin/env bash
# skl2onnx 1.20.0, onnxruntime 1.32.0, scikit-learn 1.9.1: trees and forests of scikit-learn take missing numbers, and
# learn at each split to which side they go. skl2onnx converts such a model without a word and leaves out the sides: in
# the ONNX model every missing number goes to the right. Rows without one agree, so a test of equal answers has to have
# some.
#
# Seen, of a target that is one where the number is missing or below 0: what share of the rows is answered alike, with
# and without a number, by a tree and by a forest.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check \
  skl2onnx==1.20.0 onnxruntime==1.32.0 onnx==1.23.2 scikit-learn==1.9.1 numpy==2.4.6
cat > "$place/trees.py" <<'PYTHON'
import numpy as np
import onnxruntime
from skl2onnx import to_onnx
from sklearn.ensemble import RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier

generator = np.random.default_rng(0)
rows = generator.normal(size=(1000, 1)).astype(np.float32)
rows[:300] = np.nan
missing = np.isnan(rows[:, 0])
target = missing | (rows[:, 0] < 0)
for estimator in (DecisionTreeClassifier(random_state=0), RandomForestClassifier(10, random_state=0)):
    model = estimator.fit(rows, target)
    content = to_onnx(model, rows[-1:]).SerializeToString()
    labels = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"]).run(None, {"X": rows})[0]
    alike = model.predict(rows) == labels
    print(type(model).__name__, "right by scikit-learn", f"{model.score(rows, target):.0%}", end=" | ")
    print("alike with a number", f"{alike[~missing].mean():.0%}", "| without", f"{alike[missing].mean():.0%}")
PYTHON
"$place/venv/bin/python" "$place/trees.py" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "skl2onnx 1.20.0: as described"
DecisionTreeClassifier right by scikit-learn 100% | alike with a number 100% | without 0%
RandomForestClassifier right by scikit-learn 100% | alike with a number 100% | without 0%
SEEN
