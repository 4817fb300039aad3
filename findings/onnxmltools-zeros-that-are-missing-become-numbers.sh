#!/usr/bin/env bash
# onnxmltools 1.16.0, LightGBM 4.7.0, onnxruntime 1.32.0: with `zero_as_missing=True` LightGBM takes 0 and nan for missing,
# and sends both to the side of a split that it has learned for them. onnxmltools converts such a model without a word, and
# in ONNX a 0 is compared with the threshold as any number. Rows that have a 0 are wrong by as much as being missing means,
# and the others agree, so that a test without zeros finds nothing. The same model without the option agrees; a converter of
# XGBoost in the same package refuses a `missing` other than nan.
#
# Seen: the largest difference between LightGBM and ONNX, in rows with a 0 and in the others, by the option.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check \
  onnxmltools==1.16.0 skl2onnx==1.20.0 onnx==1.23.2 lightgbm==4.7.0 onnxruntime==1.32.0 scikit-learn==1.9.1 \
  numpy==2.4.6 scipy==1.17.1
cd "$place"
cat > zeros.py <<'PYTHON'
import numpy as np
import onnxruntime
from lightgbm import LGBMRegressor
from onnxmltools import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType

onnxruntime.set_default_logger_severity(4)
draws = np.random.default_rng(0)
inputs = draws.normal(size=(2000, 2)).astype(np.float32)
is_missing = draws.random(2000) < 0.3
labels = inputs[:, 0] + np.where(is_missing, 3.0, inputs[:, 1])
inputs[is_missing, 1] = 0
for option in (False, True):
    model = LGBMRegressor(zero_as_missing=option, n_estimators=50, n_jobs=1, verbose=-1).fit(inputs, labels)
    graph = convert_lightgbm(model, initial_types=[("rows", FloatTensorType([None, 2]))], target_opset=15)
    answers = onnxruntime.InferenceSession(graph.SerializeToString()).run(None, {"rows": inputs})[0].ravel()
    differences = np.abs(answers - model.predict(inputs))
    parts = differences[is_missing].max(), differences[~is_missing].max()
    print(f"zero_as_missing={option}: " + "{:.1f} in rows with 0, {:.1f} in others".format(*parts))
PYTHON
OMP_NUM_THREADS=1 "$place/venv/bin/python" -W ignore zeros.py > seen
diff - seen <<'SEEN' && echo "onnxmltools 1.16.0: as described"
zero_as_missing=False: 0.0 in rows with 0, 0.0 in others
zero_as_missing=True: 3.1 in rows with 0, 0.0 in others
SEEN
