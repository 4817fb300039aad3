#!/usr/bin/env bash
# fairlearn 0.15.0: the true positive rate of a group without positives, 0 of 0, is said to be 0, without a warning, and
# so is its false negative rate, though the two add up to 1 everywhere else. A model that makes no mistake at all then
# has the largest unfairness there is: a difference of equalized odds of 1, a ratio of 0. Small groups, or short periods
# of a rare outcome, lack positives often, and a gate on such a number refuses every model then. nan would say so.
#
# Seen: predictions equal to the labels, one group without positives: both rates 0, difference 1, ratio 0. With a
# positive in each group: difference 0, ratio 1.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check fairlearn==0.15.0 scikit-learn==1.9.1 pandas==2.3.3
cat > "$place/perfect.py" <<'PYTHON'
from fairlearn import metrics

groups = ["a", "a", "a", "b", "b", "b"]
for labels in ([0, 0, 0, 0, 1, 1], [0, 0, 1, 0, 1, 1]):
    rates = (metrics.true_positive_rate, metrics.false_negative_rate)
    print("group a:", *(rate(labels[:3], labels[:3]) for rate in rates))
    for measure in (metrics.equalized_odds_difference, metrics.equal_opportunity_difference, metrics.equalized_odds_ratio):
        print(measure.__name__, measure(labels, labels, sensitive_features=groups))
PYTHON
"$place/venv/bin/python" -W error "$place/perfect.py" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "fairlearn 0.15.0: as described"
group a: 0.0 0.0
equalized_odds_difference 1.0
equal_opportunity_difference 1.0
equalized_odds_ratio 0.0
group a: 1.0 0.0
equalized_odds_difference 0.0
equal_opportunity_difference 0.0
equalized_odds_ratio 1.0
SEEN
