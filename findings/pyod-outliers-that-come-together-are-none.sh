#!/usr/bin/env bash
# PyOD 3.6.7: `fit` learns what is usual, `decision_function` scores new rows and `predict` compares their scores with a limit of
# the training. ECOD and COPOD score by how rare a value is in the tail. They count that among the rows of the training and those
# of the call together, so that a row's score depends on which rows are asked for with it. One row far outside is an outlier when
# it comes alone. A batch of as many such rows as the training had is usual by their own weight: of a thousand that all differ
# ECOD finds a tenth, and COPOD none. The docs of `predict` and `decision_function` speak of the fitted detector, and the other
# detectors of the package, two of them here, give a row one score. Nothing warns.
#
# A sensor that fails for a day is so found by a service, row by row, and not by the job that scores the day; and rows that are
# scored again in other company have other scores.
#
# Seen, of 1,000 training rows of two normal columns: scores of a row at (6, 6) alone and among 1,000 equal ones, and the share
# that `predict` finds of one, 100 and 1,000 different rows about (6, 6).
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check \
  pyod==3.6.7 scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1 numba==0.68.1
cat > "$place/company.py" <<'PYTHON'
import numpy as np
from pyod.models.copod import COPOD
from pyod.models.ecod import ECOD
from pyod.models.hbos import HBOS
from pyod.models.iforest import IForest

draws = np.random.default_rng(0)
rows = draws.normal(size=(1000, 2))
far = np.full((1000, 2), 6.0)
about = draws.normal(6.0, 0.5, size=(1000, 2))
for detector in (ECOD(), COPOD(), HBOS(), IForest(random_state=0)):
    detector.fit(rows)
    alone, among = detector.decision_function(far[:1])[0], detector.decision_function(far)[0]
    found = [f"{detector.predict(about[:count]).mean():.0%}" for count in (1, 100, 1000)]
    print(f"{type(detector).__name__}: alone {alone:.2f}, among equals {among:.2f}, found", *found)
PYTHON
"$place/venv/bin/python" "$place/company.py" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "PyOD 3.6.7: as described"
ECOD: alone 13.82, among equals 1.39, found 100% 91% 10%
COPOD: alone 13.82, among equals 0.69, found 100% 100% 0%
HBOS: alone 6.58, among equals 6.58, found 100% 100% 100%
IForest: alone 0.21, among equals 0.21, found 100% 100% 100%
SEEN
