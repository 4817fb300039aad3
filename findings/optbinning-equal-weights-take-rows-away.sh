#!/usr/bin/env bash
# optbinning 1.0.0: `OptimalBinning.fit` takes `sample_weight`, to which it puts no condition on its page but the method of the
# first bins. Equal weights for all rows should change nothing. The weights of each bin and class are added up and cut to whole
# numbers, and all that follows is computed from these: weight of evidence, information value, the number of bins and their
# limits. With 0.1 for each row up to a row of weight is lost in each of these sums, and with 0.01, as weights that decay with age
# have, most of it: two bins of a score that had seven, and a third of its information value. Weights of mean one lose less than a
# row in each sum, which is little among thousands and much in a bin of a rare class. Nothing warns; weights that sum to one are
# an error about zero samples.
#
# Seen, of 2,000 rows that all weigh the same: bins, rows in them, information value and the weight of evidence at 1.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check \
  optbinning==1.0.0 scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1 pandas==2.3.3
cat > "$place/weights.py" <<'PYTHON'
import numpy as np
from optbinning import OptimalBinning

draws = np.random.default_rng(0)
scores = draws.normal(size=2000)
labels = (draws.random(2000) < np.where(scores > 0, 0.6, 0.2)).astype(int)
for weight in (1, 0.1, 0.02, 0.01):
    binning = OptimalBinning().fit(scores, labels, sample_weight=np.full(2000, weight))
    table = binning.binning_table.build()
    bins, rows = len(binning.splits) + 1, table["Count"].iloc[-1]
    evidence = binning.transform(np.array([1.0]))[0]
    print(f"{weight}: {bins} bins, {rows} rows, value {binning.binning_table.iv:.2f}, evidence {evidence:.2f}")
PYTHON
"$place/venv/bin/python" -W ignore "$place/weights.py" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "optbinning 1.0.0: as described"
1: 7 bins, 2000 rows, value 0.85, evidence -0.87
0.1: 7 bins, 186 rows, value 1.00, evidence -0.94
0.02: 4 bins, 33 rows, value 0.92, evidence -1.12
0.01: 2 bins, 18 rows, value 0.30, evidence -0.86
SEEN
