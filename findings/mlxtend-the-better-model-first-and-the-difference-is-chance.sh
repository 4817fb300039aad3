#!/usr/bin/env bash
# mlxtend 0.25.0: `proportion_difference` tests whether two accuracies differ. It returns the statistic and "the p-value",
# which is that of one side: how likely a first accuracy as low as this is. Where the first is the better one, the p value
# is near 1 and no difference is ever found, however large it is; with the two swapped it is half of what a test of two
# sides says. Neither its docstring nor its name says so, and no argument chooses the side; McNemar's and Cochran's tests in
# the same module have two sides, as has statsmodels.
#
# Candidate first, live model second is a usual order, and then a gate at p < 0.05 lets no better candidate pass.
#
# Seen: p of accuracies of 0.9 and 0.7 on 200 rows each, in both orders, and of equal ones; and by statsmodels with the same
# variance.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check \
  mlxtend==0.25.0 statsmodels==0.15.0 scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1 pandas==2.3.3
cd "$place"
cat > accuracies.py <<'PYTHON'
from mlxtend.evaluate import proportion_difference
from statsmodels.stats.proportion import test_proportions_2indep as compare

for first, second in ((0.9, 0.7), (0.7, 0.9), (0.8, 0.8)):
    z, p = proportion_difference(first, second, 200)
    other = compare(round(200 * first), 200, round(200 * second), 200, method="wald")
    print(f"{first} and {second}: mlxtend z {z:.2f}, p {p:.7f}; statsmodels z {other.statistic:.2f}, p {other.pvalue:.7f}")
PYTHON
OMP_NUM_THREADS=1 "$place/venv/bin/python" -W ignore accuracies.py > seen
diff - seen <<'SEEN' && echo "mlxtend 0.25.0: as described"
0.9 and 0.7: mlxtend z 5.16, p 0.9999999; statsmodels z 5.16, p 0.0000002
0.7 and 0.9: mlxtend z -5.16, p 0.0000001; statsmodels z -5.16, p 0.0000002
0.8 and 0.8: mlxtend z 0.00, p 0.5000000; statsmodels z 0.00, p 1.0000000
SEEN
