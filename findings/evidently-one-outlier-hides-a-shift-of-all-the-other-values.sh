#!/usr/bin/env bash
# evidently 0.7.23: "psi", "jensenshannon", "kl_div" and "hellinger" count numbers in a dozen bins of equal width
# between the least and the largest of both datasets together. The index of population stability is usually taken over
# quantiles of the reference, and the description in the code says so, too. One value far off then puts all the others
# into one bin: nothing else that happens to the column is drift any more.
#
# Seen: all values moved by two standard deviations are drift by each of the four; with a million in place of one of
# 1,000 values none sees it, and each comes out lower than for data without drift; "ks" sees it.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check evidently==0.7.23 pandas==2.3.3 numpy==2.4.6
cd "$place"
cat > outlier.py <<'PYTHON'
import warnings

import numpy as np
import pandas as pd

warnings.filterwarnings("ignore")
from evidently import DataDefinition, Dataset, Report  # noqa: E402
from evidently.metrics import ValueDrift  # noqa: E402

definition = DataDefinition(numerical_columns=["x"])
generator = np.random.default_rng(0)
reference, current = (generator.normal(size=1000) for _ in range(2))
moved = current + 2
with_outlier = np.append(moved[1:], 1e6)
for method in ("psi", "jensenshannon", "kl_div", "hellinger", "ks"):
    print(method, end="")
    for name, values in (("as before", current), ("moved", moved), ("moved, one outlier", with_outlier)):
        frames = (pd.DataFrame({"x": numbers}) for numbers in (values, reference))
        run = Report([ValueDrift(column="x", method=method)], include_tests=True).run(
            *(Dataset.from_pandas(frame, definition) for frame in frames)
        )
        result = run.dict()
        verdict = {"FAIL": "drift", "SUCCESS": "none"}[result["tests"][0]["status"].value]
        print(f" | {name}: {result['metrics'][0]['value']:.3f}, {verdict}", end="")
    print()
PYTHON
DO_NOT_TRACK=1 "$place/venv/bin/python" outlier.py > seen
diff - seen <<'SEEN' && echo "evidently 0.7.23: as described"
psi | as before: 0.029, none | moved: 3.964, drift | moved, one outlier: 0.002, none
jensenshannon | as before: 0.060, none | moved: 0.578, drift | moved, one outlier: 0.019, none
kl_div | as before: 0.016, none | moved: 1.869, drift | moved, one outlier: 0.001, none
hellinger | as before: 0.063, none | moved: 0.630, drift | moved, one outlier: 0.022, none
ks | as before: 0.134, none | moved: 0.000, drift | moved, one outlier: 0.000, drift
SEEN
