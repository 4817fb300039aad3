#!/usr/bin/env bash
# mapie 1.6.0: `expected_calibration_error(..., split_strategy="array split")` is meant to form bins of equally many scores. It
# splits the scores in the order in which they come, and takes the largest of each part as the edge of a bin, without sorting
# first. Of shuffled rows each part has a score near the largest, so that nearly all rows fall into one bin: what is left is the
# difference of two means. Probabilities that are as wrong as can be, with a mean that is right, have an error of nearly zero; the
# same rows sorted by score have 0.50, as the other two strategies say for either order. `top_label_ece` goes the same way.
#
# Seen: the error of 20,000 probabilities p where the outcome has the probability 1 - p, shuffled and sorted, by strategy.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check mapie==1.6.0 scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1
cat > "$place/bins.py" <<'PYTHON'
import numpy as np
from mapie.metrics.calibration import expected_calibration_error

draws = np.random.default_rng(0)
scores = draws.uniform(size=20_000)
labels = (draws.uniform(size=20_000) < 1 - scores).astype(int)
order = np.argsort(scores)
for strategy in ("uniform", "quantile", "array split"):
    errors = [
        expected_calibration_error(labels[rows], scores[rows], num_bins=10, split_strategy=strategy)
        for rows in (slice(None), order)
    ]
    print(f"{strategy}: {errors[0]:.2f} {errors[1]:.2f}")
PYTHON
"$place/venv/bin/python" -W error "$place/bins.py" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "mapie 1.6.0: as described"
uniform: 0.49 0.49
quantile: 0.49 0.49
array split: 0.00 0.50
SEEN
