#!/usr/bin/env bash
# lightgbm 4.7.0, catboost 1.2.10: both have a metric `mape`, and lightgbm an objective of that name. Of labels below one, as
# shares, rates and prices in thousands are, it is the mean absolute error: they divide by one where the label is smaller. catboost
# shows the formula, lightgbm's docs say "MAPE loss" alone. An error of 50 percent of shares of two percent is reported as one
# percent, and as 50 percent by scikit-learn. With `objective="mape"` lightgbm fits shares by their median, and the same numbers as
# percentages by the smaller value that has the least percentage error, as it should: the unit decides what is learnt.
#
# Seen: the metric of labels of 0.02 and 20 that are predicted half as large again, and what lightgbm fits to equally many of 0.1,
# 0.2 and 0.9 and to the hundredfold, beside which of the three values has the least percentage error.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check \
  lightgbm==4.7.0 catboost==1.2.10 scikit-learn==1.9.1 numpy==2.4.6 pandas==2.3.3 scipy==1.17.1
cat > "$place/shares.py" <<'PYTHON'
import lightgbm
import numpy as np
from catboost.utils import eval_metric
from sklearn.metrics import mean_absolute_percentage_error

quiet = {"verbose": -1, "num_threads": 1}


def of_lightgbm(labels, predictions):
    data = lightgbm.Dataset(np.zeros((len(labels), 1)), labels, init_score=predictions)
    seen = {}
    lightgbm.train(
        {"objective": "regression", "metric": "mape", "learning_rate": 1e-12, "boost_from_average": False, **quiet},
        data, 1, valid_sets=[data], valid_names=["rows"], callbacks=[lightgbm.record_evaluation(seen)],
    )  # fmt: skip
    return seen["rows"]["mape"][0]


for label in (0.02, 20.0):
    labels, predictions = np.full(100, label), np.full(100, 1.5 * label)
    values = {
        "lightgbm": of_lightgbm(labels, predictions),
        "catboost": eval_metric(labels, predictions, "MAPE")[0],
        "scikit-learn": mean_absolute_percentage_error(labels, predictions),
    }
    print(label, *(f"{name} {value:.2f}" for name, value in values.items()))
for factor in (1, 100):
    labels = factor * np.repeat([0.1, 0.2, 0.9], 100)
    model = lightgbm.train({"objective": "mape", **quiet}, lightgbm.Dataset(np.zeros((300, 1)), labels), 200)
    least = min(np.unique(labels), key=lambda value: mean_absolute_percentage_error(labels, np.full(300, value)))
    print(f"fits {model.predict([[0.0]])[0]:.1f}, least {least:.1f}")
PYTHON
OMP_NUM_THREADS=1 "$place/venv/bin/python" -W ignore "$place/shares.py" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "lightgbm 4.7.0: as described"
0.02 lightgbm 0.01 catboost 0.01 scikit-learn 0.50
20.0 lightgbm 0.50 catboost 0.50 scikit-learn 0.50
fits 0.2, least 0.1
fits 10.0, least 10.0
SEEN
