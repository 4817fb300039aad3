#!/usr/bin/env bash
# evidently 0.7.23: the drift test "mannw" is one-sided. It asks whether the current values are larger than those of the
# reference, so a column that rose has drifted, and one that fell has a p-value of 1 and has not, however far it fell: a
# sensor that says 0, prices without their tax. The description in its code speaks of a two-tailed p-value, and scipy's
# test is two-sided by default.
#
# Seen, of a column moved by two standard deviations up and down: the p-value and the verdict, and those of "ks" beside
# it.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check evidently==0.7.23 pandas==2.3.3 numpy==2.4.6
cd "$place"
cat > shift.py <<'PYTHON'
import warnings

import numpy as np
import pandas as pd

warnings.filterwarnings("ignore")
from evidently import DataDefinition, Dataset, Report  # noqa: E402
from evidently.metrics import ValueDrift  # noqa: E402

definition = DataDefinition(numerical_columns=["x"])
generator = np.random.default_rng(0)
reference, current = (generator.normal(size=500) for _ in range(2))
for method in ("mannw", "ks"):
    for shift in (2, -2):
        frames = (pd.DataFrame({"x": values}) for values in (current + shift, reference))
        run = Report([ValueDrift(column="x", method=method)], include_tests=True).run(
            *(Dataset.from_pandas(frame, definition) for frame in frames)
        )
        result = run.dict()
        verdict = {"FAIL": "drift", "SUCCESS": "no drift"}[result["tests"][0]["status"].value]
        print(f"{method} {shift:+d}: p-value {result['metrics'][0]['value']:.3f}, {verdict}")
PYTHON
DO_NOT_TRACK=1 "$place/venv/bin/python" shift.py > seen
diff - seen <<'SEEN' && echo "evidently 0.7.23: as described"
mannw +2: p-value 0.000, drift
mannw -2: p-value 1.000, no drift
ks +2: p-value 0.000, drift
ks -2: p-value 0.000, drift
SEEN
