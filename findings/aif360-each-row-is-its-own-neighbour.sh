#!/usr/bin/env bash
# aif360 0.6.1, scikit-learn 1.5.2: consistency is a measure of individual fairness: how much a row's label agrees with the labels
# of the rows most similar to it. It asks scikit-learn for the nearest rows among those that it was fitted on, and the nearest to
# a row is the row itself: one of the five neighbours always agrees. With `n_neighbors=1` each set of labels is wholly consistent.
# Labels thrown by a coin, which have nothing to do with the rows, have 0.6 with five, where it's one half; a model whose
# decisions contradict each pair of twins has 0.5 with two neighbours, and none at all without itself. The number rises the fewer
# neighbours are taken, so that two with other counts of them can't be compared. The page speaks of similar instances.
#
# Seen: consistency of 2,000 coins by the number of neighbours, as it is and without the row itself; of twins decided alike, and
# decided differently.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check \
  aif360==0.6.1 scikit-learn==1.5.2 numpy==1.26.4 pandas==2.2.3 scipy==1.14.1
cat > "$place/coins.py" <<'PYTHON'
import numpy as np
from aif360.sklearn.metrics import consistency_score
from sklearn.neighbors import NearestNeighbors

draws = np.random.default_rng(0)
rows, coins = draws.normal(size=(2000, 3)), draws.integers(0, 2, 2000)
for neighbours in (1, 2, 5, 20):
    others = NearestNeighbors(n_neighbors=neighbours).fit(rows).kneighbors(return_distance=False)
    without = 1 - abs(coins - coins[others].mean(axis=1)).mean()
    seen = consistency_score(rows, coins, n_neighbors=neighbours)
    print(f"{neighbours} neighbours: {seen:.2f}, without the row itself {without:.2f}")
twins = np.repeat(np.arange(50.0), 2)[:, None] + np.tile([0, 0.1], 50)[:, None]
for name, labels in (("alike", np.repeat([0, 1], 50)), ("differently", np.tile([0, 1], 50))):
    print(f"twins decided {name}: {consistency_score(twins, labels, n_neighbors=2):.2f}")
PYTHON
"$place/venv/bin/python" -W ignore "$place/coins.py" 2> "$place/errors" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "aif360 0.6.1: as described"
1 neighbours: 1.00, without the row itself 0.52
2 neighbours: 0.76, without the row itself 0.52
5 neighbours: 0.60, without the row itself 0.50
20 neighbours: 0.52, without the row itself 0.50
twins decided alike: 1.00
twins decided differently: 0.50
SEEN
