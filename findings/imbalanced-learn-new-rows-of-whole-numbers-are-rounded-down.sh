#!/usr/bin/env bash
# imbalanced-learn 0.14.2: SMOTE makes new rows that lie between two rows of the rare class. Columns of whole numbers stay
# whole: what was computed is cast back to the type that came in, which cuts off the fraction. So new rows are too small, by
# half a unit for each number that lies between others, and nothing warns. The same columns as floats keep the mean of the
# class. `RandomOverSampler(shrinkage=...)`, which adds noise around the rows, loses as much for frames. Counts, grades, and
# numbers of days are of that kind; in a frame each column is cast by itself.
#
# A model learns that small counts are a sign of the rare class, of rows that don't exist. Cast to float first.
#
# Seen: the mean of counts in the class and in its new rows, of frames of floats and of integers.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check \
  imbalanced-learn==0.14.2 scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1 pandas==2.3.3
cd "$place"
cat > counts.py <<'PYTHON'
import numpy as np
import pandas as pd
from imblearn.over_sampling import ADASYN, SMOTE, RandomOverSampler

counts = pd.DataFrame(np.random.default_rng(0).poisson(3.0, size=(3000, 4)), columns=list("abcd"))
labels = np.repeat([0, 1], [2700, 300])
print(f"rows of the class: {counts[labels == 1].to_numpy().mean():.2f}")
for sampler in (SMOTE(random_state=0), ADASYN(random_state=0), RandomOverSampler(random_state=0, shrinkage=1.0)):
    means = []
    for frame in (counts.astype(float), counts):
        rows, _ = sampler.fit_resample(frame, labels)
        means.append(rows[len(counts) :].to_numpy().mean())
    print(f"{type(sampler).__name__}: new rows {means[0]:.2f} as floats, {means[1]:.2f} as integers")
PYTHON
OMP_NUM_THREADS=1 "$place/venv/bin/python" -W ignore counts.py > seen
diff - seen <<'SEEN' && echo "imbalanced-learn 0.14.2: as described"
rows of the class: 2.90
SMOTE: new rows 2.85 as floats, 2.61 as integers
ADASYN: new rows 2.88 as floats, 2.64 as integers
RandomOverSampler: new rows 2.90 as floats, 2.44 as integers
SEEN
