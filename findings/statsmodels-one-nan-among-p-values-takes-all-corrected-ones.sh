#!/usr/bin/env bash
# statsmodels 0.15.0: `multipletests` returns which hypotheses are rejected and the corrected p values. One p value that is nan, as
# of a column that is constant in a window, makes every corrected value nan for the methods that work from the largest down, of
# which Benjamini and Hochberg's is one, without an error or a warning. Which are rejected is still said, so that the two results
# contradict each other: `corrected < 0.05` finds nothing where `rejected` has three. Hommel's method rejects none any more, and
# Bonferroni's and Holm's count the nan as one test more. scipy's `false_discovery_control` raises a ValueError instead.
#
# A monitor of many columns that reads the corrected values goes silent over one of them. Leave nan out before the correction.
#
# Seen: 0.01, 0.02 and 0.03, without and with a nan, by method: how many are rejected, and how many corrected values are below 0.05.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check statsmodels==0.15.0 numpy==2.4.6 scipy==1.17.1 pandas==2.3.3
cat > "$place/many.py" <<'PYTHON'
from scipy.stats import false_discovery_control
from statsmodels.stats.multitest import multipletests

known = [0.01, 0.02, 0.03]
for method in ("fdr_bh", "simes-hochberg", "hommel", "holm", "bonferroni"):
    counts = []
    for values in (known, [*known, float("nan")]):
        rejected, corrected = multipletests(values, alpha=0.05, method=method)[:2]
        counts.append(f"{rejected.sum()} rejected, {(corrected < 0.05).sum()} below")
    print(method, *counts, sep=" | ")
try:
    print(false_discovery_control([*known, float("nan")]))
except ValueError as error:
    print("scipy:", error)
PYTHON
"$place/venv/bin/python" -W error "$place/many.py" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "statsmodels 0.15.0: as described"
fdr_bh | 3 rejected, 3 below | 3 rejected, 0 below
simes-hochberg | 3 rejected, 3 below | 1 rejected, 0 below
hommel | 3 rejected, 3 below | 0 rejected, 0 below
holm | 3 rejected, 3 below | 1 rejected, 1 below
bonferroni | 1 rejected, 1 below | 1 rejected, 1 below
scipy: `ps` must include only numbers between 0 and 1.
SEEN
