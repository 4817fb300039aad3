#!/usr/bin/env bash
# CatBoost 1.2.10, onnxruntime 1.32.0: `save_model(format="onnx")` writes a Poisson or Tweedie regression without the
# exponential at its end: where CatBoost predicts a count ONNX answers with its logarithm, which is negative below 1.
# One-vs-all classifiers, whose probabilities are a sigmoid for each class, are written with a softmax: they add up to 1 in
# ONNX, and needn't in CatBoost, where a row can belong to none. Both are written without a word. Regressions by squared
# error, and classifiers with one loss for all classes, agree to six digits. The page of the export names categorical
# features as what it can't take.
#
# Seen: the mean of counts by CatBoost and by ONNX, and with the exponential put behind it; and what the probabilities of a
# row add up to.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check \
  catboost==1.2.10 onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6 scipy==1.17.1 pandas==2.3.3
cd "$place"
cat > export.py <<'PYTHON'
import numpy as np
import onnxruntime
from catboost import CatBoostClassifier, CatBoostRegressor

onnxruntime.set_default_logger_severity(4)
draws = np.random.default_rng(0)
inputs = draws.normal(size=(2000, 2)).astype(np.float32)
counts = draws.poisson(np.exp(inputs[:, 0] - 1))
classes = np.digitize(inputs[:, 0] + draws.normal(size=2000), [-1, 1])
options = {"iterations": 50, "verbose": False, "thread_count": 1, "allow_writing_files": False}


def run_onnx(model):
    model.save_model("model.onnx", format="onnx")
    return onnxruntime.InferenceSession("model.onnx").run(None, {"features": inputs})


for loss in ("RMSE", "Poisson", "Tweedie:variance_power=1.5"):
    model = CatBoostRegressor(loss_function=loss, **options).fit(inputs, counts)
    expected, answers = model.predict(inputs), run_onnx(model)[0].ravel()
    by_exponential = np.allclose(expected, np.exp(answers), rtol=1e-4)
    print(f"{loss}: mean {expected.mean():.2f}, by ONNX {answers.mean():.2f}, equal with an exponential: {by_exponential}")
for loss in ("MultiClass", "MultiClassOneVsAll"):
    model = CatBoostClassifier(loss_function=loss, **options).fit(inputs, classes)
    expected, answers = model.predict_proba(inputs), np.array([list(row.values()) for row in run_onnx(model)[1]])
    sums = [f"{numbers.sum(axis=1).min():.2f} to {numbers.sum(axis=1).max():.2f}" for numbers in (expected, answers)]
    print(f"{loss}: sums {sums[0]}, by ONNX {sums[1]}, largest difference {np.abs(expected - answers).max():.2f}")
PYTHON
OMP_NUM_THREADS=1 "$place/venv/bin/python" -W ignore export.py > seen
diff - seen <<'SEEN' && echo "CatBoost 1.2.10: as described"
RMSE: mean 0.57, by ONNX 0.57, equal with an exponential: False
Poisson: mean 0.67, by ONNX -0.57, equal with an exponential: True
Tweedie:variance_power=1.5: mean 0.59, by ONNX -0.75, equal with an exponential: True
MultiClass: sums 1.00 to 1.00, by ONNX 1.00 to 1.00, largest difference 0.00
MultiClassOneVsAll: sums 1.11 to 1.17, by ONNX 1.00 to 1.00, largest difference 0.16
SEEN
