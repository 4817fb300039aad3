#!/usr/bin/env bash
# alibi-detect 0.13.0, scipy 1.17.1: `KSDrift` and `CVMDrift` test each column by itself and say whether any of them has drifted.
# One value of nan among 500, in the reference or in what is compared with it, makes the column's p value nan, which is not below
# any limit: a shift of three standard deviations of all the other values isn't drift any more. `is_drift` is 0, as it is where
# all is well, the other columns are tested as before, and nothing warns. For numbers that may be missing that is nearly each
# batch, and a nan in the reference switches the column off for good. The classes don't say that nan is a number like others, nor
# that it isn't allowed.
#
# Seen, of two columns, the first of them shifted: is_drift and both p values, as they are, and with a nan in the current rows, in
# the reference, and in the column that stays.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check \
  alibi-detect==0.13.0 numpy==1.26.4 scipy==1.17.1 scikit-learn==1.9.1 numba==0.59.1
cat > "$place/missing.py" <<'PYTHON'
import numpy as np
from alibi_detect.cd import CVMDrift, KSDrift

reference = np.random.default_rng(0).normal(size=(500, 2)).astype(np.float32)
current = reference[::-1] + np.array([3, 0], np.float32)


def miss(rows: np.ndarray, column: int) -> np.ndarray:
    rows = rows.copy()
    rows[7, column] = np.nan
    return rows


for detector in (KSDrift, CVMDrift):
    for name, before, after in (
        ("as they are", reference, current),
        ("nan in the current rows", reference, miss(current, 0)),
        ("nan in the reference", miss(reference, 0), current),
        ("nan in the other column", reference, miss(current, 1)),
    ):
        seen = detector(before, p_val=0.05).predict(after)["data"]
        print(detector.__name__, name, seen["is_drift"], *(f"{p:.2f}" for p in seen["p_val"]))
PYTHON
"$place/venv/bin/python" -W error::RuntimeWarning "$place/missing.py" 2> "$place/errors" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "alibi-detect 0.13.0: as described"
KSDrift as they are 1 0.00 1.00
KSDrift nan in the current rows 0 nan 1.00
KSDrift nan in the reference 0 nan 1.00
KSDrift nan in the other column 1 0.00 nan
CVMDrift as they are 1 0.00 1.00
CVMDrift nan in the current rows 0 nan 1.00
CVMDrift nan in the reference 0 nan 1.00
CVMDrift nan in the other column 1 0.00 nan
SEEN
