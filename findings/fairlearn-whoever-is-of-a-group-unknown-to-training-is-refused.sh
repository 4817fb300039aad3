#!/usr/bin/env bash
# fairlearn 0.15.0: `ThresholdOptimizer` gives each group a threshold of its own, so that groups are treated alike. `predict` is
# told each row's group. For a group that wasn't in training, a new one or one that is written in another way, there is no
# threshold, and each of its rows is predicted 0, however high its score: a model that was to be made fair refuses all of them.
# "A" beside "a", "1" for 1 as a CSV file has it, None, and of two columns a pair that hadn't occurred yet, though both its values
# had, are such groups; nan alone is an error. Nothing warns. The page of `predict` speaks of groups and not of new ones.
#
# Seen: the share of 1,000 rows with high scores that are predicted 1, by group: numbers, texts, and pairs of two columns.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check \
  fairlearn==0.15.0 scikit-learn==1.9.1 pandas==2.3.3 numpy==2.4.6 scipy==1.17.1
cat > "$place/groups.py" <<'PYTHON'
import numpy as np
from fairlearn.postprocessing import ThresholdOptimizer
from sklearn.linear_model import LogisticRegression

draws = np.random.default_rng(0)
scores = draws.normal(size=(2000, 1))
labels = (scores[:, 0] + draws.normal(size=2000) > 0).astype(int)
halves = draws.integers(0, 2, 2000)
high = np.full((1000, 1), 4.0)


def accept(groups, asked):
    model = ThresholdOptimizer(
        estimator=LogisticRegression(), constraints="demographic_parity", predict_method="predict_proba"
    )
    model.fit(scores, labels, sensitive_features=groups)
    for group in asked:
        rows = [group] * 1000
        print(f"{group!r}: {model.predict(high, sensitive_features=rows, random_state=0).mean():.0%}")


accept(halves, [0, 1, 2, "1", None])
accept(np.array(["a", "b"])[halves], ["a", "b", "A", "c"])
pairs = np.array([["a", "x"], ["a", "y"], ["b", "x"]])[draws.integers(0, 3, 2000)]
accept(pairs, [["a", "x"], ["a", "y"], ["b", "x"], ["b", "y"]])
PYTHON
OMP_NUM_THREADS=1 "$place/venv/bin/python" -W error "$place/groups.py" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "fairlearn 0.15.0: as described"
0: 100%
1: 100%
2: 0%
'1': 0%
None: 0%
'a': 100%
'b': 100%
'A': 0%
'c': 0%
['a', 'x']: 100%
['a', 'y']: 100%
['b', 'x']: 100%
['b', 'y']: 0%
SEEN
