#!/usr/bin/env bash
# statsmodels 0.15.0: McNemar's test compares the pairs in which one classifier is right and the other wrong. Where there are no
# such pairs, as for two versions of a model that answer alike, the exact test says p = 1. The test by chi square, which large
# tables ask for, subtracts its correction for continuity from a difference of 0 all the same, and divides 1 by 0 pairs: the
# statistic is inf and p = 0, the most certain difference there is. Without the correction both are nan. One pair more and p is 1.
# All that tells of it is numpy's RuntimeWarning of a division. A gate that promotes or alarms at p < 0.05 so fires on equal models.
#
# Seen: p of the three forms for a table without discordant pairs, with one, and with one each way. The last has a difference of 0
# too, and the correction makes p 0.48 of it; without it, and exactly, p is 1.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check statsmodels==0.15.0 numpy==2.4.6 scipy==1.17.1 pandas==2.3.3
cat > "$place/pairs.py" <<'PYTHON'
from statsmodels.stats.contingency_tables import mcnemar

for table in ([[90, 0], [0, 10]], [[90, 1], [0, 9]], [[90, 1], [1, 8]]):
    exact, corrected, plain = (
        mcnemar(table, exact=exact, correction=correction).pvalue
        for exact, correction in ((True, True), (False, True), (False, False))
    )
    print(table, f"exact {exact:.2f}, chi square {corrected:.2f}, without correction {plain:.2f}")
PYTHON
"$place/venv/bin/python" -W ignore "$place/pairs.py" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "statsmodels 0.15.0: as described"
[[90, 0], [0, 10]] exact 1.00, chi square 0.00, without correction nan
[[90, 1], [0, 9]] exact 1.00, chi square 1.00, without correction 0.32
[[90, 1], [1, 8]] exact 1.00, chi square 0.48, without correction 1.00
SEEN
