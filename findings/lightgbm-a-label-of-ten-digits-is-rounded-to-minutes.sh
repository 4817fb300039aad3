#!/usr/bin/env bash
# LightGBM 4.7.0, XGBoost 3.2.0, CatBoost 1.2.10: labels are kept in single precision, whatever type they come in. That has
# seven digits: from 1.7e9 on, as seconds since 1970 are, the next number is 128 away. A model that is to say when something
# happens learns from labels rounded to two minutes; nothing warns, and the labels that they are compared with are the exact
# ones. Histogram boosting of scikit-learn keeps double precision.
#
# Subtract a constant first, and add it to the predictions.
#
# Seen: the error on the rows of training, in seconds, of times that spread by 60 seconds; as they are, and less 1.7e9.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check \
  lightgbm==4.7.0 xgboost-cpu==3.2.0 catboost==1.2.10 scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1 pandas==2.3.3
cd "$place"
cat > times.py <<'PYTHON'
import numpy as np
from catboost import CatBoostRegressor
from lightgbm import LGBMRegressor
from sklearn.ensemble import HistGradientBoostingRegressor
from xgboost import XGBRegressor

inputs = np.random.default_rng(0).normal(size=(2000, 1))
seconds = 60 * inputs[:, 0]
for model in (
    LGBMRegressor(n_estimators=200, n_jobs=1, verbose=-1),
    XGBRegressor(n_estimators=200, n_jobs=1),
    CatBoostRegressor(n_estimators=200, thread_count=1, verbose=False, allow_writing_files=False),
    HistGradientBoostingRegressor(max_iter=200),
):
    errors = []
    for origin in (1.7e9, 0):
        predictions = model.fit(inputs, seconds + origin).predict(inputs).astype(float)
        errors.append(np.sqrt(np.mean((predictions - origin - seconds) ** 2)))
    print(f"{type(model).__name__}: {errors[0]:.0f} and {errors[1]:.0f} seconds")
PYTHON
OMP_NUM_THREADS=1 "$place/venv/bin/python" -W ignore times.py > seen
diff - seen <<'SEEN' && echo "LightGBM 4.7.0, XGBoost 3.2.0, CatBoost 1.2.10: as described"
LGBMRegressor: 37 and 3 seconds
XGBRegressor: 60 and 2 seconds
CatBoostRegressor: 37 and 2 seconds
HistGradientBoostingRegressor: 3 and 3 seconds
SEEN
