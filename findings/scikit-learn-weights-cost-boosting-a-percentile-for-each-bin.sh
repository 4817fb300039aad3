#!/usr/bin/env bash
# scikit-learn 1.9.1: histogram boosting finds the edges of a column's bins by one call of numpy.percentile. With
# `sample_weight` they are found one at a time, each by a weighted percentile over the whole column: 254 passes a
# column for 255 bins. Weights that are all one change no edge, but cost the same: on 20,000 rows of 10 columns a fit
# of five iterations took three times the processor time that it takes without them.
#
# Seen: 0 weighted percentiles without weights, 2540 with weights of one; the edges are equal.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1
cat > "$place/weights.py" <<'PYTHON'
import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.ensemble._hist_gradient_boosting import binning

counted, weighted_percentile = [], binning._weighted_percentile
binning._weighted_percentile = lambda *args, **options: counted.append(1) or weighted_percentile(*args, **options)

inputs = np.random.default_rng(0).normal(size=(20_000, 10))
edges = []
for weights in (None, np.ones(len(inputs))):
    counted.clear()
    model = HistGradientBoostingRegressor(max_iter=1, early_stopping=False).fit(inputs, inputs[:, 0], sample_weight=weights)
    edges.append(np.concatenate(model._bin_mapper.bin_thresholds_))
    print(len(counted))
print("equal" if np.allclose(*edges) else "other", "edges")
PYTHON
"$place/venv/bin/python" "$place/weights.py" > "$place/seen"
printf '0\n2540\nequal edges\n' | diff - "$place/seen" && echo "scikit-learn 1.9.1: as described"
