#!/usr/bin/env bash
# evidently 0.7.23: categories are compared by a chi-square test, at 0.05, where the reference has at most 1,000 rows;
# that is the default. It takes the shares in the reference for the true ones, as if they had been counted in an endless
# sample, and compares the current ones with them. Both vary by chance, so that the statistic is twice as large as it
# should be where both have equally many rows. Of pairs drawn from one and the same distribution of ten categories not 5
# % are then said to drift but half. scipy's chi2_contingency, the test of two samples, keeps its 5 % on the same
# counts.
#
# Seen, of 200 pairs of 500 rows without any drift, ten equally frequent categories: how many drift by each.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check evidently==0.7.23 pandas==2.3.3 numpy==2.4.6 scipy==1.17.1
cd "$place"
cat > chance.py <<'PYTHON'
import warnings

import numpy as np
import pandas as pd
from scipy.stats import chi2_contingency

warnings.filterwarnings("ignore")
from evidently import DataDefinition, Dataset, Report  # noqa: E402
from evidently.metrics import ValueDrift  # noqa: E402

generator = np.random.default_rng(0)
names = [f"column {number}" for number in range(200)]
definition = DataDefinition(categorical_columns=names)
draws = generator.choice(list("abcdefghij"), (2, 500, len(names)))
reference, current = (pd.DataFrame(drawn, columns=names) for drawn in draws)
run = Report([ValueDrift(column=name) for name in names], include_tests=True).run(
    *(Dataset.from_pandas(frame, definition) for frame in (current, reference))
)
drifted = [test["status"].value == "FAIL" for test in run.dict()["tests"]]
counts = [[frame[name].value_counts().sort_index() for frame in (current, reference)] for name in names]
print("evidently:", sum(drifted), "| chi2_contingency:", sum(chi2_contingency(pair).pvalue < 0.05 for pair in counts))
PYTHON
DO_NOT_TRACK=1 "$place/venv/bin/python" chance.py > seen
echo 'evidently: 98 | chi2_contingency: 10' | diff - seen && echo "evidently 0.7.23: as described"
