#!/usr/bin/env bash
# shap 0.51.0, XGBoost 3.2.0, LightGBM 4.7.0: `TreeExplainer(model)` leaves a boosted model to the library that made it, and is
# exact. `TreeExplainer(model, rows)`, which compares with given rows and is what `Explainer(model, rows)` does, reads the trees
# itself. What a library adds to a tree isn't read: the weights that dropped trees have in XGBoost's `dart`, and the linear
# functions in the leaves of LightGBM's `linear_tree`. Attributions then add up to several times what is predicted, or to steps in
# place of lines. Nothing warns: the check that they add up, which is on by default, lets them pass. Of plain boosting, and of
# `dart` in LightGBM, which scales the leaves themselves, both ways are exact.
#
# Seen: by model, the largest difference between prediction and attributions, in standard deviations of the predictions, without
# and with rows; LightGBM refuses to explain linear trees itself.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check \
  shap==0.51.0 xgboost==3.2.0 lightgbm==4.7.0 scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1 pandas==2.3.3
cat > "$place/rows.py" <<'PYTHON'
import numpy as np
import shap
from lightgbm import LGBMRegressor
from lightgbm.basic import LightGBMError
from xgboost import XGBRegressor

draws = np.random.default_rng(0)
rows = draws.normal(size=(1000, 3))
labels = 3 * rows[:, 0] + rows[:, 1] + draws.normal(size=1000)
few = {"n_estimators": 20, "n_jobs": 1}
quiet = {**few, "verbose": -1}
for name, model in {
    "XGBoost": XGBRegressor(**few),
    "XGBoost, dart": XGBRegressor(booster="dart", rate_drop=0.5, seed=0, **few),
    "LightGBM": LGBMRegressor(**quiet),
    "LightGBM, dart": LGBMRegressor(boosting_type="dart", drop_rate=0.5, **quiet),
    "LightGBM, linear trees": LGBMRegressor(linear_tree=True, **quiet),
}.items():
    predictions = model.fit(rows, labels).predict(rows)
    print(name, end=":")
    for background in (None, rows[:100]):
        try:
            explanation = shap.TreeExplainer(model, background)(rows)
        except LightGBMError:
            print(" refused", end="")
            continue
        sums = explanation.values.sum(axis=1) + explanation.base_values
        print(f" {abs(sums - predictions).max() / predictions.std():.1f}", end="")
    print()
PYTHON
"$place/venv/bin/python" -W ignore "$place/rows.py" 2> "$place/errors" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "shap 0.51.0: as described"
XGBoost: 0.0 0.0
XGBoost, dart: 0.0 7.6
LightGBM: 0.0 0.0
LightGBM, dart: 0.0 0.0
LightGBM, linear trees: refused 1.4
SEEN
