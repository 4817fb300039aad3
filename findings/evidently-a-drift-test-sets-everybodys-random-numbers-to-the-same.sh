#!/usr/bin/env bash
# evidently 0.7.23: the drift test "TVD" seeds numpy's global generator with 0, for the whole process, and leaves it so.
# What the program draws from it after a report is the same after each report, whatever it was seeded with: the rows
# that scikit-learn puts aside, for one. A loop that evaluates a model on new draws, with a report in between, evaluates
# it on the same rows again and again, and its spread is zero.
#
# Seen: three splits of scikit-learn, each after a report: three different ones with no report or with "chisquare", one
# with "TVD".
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check evidently==0.7.23 pandas==2.3.3 numpy==2.4.6 scikit-learn==1.9.1
cd "$place"
cat > draws.py <<'PYTHON'
import warnings

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

warnings.filterwarnings("ignore")
from evidently import DataDefinition, Dataset, Report  # noqa: E402
from evidently.metrics import ValueDrift  # noqa: E402

rows = Dataset.from_pandas(pd.DataFrame({"x": list("aab") * 5}), DataDefinition(categorical_columns=["x"]))
for method in (None, "chisquare", "TVD"):
    np.random.seed(123)
    splits = set()
    for _ in range(3):
        if method:
            Report([ValueDrift(column="x", method=method)]).run(rows, rows).dict()
        splits.add(tuple(train_test_split(range(100))[1]))
    print(f"report with {method}: {len(splits)} different splits of 3")
PYTHON
DO_NOT_TRACK=1 "$place/venv/bin/python" draws.py > seen
diff - seen <<'SEEN' && echo "evidently 0.7.23: as described"
report with None: 3 different splits of 3
report with chisquare: 3 different splits of 3
report with TVD: 1 different splits of 3
SEEN
