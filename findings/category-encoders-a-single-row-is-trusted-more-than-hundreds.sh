#!/usr/bin/env bash
# category_encoders 2.11.2, scikit-learn 1.9.1: `JamesSteinEncoder` draws the mean label of a category to the mean of all,
# the more the less is known of it; that is its purpose. Its page says that the default model takes the squared standard
# error for that, which penalizes small counts. The code takes the variance of the labels in the category without the count:
# 1,000 rows are drawn as far as four of the same mean. A single row has no variance, 0 is taken for it, and it isn't drawn
# at all: its code is its own label, as is that of each small category whose few labels are equal. `TargetEncoder` of
# scikit-learn minds the count, but leaves single rows alone as well, unless `smooth` is a number.
#
# Rare categories so give the label away to the model, which is what smoothing is chosen against. The model "beta" draws
# them nearly all the way.
#
# Seen: the code of a category of 1,000 rows, half of them 1, of four rows, half of them 1, and of a single row with the
# label 1.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check \
  category_encoders==2.11.2 pandas==2.3.3 numpy==2.4.6 scikit-learn==1.9.1 scipy==1.17.1 statsmodels==0.15.0
cd "$place"
cat > codes.py <<'PYTHON'
import numpy as np
import pandas as pd
from category_encoders import JamesSteinEncoder
from sklearn.preprocessing import TargetEncoder

column = pd.DataFrame({"place": np.repeat(["many", "others", "few", "one"], [1000, 1000, 4, 1])})
labels = pd.Series(np.concatenate([np.tile([0.0, 1.0], 500), np.tile([0.0, 0.0, 0.0, 1.0], 250), [0.0, 1.0, 0.0, 1.0], [1.0]]))
rows = pd.DataFrame({"place": ["many", "few", "one"]})
print("mean label", labels.groupby(column.place).mean()[rows.place].tolist(), "of all", round(labels.mean(), 3))
for name, encoder in (
    ("independent, the default", JamesSteinEncoder()),
    ("beta", JamesSteinEncoder(model="beta")),
    ("scikit-learn", TargetEncoder(random_state=0)),
    ("scikit-learn, smooth=10", TargetEncoder(smooth=10, random_state=0)),
):
    codes = np.asarray(encoder.fit(column, labels).transform(rows)).ravel()
    print(f"{name}:", codes.round(3).tolist())
PYTHON
OMP_NUM_THREADS=1 "$place/venv/bin/python" -W ignore codes.py > seen
diff - seen <<'SEEN' && echo "category_encoders 2.11.2: as described"
mean label [0.5, 0.5, 1.0] of all 0.376
independent, the default: [0.479, 0.476, 1.0]
beta: [0.417, 0.376, 0.376]
scikit-learn: [0.5, 0.474, 1.0]
scikit-learn, smooth=10: [0.499, 0.411, 0.432]
SEEN
