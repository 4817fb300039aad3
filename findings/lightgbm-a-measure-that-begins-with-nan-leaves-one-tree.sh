#!/usr/bin/env bash
# LightGBM 4.7.0, XGBoost 3.2.0: early stopping keeps the round with the best value of a measure. The first round's is the best so
# far, whatever it is, and a later one is better where it is larger. Nothing is larger than nan. A measure that isn't defined in
# the first round so never gets better: both stop when their patience is over, name the first round as the best, and predict by
# one tree. The precision of a rare outcome is such a measure: as long as no row is above one half it is 0 of 0. LightGBM and
# XGBoost write nan into their log and don't warn; nan in a later round is just not an improvement. A measure that gives 0 there
# gets on. CatBoost raises.
#
# Seen: the rounds by which each predicts, and the share of the outcome that is found, for a precision that is 0 and one that is
# nan where nothing is predicted.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check \
  lightgbm==4.7.0 xgboost==3.2.0 scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1
cat > "$place/precision.py" <<'PYTHON'
import lightgbm
import numpy as np
import xgboost
from sklearn.metrics import precision_score, recall_score

draws = np.random.default_rng(0)
rows = draws.normal(size=(4000, 3))
labels = (rows[:, 0] * rows[:, 1] + rows[:, 2] + 0.3 * draws.normal(size=4000) > 1).astype(int)
(learn, test), (known, true) = np.split(rows, 2), np.split(labels, 2)
for undefined in (0.0, np.nan):

    def measure(scores, data, undefined=undefined):
        return "precision", precision_score(data.get_label(), scores > 0.5, zero_division=undefined)

    options = {"objective": "binary", "learning_rate": 0.05, "metric": "None", "verbose": -1, "num_threads": 1}
    stop = lightgbm.early_stopping(20, verbose=False)
    sets = lightgbm.Dataset(learn, known), lightgbm.Dataset(test, true)
    light = lightgbm.train(
        options, sets[0], 300, [sets[1]], feval=lambda *each: (*measure(*each), True), callbacks=[stop]
    )
    options = {"objective": "binary:logistic", "eta": 0.05, "disable_default_eval_metric": True, "nthread": 1}
    sets = xgboost.DMatrix(learn, known), xgboost.DMatrix(test, true)
    extreme = xgboost.train(
        options,
        sets[0],
        300,
        evals=[(sets[1], "test")],
        custom_metric=measure,
        maximize=True,
        early_stopping_rounds=20,
        verbose_eval=False,
    )
    best = extreme.best_iteration + 1
    print(undefined, "LightGBM", light.best_iteration, f"{recall_score(true, light.predict(test) > 0.5):.2f}", end=" ")
    print("XGBoost", best, f"{recall_score(true, extreme.predict(sets[1], iteration_range=(0, best)) > 0.5):.2f}")
PYTHON
"$place/venv/bin/python" "$place/precision.py" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "LightGBM 4.7.0, XGBoost 3.2.0: as described"
0.0 LightGBM 9 0.23 XGBoost 11 0.37
nan LightGBM 1 0.00 XGBoost 1 0.00
SEEN
