#!/usr/bin/env bash
# scipy 1.17.1: `stats.ansari` tests whether two samples have the same spread. Where many values are the same, as zeros are in
# sales, rain or delays, its statistic is no longer compared with what it is on average: a sample of 100 numbers, 90 of them zero,
# differs from itself with a p value of 8e-11. Two samples of one distribution with nine zeros in ten differ every time at the
# level of 5 percent, and of normal numbers rounded to whole ones half the time. The docs say that with ties "a normal
# approximation for the p-value is used", as they do of `mood` and `mannwhitneyu`, which keep their level. Nothing warns.
#
# Seen: the p value of a sample and itself, by both tests, and the share of 500 pairs of samples of the same distribution with a
# p value below 0.05.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check scipy==1.17.1 numpy==2.4.6
cat > "$place/spread.py" <<'PYTHON'
import numpy as np
from scipy import stats

sample = np.concatenate([np.zeros(90), np.arange(1.0, 11)])
print("itself:", *(f"{test(sample, sample).pvalue:.0e}" for test in (stats.ansari, stats.mood)))
kinds = {
    "normal": lambda draws: draws.normal(size=100),
    "normal, whole numbers": lambda draws: draws.normal(size=100).round(),
    "seven zeros in ten": lambda draws: np.where(draws.uniform(size=100) < 0.7, 0, draws.exponential(size=100)),
    "nine zeros in ten": lambda draws: np.where(draws.uniform(size=100) < 0.9, 0, draws.exponential(size=100)),
}
for name, drawn in kinds.items():
    draws = np.random.default_rng(0)
    pairs = [(drawn(draws), drawn(draws)) for _ in range(500)]
    print(f"{name}:", *(f"{np.mean([test(*pair).pvalue < 0.05 for pair in pairs]):.2f}" for test in (stats.ansari, stats.mood)))
PYTHON
"$place/venv/bin/python" -W error "$place/spread.py" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "scipy 1.17.1: as described"
itself: 8e-11 1e+00
normal: 0.05 0.05
normal, whole numbers: 0.48 0.05
seven zeros in ten: 0.93 0.03
nine zeros in ten: 1.00 0.05
SEEN
