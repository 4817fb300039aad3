#!/usr/bin/env bash
# onnxmltools 1.16.0, LightGBM 4.7.0, onnxruntime 1.32.0: with `boosting_type="rf"` LightGBM predicts the mean of its trees.
# onnxmltools converts such a model without a word, and in ONNX the sum of the trees is divided by 100, however many they
# are. A hundred is what LightGBM grows unless told otherwise, so that a model of default size agrees, and one of 20 trees
# answers with a fifth, one of 200 with twice the prediction. The probabilities of a classifier are near 0 with any number
# of trees, so that no row is of its class any more.
#
# Seen: mean prediction of numbers about 10, and mean probability of a class that a tenth of the rows have, by LightGBM and
# by ONNX, by the number of trees.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check \
  onnxmltools==1.16.0 skl2onnx==1.20.0 onnx==1.23.2 lightgbm==4.7.0 onnxruntime==1.32.0 scikit-learn==1.9.1 \
  numpy==2.4.6 scipy==1.17.1
cd "$place"
cat > forest.py <<'PYTHON'
import numpy as np
import onnxruntime
from lightgbm import LGBMClassifier, LGBMRegressor
from onnxmltools import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType

sampling = {"bagging_freq": 1, "bagging_fraction": 0.5}
onnxruntime.set_default_logger_severity(4)
inputs = np.random.default_rng(0).normal(size=(2000, 3)).astype(np.float32)
score = inputs @ np.array([1.0, 2.0, 0.0], np.float32)
for trees in (20, 100, 200):
    for kind, labels in ((LGBMRegressor, 10 + score), (LGBMClassifier, (score > 2.87).astype(int))):
        model = kind(boosting_type="rf", n_estimators=trees, random_state=0, n_jobs=1, verbose=-1, **sampling)
        model.fit(inputs, labels)
        graph = convert_lightgbm(model, initial_types=[("rows", FloatTensorType([None, 3]))], target_opset=15, zipmap=False)
        outputs = onnxruntime.InferenceSession(graph.SerializeToString()).run(None, {"rows": inputs})
        answers = {"LightGBM": model.predict(inputs), "ONNX": outputs[0].ravel()}
        if kind is LGBMClassifier:
            answers = {"LightGBM": model.predict_proba(inputs)[:, 1], "ONNX": outputs[1][:, 1]}
        means = ", ".join(f"{name} {answer.mean():.2f}" for name, answer in answers.items())
        print(f"{trees} trees, {kind.__name__}: mean by {means}")
PYTHON
OMP_NUM_THREADS=1 "$place/venv/bin/python" -W ignore forest.py > seen
diff - seen <<'SEEN' && echo "onnxmltools 1.16.0: as described"
20 trees, LGBMRegressor: mean by LightGBM 10.00, ONNX 2.00
20 trees, LGBMClassifier: mean by LightGBM 0.14, ONNX 0.00
100 trees, LGBMRegressor: mean by LightGBM 10.00, ONNX 10.00
100 trees, LGBMClassifier: mean by LightGBM 0.15, ONNX 0.00
200 trees, LGBMRegressor: mean by LightGBM 10.00, ONNX 20.01
200 trees, LGBMClassifier: mean by LightGBM 0.15, ONNX 0.00
SEEN
