#!/usr/bin/env bash
# Hypothesis 6.170.17: with `derandomize=True`, the default on CI, every run tests the same cases "until you update Hypothesis,
# Python, or the test function", says its page. It also reads the source of all of the project's modules that are imported but the
# tests, takes the numbers and texts that stand there, and draws some cases from them. So the cases depend on each of these files.
# A constant that changes in a module which the test never uses, or one more such module in the process, because another test
# imports it, changes what is drawn, and all that follows in the stream of random numbers. A test that fails on CI then passes
# where it is run alone, and one that passed for a year fails after a change that has nothing to do with it.
#
# Seen: whether 30 integers are those of a first run: run again, and with a module of one constant imported before; and the
# constant among the integers, as it is and with its last digit changed.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check hypothesis==6.170.17
cd "$place"
cat > draws.py <<'PYTHON'
import sys

from hypothesis import given, settings, strategies

if len(sys.argv) > 1:
    import prices  # noqa: F401

drawn = []


@settings(derandomize=True, database=None, max_examples=30)
@given(strategies.integers())
def check(number: int) -> None:
    drawn.append(number)


check()
print(drawn)
PYTHON
echo 'RENT = 314159265' > prices.py
export PYTHONDONTWRITEBYTECODE=1
"$place/venv/bin/python" draws.py > first
same() { cmp -s first - && echo "the same" || echo "others"; }
{
  "$place/venv/bin/python" draws.py | same
  "$place/venv/bin/python" draws.py imported | same
  "$place/venv/bin/python" draws.py imported | grep -o "31415926." | sort -u
  sed -i 's/314159265/314159266/' prices.py
  "$place/venv/bin/python" draws.py imported | grep -o "31415926." | sort -u
} > seen
diff - seen <<'SEEN' && echo "Hypothesis 6.170.17: as described"
the same
others
314159265
314159266
SEEN
