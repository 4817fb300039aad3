#!/usr/bin/env bash
# scikit-learn 1.9.1: where a column has more values than bins (255), histogram boosting splits it at values that occur
# in it: the edges of its bins are quantiles of the kind that picks a value and doesn't lie between two. Up to 255
# values it splits midway. What is equal to a split goes left, so that a value that is a bit larger goes right. Who
# hands a model the very rows it has learned from as float32, as a service, an ONNX model or a Parquet file may hold
# them, gets another answer wherever a number was rounded up from an edge; and prices and other numbers of two decimals
# meet an edge often, at all times.
#
# Seen: of 10,000 rows of one column the share that is answered otherwise in float32, and whether nearly all splits are
# values of the column, for 250 and for 2,000 different prices.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1
cat > "$place/splits.py" <<'PYTHON'
import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor

generator = np.random.default_rng(0)
columns = {
    "250 prices": generator.integers(0, 250, 10_000) / 100,
    "2000 prices": generator.integers(0, 2000, 10_000) / 100,
}
for name, column in columns.items():
    rows, target = column.reshape(-1, 1), np.sin(column)
    model = HistGradientBoostingRegressor(early_stopping=False).fit(rows, target)
    other = model.predict(rows) != model.predict(rows.astype(np.float32))
    splits = np.unique(
        np.concatenate([tree.nodes["num_threshold"][tree.nodes["is_leaf"] == 0] for (tree,) in model._predictors])
    )
    print(f"{name}: {other.mean():.0%} of the rows, splits are values: {np.isin(splits, column).mean() > 0.95}")
PYTHON
"$place/venv/bin/python" "$place/splits.py" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "scikit-learn 1.9.1: as described"
250 prices: 0% of the rows, splits are values: False
2000 prices: 8% of the rows, splits are values: True
SEEN
