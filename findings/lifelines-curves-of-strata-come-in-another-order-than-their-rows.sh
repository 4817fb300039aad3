#!/usr/bin/env bash
# lifelines 0.30.3, pandas 2.3.3: `predict_survival_function` has a column for each row that is asked for, in the rows' order.
# With `strata`, as for a covariate whose hazards aren't proportional, the columns are in the order of the strata: first all rows
# of the first, then those of the next. Each column has its row's label, so that taking it by label is right, and by place, as an
# array for a score or a new column of the frame, it is another row's curve; with labels that repeat, as of frames put together,
# nothing else is left. `predict_median`, `predict_expectation` and `predict_partial_hazard` of the same model keep the rows'
# order, and so do the curves of a model without strata. Nothing warns, and the page speaks of the individuals in X.
#
# Seen: labels of the rows and of the columns, with strata and without; the chance to survive 0.5 by label and by place, and
# medians.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check \
  lifelines==0.30.3 pandas==2.3.3 numpy==2.4.6 scipy==1.17.1
cat > "$place/order.py" <<'PYTHON'
import numpy as np
import pandas as pd
from lifelines import CoxPHFitter

draws = np.random.default_rng(0)
rows = pd.DataFrame({"load": draws.normal(size=400), "site": draws.integers(0, 2, 400), "failed": 1})
rows["days"] = draws.weibull(1 + rows["site"]) * np.exp(-rows["load"])
asked = pd.DataFrame({"load": [0.0, 1.0, -1.0, 0.5], "site": [1, 0, 1, 0]}, index=["p", "q", "r", "s"])
for name, options in (("strata", {"strata": ["site"]}), ("no strata", {})):
    model = CoxPHFitter().fit(rows, "days", "failed", **options)
    curves = model.predict_survival_function(asked, times=[0.5])
    print(f"{name}: rows {list(asked.index)}, columns {list(curves.columns)}, medians {list(model.predict_median(asked).index)}")
    print("  by label", curves.loc[0.5, asked.index].round(2).tolist(), "by place", curves.to_numpy()[0].round(2).tolist())
    print("  medians", model.predict_median(asked).round(2).tolist())
PYTHON
"$place/venv/bin/python" -W ignore "$place/order.py" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "lifelines 0.30.3: as described"
strata: rows ['p', 'q', 'r', 's'], columns ['q', 's', 'p', 'r'], medians ['p', 'q', 'r', 's']
  by label [0.69, 0.19, 0.91, 0.44] by place [0.19, 0.44, 0.69, 0.91]
  medians [0.73, 0.25, 1.65, 0.46]
no strata: rows ['p', 'q', 'r', 's'], columns ['p', 'q', 'r', 's'], medians ['p', 'q', 'r', 's']
  by label [0.64, 0.27, 0.89, 0.52] by place [0.64, 0.27, 0.89, 0.52]
  medians [0.68, 0.33, 1.82, 0.52]
SEEN
