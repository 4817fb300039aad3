#!/usr/bin/env bash
# joblib 1.6.0: `Memory` keeps results by a function's name, the text of its code and its arguments. Functions that another
# function makes differ in the values that they enclose, and these are none of the three. The second such function is given
# the results of the first, without a warning, and in later processes too. What its page on pitfalls says of equal names
# ends in a run too many, never in another function's result.
#
# A transformer that is made for each column, or for each factor of a search, so has the values of whichever came first.
# `functools.partial` of a cached function, with the value as an argument, has results of its own.
#
# Seen: 10 scaled by 1, 2 and 3, with the factor enclosed and as an argument; warnings are errors here.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check joblib==1.6.0
cd "$place"
cat > scale.py <<'PYTHON'
import functools
import warnings

import joblib

warnings.simplefilter("error")
memory = joblib.Memory("cache", verbose=0)


def make_scale(factor):
    @memory.cache
    def scale(number):
        return number * factor

    return scale


@memory.cache
def scale_by(number, factor):
    return number * factor


print("enclosed", [make_scale(factor)(10) for factor in (1, 2, 3)])
print("argument", [functools.partial(scale_by, factor=factor)(10) for factor in (1, 2, 3)])
PYTHON
OMP_NUM_THREADS=1 "$place/venv/bin/python" -W ignore scale.py > seen
diff - seen <<'SEEN' && echo "joblib 1.6.0: as described"
enclosed [10, 10, 10]
argument [10, 20, 30]
SEEN
