#!/usr/bin/env bash
# scikit-learn 1.9.1: histogram boosting takes missing values, and a column that has a single known value. A column in
# which all values are missing, as where a source was away for all of the training days, is a ValueError that names
# neither column nor cause: numpy's, of a window over no values.
#
# Seen: "fitted" with one known value; "window shape cannot be larger than input array shape" with none.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1
cat > "$place/missing.py" <<'PYTHON'
import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor

inputs = np.column_stack([np.arange(50.0), np.full(50, np.nan)])
for known in (1.0, np.nan):
    inputs[0, 1] = known
    try:
        HistGradientBoostingRegressor().fit(inputs, inputs[:, 0])
        print("fitted")
    except ValueError as error:
        print(error)
PYTHON
"$place/venv/bin/python" "$place/missing.py" > "$place/seen"
printf 'fitted\nwindow shape cannot be larger than input array shape\n' | diff - "$place/seen" &&
    echo "scikit-learn 1.9.1: as described"
