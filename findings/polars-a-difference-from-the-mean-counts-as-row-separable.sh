#!/usr/bin/env bash
# polars 2.1.0: `Expr.meta.is_row_separable()` looks at the outermost operation alone. It says True for `x - x.mean()`
# and for `x.cum_sum() > 3`, whose value in a row depends on all others, and False for `x.mean()` and `x.cum_sum()`.
#
# Who relies on it to compute a column in pieces gets other numbers in each piece. Asking each part of the expression
# (`meta.pop()`, again and again) finds the mean and the sum.
#
# Seen: True, True, False, False; and of [1, 2, 6] at once [-2, -1, 3], row by row [0, 0, 0].
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check polars==2.1.0
cat > "$place/separable.py" <<'PYTHON'
import polars as pl

x = pl.col("x")
for expression in (x - x.mean(), x.cum_sum() > 3, x.mean(), x.cum_sum()):
    print(expression.meta.is_row_separable())
rows = pl.DataFrame({"x": [1.0, 2.0, 6.0]})
print(rows.select(x - x.mean())["x"].to_list())
print([part.select(x - x.mean())["x"].item() for part in rows.iter_slices(1)])
PYTHON
"$place/venv/bin/python" "$place/separable.py" > "$place/seen"
printf 'True\nTrue\nFalse\nFalse\n[-2.0, -1.0, 3.0]\n[0.0, 0.0, 0.0]\n' | diff - "$place/seen" \
  && echo "polars 2.1.0: as described"
