#!/usr/bin/env bash
# river 0.26.1: `stats.KolmogorovSmirnov` keeps the largest distance between two distribution functions while values come and go.
# That distance is taken between values. It is also looked for within equal ones, after those of the first sample and before those
# of the second, where a distribution function has no value at all. So its result grows with how often values repeat: a column of
# zeros and ones, a tenth of them ones, is 0.9 away from itself, and one that stands still 1, the largest there is. Each sample is
# far beyond the limit of any test. The example in its docs has values that repeat, and is right by chance. scipy's statistic is
# right for both, river's only where all values differ. Counts, grades, rounded measurements and waiting times of 0 repeat.
#
# Seen: of 500 numbers and the same 500 in another order, as they are, rounded to halves and to whole ones, as zeros and ones, and
# of one number: the distance by river and by scipy.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check river==0.26.1 numpy==2.4.6 scipy==1.17.1 pandas==2.3.3
cat > "$place/distance.py" <<'PYTHON'
import numpy as np
from river import stats
from scipy.stats import ks_2samp

draws = np.random.default_rng(0)
normal = draws.normal(size=500)
samples = {
    "all different": normal,
    "halves": np.round(2 * normal) / 2,
    "whole numbers": np.round(normal),
    "one in ten": np.repeat([0.0, 1.0], [450, 50]),
    "one number": np.ones(500),
}
for name, sample in samples.items():
    shuffled = draws.permutation(sample)
    distance = stats.KolmogorovSmirnov()
    for pair in zip(sample.tolist(), shuffled.tolist(), strict=True):
        distance.update(*pair)
    print(f"{name}: river {distance.get():.3f}, scipy {ks_2samp(sample, shuffled).statistic:.3f}")
PYTHON
"$place/venv/bin/python" "$place/distance.py" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "river 0.26.1: as described"
all different: river 0.002, scipy 0.000
halves: river 0.192, scipy 0.000
whole numbers: river 0.370, scipy 0.000
one in ten: river 0.900, scipy 0.000
one number: river 1.000, scipy 0.000
SEEN
