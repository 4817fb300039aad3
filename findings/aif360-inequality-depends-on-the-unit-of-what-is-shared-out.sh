#!/usr/bin/env bash
# aif360 0.6.1, scikit-learn 1.5.2: `generalized_entropy_index` says how unequally a benefit is shared out, as by Speicher and
# others. It depends on shares of the mean, so that euros or cents make no difference; the formula on its page has nothing else in
# it. With alpha=0, the mean log deviation, which is chosen where those who get least are to count most, the code divides by the
# mean once more. Of incomes in thousands it is a thirtieth of what it should be where their mean is 30, of the same in ones a
# thousandth of that, as if all had the same; only with a mean of 1 it is right. With alpha=1, Theil's index, a number is raised
# to the power of the benefit, which leaves the range of floats where that is in the hundreds: nan. With alpha=2 the unit makes no
# difference.
#
# Seen: the index of four incomes in thousands, the same in ones, and divided by their mean; by alpha, and by the page's formula
# for alpha=0.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check \
  aif360==0.6.1 scikit-learn==1.5.2 numpy==1.26.4 pandas==2.2.3 scipy==1.14.1
cat > "$place/units.py" <<'PYTHON'
import numpy as np
from aif360.sklearn.metrics import generalized_entropy_index

incomes = np.array([10.0, 20.0, 30.0, 60.0])
for name, benefit in (("thousands", incomes), ("ones", 1000 * incomes), ("shares of the mean", incomes / incomes.mean())):
    seen = (f"alpha {alpha} {generalized_entropy_index(benefit, alpha=alpha):.5f}" for alpha in (0, 1, 2))
    print(f"{name}:", ", ".join(seen), f"by the formula {-np.log(benefit / benefit.mean()).mean():.5f}")
PYTHON
"$place/venv/bin/python" -W ignore "$place/units.py" 2> "$place/errors" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "aif360 0.6.1: as described"
thousands: alpha 0 0.00676, alpha 1 0.18745, alpha 2 0.19444 by the formula 0.20273
ones: alpha 0 0.00001, alpha 1 nan, alpha 2 0.19444 by the formula 0.20273
shares of the mean: alpha 0 0.20273, alpha 1 0.18745, alpha 2 0.19444 by the formula 0.20273
SEEN
