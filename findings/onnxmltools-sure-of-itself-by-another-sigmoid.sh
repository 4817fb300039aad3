#!/usr/bin/env bash
# onnxmltools 1.16.0, LightGBM 4.7.0, onnxruntime 1.32.0: LightGBM's parameter `sigmoid` says how steeply a score becomes a
# probability. onnxmltools converts a classifier with one other than 1 without a word, and ONNX takes 1: with sigmoid=2 a
# probability of 0.95 becomes 0.81. Models of several classes with `multiclassova` have a sigmoid for each class, scaled to
# a sum of 1; in ONNX they are put through a softmax, and differ by a quarter. Labels agree, by which such a conversion is
# tested most; thresholds and expected values don't.
#
# Seen: how many labels agree, and the largest difference of a probability, by objective.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check \
  onnxmltools==1.16.0 skl2onnx==1.20.0 onnx==1.23.2 lightgbm==4.7.0 onnxruntime==1.32.0 scikit-learn==1.9.1 \
  numpy==2.4.6 scipy==1.17.1
cd "$place"
cat > sigmoid.py <<'PYTHON'
import numpy as np
import onnxruntime
from lightgbm import LGBMClassifier
from onnxmltools import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType

onnxruntime.set_default_logger_severity(4)
draws = np.random.default_rng(0)
inputs = draws.normal(size=(3000, 2)).astype(np.float32)
score = inputs[:, 0] + draws.normal(size=3000)
for options, limits in (
    ({"objective": "binary"}, [0]),
    ({"objective": "binary", "sigmoid": 2.0}, [0]),
    ({"objective": "multiclass"}, [-1, 1]),
    ({"objective": "multiclassova"}, [-1, 1]),
):
    model = LGBMClassifier(n_estimators=20, n_jobs=1, verbose=-1, **options).fit(inputs, np.digitize(score, limits))
    graph = convert_lightgbm(model, initial_types=[("rows", FloatTensorType([None, 2]))], target_opset=15, zipmap=False)
    labels, probabilities = onnxruntime.InferenceSession(graph.SerializeToString()).run(None, {"rows": inputs})
    difference = np.abs(probabilities - model.predict_proba(inputs)).max()
    agree = np.mean(labels.ravel() == model.predict(inputs))
    print(options, f"labels {agree:.3f}, probabilities differ by {difference:.2f}")
PYTHON
OMP_NUM_THREADS=1 "$place/venv/bin/python" -W ignore sigmoid.py > seen
diff - seen <<'SEEN' && echo "onnxmltools 1.16.0: as described"
{'objective': 'binary'} labels 1.000, probabilities differ by 0.00
{'objective': 'binary', 'sigmoid': 2.0} labels 1.000, probabilities differ by 0.15
{'objective': 'multiclass'} labels 1.000, probabilities differ by 0.00
{'objective': 'multiclassova'} labels 1.000, probabilities differ by 0.25
SEEN
