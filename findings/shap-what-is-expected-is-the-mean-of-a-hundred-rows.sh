#!/usr/bin/env bash
# shap 0.51.0, scikit-learn 1.9.1: `LinearExplainer(model, rows)` explains a linear model exactly, by a formula that takes
# the means of the columns alone. Of more than a hundred rows it draws a hundred, and takes their means: the expected value
# isn't the mean prediction over the rows, and each attribution is off by the column's coefficient times what the drawn mean
# is off, the same way for all rows. The mean over all rows costs nothing. `Explainer(model, rows)` does the same. Nothing
# warns, as attributions do add up to the prediction.
#
# A masker made by hand, `maskers.Independent(rows, max_samples=len(rows))`, has them all.
#
# Seen: mean prediction, expected value, and the mean attribution of each column over the rows, which is 0 for exact ones.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check \
  shap==0.51.0 scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1 pandas==2.3.3
cd "$place"
cat > means.py <<'PYTHON'
import numpy as np
import shap
from sklearn.linear_model import LinearRegression

rows = np.random.default_rng(0).lognormal(0, 1.5, size=(20_000, 2))
model = LinearRegression().fit(rows, rows @ [100.0, 50.0])
print(f"mean prediction {model.predict(rows).mean():.0f}")
for name, background in (("rows", rows), ("masker of all rows", shap.maskers.Independent(rows, max_samples=len(rows)))):
    explainer = shap.LinearExplainer(model, background)
    attributions = explainer.shap_values(rows)
    means = attributions.mean(axis=0).round(0) + 0.0
    print(f"{name}: expected value {explainer.expected_value:.0f}, mean attributions", *means)
PYTHON
OMP_NUM_THREADS=1 "$place/venv/bin/python" -W ignore means.py > seen
diff - seen <<'SEEN' && echo "shap 0.51.0: as described"
mean prediction 471
rows: expected value 456, mean attributions -28.0 43.0
masker of all rows: expected value 471, mean attributions 0.0 0.0
SEEN
