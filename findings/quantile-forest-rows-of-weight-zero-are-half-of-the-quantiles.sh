#!/usr/bin/env bash
# quantile-forest 1.4.2, scikit-learn 1.9.1: `fit` takes `sample_weight`. The trees are grown by the weights, and the quantiles
# are then taken from the rows in each leaf, each counted once. Where rows are drawn for each tree the weights decide how often a
# row is drawn, and so count; without drawing, as is the default of `ExtraTreesQuantileRegressor`, they don't: rows of weight 0,
# which `fit` is told to leave out, are half of each quantile. The mean, `quantiles="mean"`, is theirs too, where a forest of
# scikit-learn with the same trees has that of the weighted rows. Nothing warns, and the docs of `sample_weight` speak of splits
# alone.
#
# Rows weighted down for being old, or sampled too often, so keep all their say in an interval, while the same weights do work in
# `RandomForestQuantileRegressor` unless `bootstrap=False`.
#
# Seen, of labels about 0 with weight 1 and about 10 with weight 0: quantiles 0.1, 0.5 and 0.9 and the mean of each, beside the
# prediction of scikit-learn's forest of that kind.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check \
  quantile-forest==1.4.2 scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1
cat > "$place/weights.py" <<'PYTHON'
import numpy as np
from quantile_forest import ExtraTreesQuantileRegressor, RandomForestQuantileRegressor
from sklearn.ensemble import ExtraTreesRegressor, RandomForestRegressor

draws = np.random.default_rng(0)
rows = draws.normal(size=(2000, 1))
old = np.arange(2000) % 2 == 0
labels = np.where(old, 10.0, 0.0) + draws.normal(size=2000) / 10
options = {"min_samples_leaf": 200, "random_state": 0}
for forest, plain, bootstrap in (
    (ExtraTreesQuantileRegressor, ExtraTreesRegressor, False),
    (RandomForestQuantileRegressor, RandomForestRegressor, False),
    (RandomForestQuantileRegressor, RandomForestRegressor, True),
):
    model, reference = (
        kind(bootstrap=bootstrap, **options).fit(rows, labels, sample_weight=~old) for kind in (forest, plain)
    )
    quantiles = np.median(model.predict(rows, quantiles=[0.1, 0.5, 0.9]), axis=0)
    means = (model.predict(rows, quantiles="mean").mean(), reference.predict(rows).mean())
    print(forest.__name__, bootstrap, "quantiles", *(f"{number:.1f}" for number in quantiles), end=" ")
    print("mean", *(f"{number:.1f}" for number in means))
PYTHON
"$place/venv/bin/python" "$place/weights.py" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "quantile-forest 1.4.2: as described"
ExtraTreesQuantileRegressor False quantiles -0.1 0.1 10.1 mean 4.5 0.0
RandomForestQuantileRegressor False quantiles -0.1 9.9 10.1 mean 5.1 0.0
RandomForestQuantileRegressor True quantiles -0.1 -0.0 0.1 mean -0.0 0.0
SEEN
