#!/usr/bin/env bash
# treelite 4.8.1, scikit-learn 1.9.1: `GradientBoostingClassifier(loss="exponential")` learns half the log-odds, as AdaBoost does,
# so that its probability is the sigmoid of twice the sum of the trees. treelite imports such a model without a word and takes the
# sigmoid of the sum. All probabilities move towards one half, 0.1 to 0.25: their mean isn't the share of the class any more, and
# expected values and thresholds other than one half decide otherwise. Labels agree, by which such a conversion is tested most.
# With the default loss both agree to the last digits. The docs of the importer name the class and no loss that it can't take.
#
# Seen, of a class of 23 percent: by loss, the share of equal labels, the mean probability by each, the largest difference, and
# that from the sigmoid of half the log-odds.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check treelite==4.8.1 scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1
cat > "$place/losses.py" <<'PYTHON'
import numpy as np
import treelite
from scipy.special import expit, logit
from sklearn.ensemble import GradientBoostingClassifier

draws = np.random.default_rng(0)
rows = draws.normal(size=(2000, 2))
labels = rows[:, 0] + draws.normal(size=2000) > 1
for loss in ("log_loss", "exponential"):
    model = GradientBoostingClassifier(loss=loss, random_state=0).fit(rows, labels)
    theirs = model.predict_proba(rows)[:, 1]
    ours = treelite.gtil.predict(treelite.sklearn.import_model(model), rows).ravel()
    print(loss, f"labels {np.mean((theirs > 0.5) == (ours > 0.5)):.0%}, mean {theirs.mean():.2f} {ours.mean():.2f}", end=", ")
    print(*(f"{abs(other - ours).max():.2f}" for other in (theirs, expit(logit(theirs) / 2))))
PYTHON
"$place/venv/bin/python" "$place/losses.py" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "treelite 4.8.1: as described"
log_loss labels 100%, mean 0.23 0.23, 0.00 0.15
exponential labels 100%, mean 0.22 0.30, 0.15 0.00
SEEN
