#!/usr/bin/env bash
# evidently 0.7.23: where the reference has more than 1,000 rows, numbers are compared by Wasserstein's distance in
# standard deviations of the reference, with 0.1 as the limit; that is the default. The deviation is taken as 0.001
# where it is smaller, so that a column's unit decides. Shares of some millionths can all become ten times as large, and
# have drifted by a hundredth of a deviation; the same column times a million has drifted by nine.
#
# Seen, of a column whose values all become ten times as large: the distance and the verdict by its unit.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check evidently==0.7.23 pandas==2.3.3 numpy==2.4.6 scipy==1.17.1
cd "$place"
cat > unit.py <<'PYTHON'
import warnings

import numpy as np
import pandas as pd

warnings.filterwarnings("ignore")
from evidently import DataDefinition, Dataset, Report  # noqa: E402
from evidently.metrics import ValueDrift  # noqa: E402

definition = DataDefinition(numerical_columns=["x"])
shares = np.random.default_rng(0).exponential(1e-6, 2000)
for name, factor in (("shares", 1), ("per million", 1e6)):
    frames = (pd.DataFrame({"x": shares * factor * growth}) for growth in (10, 1))
    current, reference = (Dataset.from_pandas(rows, definition) for rows in frames)
    result = Report([ValueDrift(column="x")], include_tests=True).run(current, reference).dict()
    verdict = {"FAIL": "drift", "SUCCESS": "no drift"}[result["tests"][0]["status"].value]
    print(f"{name}: {result['metrics'][0]['value']:.3f}, {verdict}")
PYTHON
DO_NOT_TRACK=1 "$place/venv/bin/python" unit.py > seen
diff - seen <<'SEEN' && echo "evidently 0.7.23: as described"
shares: 0.009, no drift
per million: 8.836, drift
SEEN
