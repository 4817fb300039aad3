#!/usr/bin/env bash
# onnxmltools 1.16.0, XGBoost 3.2.0, onnxruntime 1.32.0: with `num_parallel_tree` XGBoost grows several trees for each class
# in each round, all of one class before those of the next; `XGBRFClassifier` is such a model of one round. onnxmltools
# gives the trees to the classes in turn, one each. With three or more classes each class of the ONNX model so adds up trees
# of others: probabilities differ by up to a half, and of a forest each label can be wrong. Nothing warns. With one tree a
# round they agree to seven digits.
#
# Seen: the accuracy on the rows of training by XGBoost and by ONNX, and the largest difference of a probability, by trees
# in a round.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check \
  onnxmltools==1.16.0 skl2onnx==1.20.0 onnx==1.23.2 xgboost-cpu==3.2.0 onnxruntime==1.32.0 scikit-learn==1.9.1 \
  numpy==2.4.6 scipy==1.17.1
cd "$place"
cat > classes.py <<'PYTHON'
import numpy as np
import onnxruntime
from onnxmltools import convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType
from xgboost import XGBClassifier, XGBRFClassifier

onnxruntime.set_default_logger_severity(4)
inputs = np.random.default_rng(0).normal(size=(2000, 2)).astype(np.float32)
labels = np.digitize(inputs[:, 0], [-0.5, 0.5])
for model in (
    XGBClassifier(n_estimators=20, n_jobs=1),
    XGBClassifier(n_estimators=5, num_parallel_tree=4, n_jobs=1),
    XGBRFClassifier(n_estimators=20, random_state=0, n_jobs=1),
):
    model.fit(inputs, labels)
    graph = convert_xgboost(model, initial_types=[("rows", FloatTensorType([None, 2]))], target_opset=15)
    named, probabilities = onnxruntime.InferenceSession(graph.SerializeToString()).run(None, {"rows": inputs})
    right = [np.mean(answer == labels) for answer in (model.predict(inputs), named.ravel())]
    difference = np.abs(probabilities - model.predict_proba(inputs)).max()
    print(type(model).__name__, model.get_num_boosting_rounds(), "rounds:", end=" ")
    print(f"XGBoost {right[0]:.2f}, ONNX {right[1]:.2f} right, probabilities differ by {difference:.1f}")
PYTHON
OMP_NUM_THREADS=1 "$place/venv/bin/python" -W ignore classes.py > seen
diff - seen <<'SEEN' && echo "onnxmltools 1.16.0: as described"
XGBClassifier 20 rounds: XGBoost 1.00, ONNX 1.00 right, probabilities differ by 0.0
XGBClassifier 5 rounds: XGBoost 1.00, ONNX 1.00 right, probabilities differ by 0.4
XGBRFClassifier 1 rounds: XGBoost 1.00, ONNX 0.00 right, probabilities differ by 0.5
SEEN
