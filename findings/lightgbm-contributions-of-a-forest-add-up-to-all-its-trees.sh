#!/usr/bin/env bash
# LightGBM 4.7.0: `predict(pred_contrib=True)` says what each column adds to a prediction, with the expected value as the
# last column; the sum is the prediction, says its page. With `boosting_type="rf"` the prediction is the mean of the trees.
# The contributions are not divided: they add up to the sum of all trees, a hundred times the prediction for a hundred
# trees, and the expected value is a hundred times the mean label. Nothing warns.
#
# An explanation in the label's unit, as pounds of a price, is wrong by the number of trees; shares and order of the columns
# are right.
#
# Seen: mean prediction, mean sum of contributions, and mean expected value, for labels about 10, by kind of booster and
# number of trees.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check \
  lightgbm==4.7.0 numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1
cd "$place"
cat > contributions.py <<'PYTHON'
import numpy as np
from lightgbm import LGBMRegressor

inputs = np.random.default_rng(0).normal(size=(2000, 3))
labels = 10 + inputs @ [1.0, 2.0, 0.0]
for kind, trees in (("gbdt", 100), ("dart", 100), ("rf", 10), ("rf", 100)):
    options = {"bagging_freq": 1, "bagging_fraction": 0.5} if kind == "rf" else {}
    model = LGBMRegressor(boosting_type=kind, n_estimators=trees, random_state=0, n_jobs=1, verbose=-1, **options)
    model.fit(inputs, labels)
    contributions = model.predict(inputs, pred_contrib=True)
    means = model.predict(inputs).mean(), contributions.sum(axis=1).mean(), contributions[:, -1].mean()
    print(kind, trees, "trees: prediction {:.1f}, contributions {:.1f}, expected value {:.1f}".format(*means))
PYTHON
OMP_NUM_THREADS=1 "$place/venv/bin/python" -W ignore contributions.py > seen
diff - seen <<'SEEN' && echo "LightGBM 4.7.0: as described"
gbdt 100 trees: prediction 10.0, contributions 10.0, expected value 10.0
dart 100 trees: prediction 8.7, contributions 8.7, expected value 8.7
rf 10 trees: prediction 10.0, contributions 100.0, expected value 100.1
rf 100 trees: prediction 10.0, contributions 1000.5, expected value 1002.0
SEEN
