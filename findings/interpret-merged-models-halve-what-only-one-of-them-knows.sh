#!/usr/bin/env bash
# interpret-core 0.7.8: `merge_ebms` joins explainable boosting machines that were trained apart, by clinic, shop or month. For a
# category that only one of them has seen, its effect is averaged with the zero that the other has for what it doesn't know, by the
# models' sizes, though each counts how many rows it had of each category (`bin_weights_`), and the merged model keeps these
# counts: none of the rows came from the other. Of two models of one size half of the effect is lost. One model of all the rows is
# right. Nothing warns.
#
# Seen: what is predicted for the categories n, s, w (true means 100, 0, 0) by a model of rows of n and s, by one of s and w, by
# both merged, and by one model of all rows, to the nearest ten; and the rows of n, s and w that the merged model counts.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check \
  interpret-core==0.7.8 scikit-learn==1.9.1 numpy==2.4.6 pandas==2.3.3 scipy==1.17.1
cat > "$place/merge.py" <<'PYTHON'
import numpy as np
import pandas as pd
from interpret.glassbox import ExplainableBoostingRegressor, merge_ebms

draws = np.random.default_rng(0)


def sample(categories):
    places = np.repeat(categories, 500)
    target = 100 * (places == "n") + draws.normal(size=len(places))
    return pd.DataFrame({"place": places, "number": draws.normal(size=len(places))}), target


def fit(rows, target):
    return ExplainableBoostingRegressor(interactions=0, outer_bags=2, max_rounds=2000, n_jobs=1).fit(rows, target)


one, other = sample(["n", "s"]), sample(["s", "w"])
merged = merge_ebms([fit(*one), fit(*other)])
whole = fit(pd.concat([one[0], other[0]]), np.concatenate([one[1], other[1]]))
asked = pd.DataFrame({"place": ["n", "s", "w"], "number": [0.0] * 3})
for name, model in (("n and s", fit(*one)), ("s and w", fit(*other)), ("merged", merged), ("all rows", whole)):
    print(name, [10 * round(value / 10) for value in model.predict(asked)])
print("counts", merged.bin_weights_[0][1:-1].astype(int).tolist())
PYTHON
OMP_NUM_THREADS=1 "$place/venv/bin/python" -W ignore "$place/merge.py" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "interpret-core 0.7.8: as described"
n and s [100, 0, 50]
s and w [0, 0, 0]
merged [50, 0, 20]
all rows [100, 0, 0]
counts [500, 1000, 500]
SEEN
