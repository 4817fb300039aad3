#!/usr/bin/env bash
# LightGBM 4.7.0: the area under the curve of rows that are all of one class, and of a query in which nothing is relevant
# the average precision and NDCG, are 0 of 0. LightGBM says 1, the best there is, without a warning. scikit-learn says nan
# for the first and 0 for the others. A day without an event as validation set stops training after the first round, as it
# can't get better, and the mean over queries rises with each query that has no answer: a period of fewer clicks looks like
# one of a better model.
#
# Seen: what LightGBM records, and what scikit-learn says of the same scores; and of two queries, of which the first has an
# answer that is found too late, the means without and with the second.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check \
  lightgbm==4.7.0 scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1
cd "$place"
cat > order.py <<'PYTHON'
import lightgbm
import numpy as np
from sklearn.metrics import average_precision_score, ndcg_score, roc_auc_score

inputs = np.random.default_rng(0).normal(size=(600, 1))
labels = (inputs[:, 0] + np.random.default_rng(1).normal(size=600) > 0).astype(int)


def evaluate(parameters, rows, group=None):
    train = lightgbm.Dataset(inputs, labels, group=None if group is None else [100] * 6)
    valid = lightgbm.Dataset(rows[0], rows[1], group=group, reference=train)
    seen, stop = {}, lightgbm.early_stopping(5, verbose=False)
    options = {"verbose": -1, "num_threads": 1, "learning_rate": 0.01}
    booster = lightgbm.train(parameters | options, train, 50, [valid], callbacks=[lightgbm.record_evaluation(seen), stop])
    return {name: float(round(values[-1], 2)) for name, values in seen["valid_0"].items()}, booster.best_iteration


none = np.zeros(100, int)
scores, rounds = evaluate({"objective": "binary", "metric": ["auc", "average_precision"]}, (inputs[:100], none))
print("LightGBM", scores, "best round", rounds)
print("scikit-learn", roc_auc_score(none, inputs[:100, 0]), average_precision_score(none, inputs[:100, 0]))
ranking = {"objective": "lambdarank", "metric": ["ndcg", "map"], "eval_at": 3}
one = np.array([0] * 3 + [1] + [0] * 6)
for name, relevant, group in (("one answer", one, [10]), ("one answer and a query without", np.r_[one, [0] * 10], [10, 10])):
    print(name, evaluate(ranking, (np.sort(inputs[: len(relevant)], axis=0), relevant), group)[0])
print("scikit-learn, a query without", ndcg_score([[0] * 10], [np.arange(10)], k=3))
PYTHON
OMP_NUM_THREADS=1 "$place/venv/bin/python" -W ignore order.py > seen
diff - seen <<'SEEN' && echo "LightGBM 4.7.0: as described"
LightGBM {'auc': 1.0, 'average_precision': 1.0} best round 1
scikit-learn nan 0.0
one answer {'ndcg@3': 0.0, 'map@3': 0.0}
one answer and a query without {'ndcg@3': 0.5, 'map@3': 0.5}
scikit-learn, a query without 0.0
SEEN
