#!/usr/bin/env bash
# scikit-learn 1.9.1: the share of rows that each tree of a forest draws, a float `max_samples`, is a share of the sum of the
# weights where weights are given, as its documentation says. Weights are else relative: all of 0.1 fit as all of 1 do. With
# max_samples=0.5 they draw a tenth as many rows, and weights that sum to 1 draw a single row; weights of 10 draw ten times as
# many, which nearly all rows are in, so that trees are alike. Weights that decay with age, or correct for sampling, sum to
# anything. A warning comes only where fewer rows are left than a bound, and none for too many. Bagging is alike, isolation
# forests aren't. Scale weights to a mean of 1, or give a number of rows.
#
# Seen: rows drawn by a tree of 2,000 and the log loss on others, by the weight that all rows have; the warnings are errors here.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1
cat > "$place/forest.py" <<'PYTHON'
import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import log_loss

draws = np.random.default_rng(0)
inputs = draws.normal(size=(4000, 3))
labels = (inputs[:, 0] + draws.normal(size=4000) > 0).astype(int)
for share in (None, 0.5):
    for weight in (1, 0.1, 10):
        forest = RandomForestClassifier(50, max_samples=share, min_samples_leaf=20, random_state=0)
        forest.fit(inputs[:2000], labels[:2000], sample_weight=np.full(2000, weight))
        loss = log_loss(labels[2000:], forest.predict_proba(inputs[2000:]))
        print(f"max_samples {share}, weight {weight}: {len(forest.estimators_samples_[0])} rows, log loss {loss:.2f}")
PYTHON
OMP_NUM_THREADS=1 "$place/venv/bin/python" -W error "$place/forest.py" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "scikit-learn 1.9.1: as described"
max_samples None, weight 1: 2000 rows, log loss 0.54
max_samples None, weight 0.1: 2000 rows, log loss 0.54
max_samples None, weight 10: 2000 rows, log loss 0.54
max_samples 0.5, weight 1: 1000 rows, log loss 0.54
max_samples 0.5, weight 0.1: 100 rows, log loss 0.59
max_samples 0.5, weight 10: 10000 rows, log loss 0.54
SEEN
