#!/usr/bin/env bash
# polars 2.1.0: `shuffle` is said to be independent of any other column or expression. With a seed it is one
# permutation: over groups each group of a size is shuffled alike, and `sample(seed=...)` takes the same places of each;
# so are the columns of one frame, whose rows then stay together. pandas' `groupby.sample` and numpy's generators draw
# on from group to group.
#
# A permutation test within days, made repeatable by a seed, so moves all days alike: the mean of a hundred days varies
# as that of one day, and its interval is ten times too wide. `pl.set_random_seed` instead of a seed is repeatable too,
# and shuffles each group by itself.
#
# Seen, in a hundred groups of ten rows: the number of different orders, and whether samples of three rows differ; of
# two columns shuffled by one seed all pairs are kept.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check polars==2.1.0
cat > "$place/shuffle.py" <<'PYTHON'
import polars as pl

rows = pl.DataFrame({"day": range(100)}).join(pl.DataFrame({"row": range(10)}), how="cross")


def count(expression: pl.Expr) -> int:
    """How many of the hundred groups differ."""
    return rows.group_by("day").agg(expression)["row"].n_unique()


for name, seed in (("seed", 1), ("set_random_seed", None)):
    pl.set_random_seed(1)
    print(name, "| orders", count(pl.col("row").shuffle(seed)), end=" ")
    print("| samples", "one" if count(pl.col("row").sample(3, seed=seed).sort()) == 1 else "many")
pairs = rows.select((pl.col("day") * 10 + pl.col("row")).alias("x")).select("x", twice=pl.col("x") * 2)
together = pairs.select(pl.all().shuffle(seed=1)).filter(pl.col("twice") == pl.col("x") * 2)
print("pairs of two columns that stay together:", together.height, "of", pairs.height)
PYTHON
"$place/venv/bin/python" "$place/shuffle.py" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "polars 2.1.0: as described"
seed | orders 1 | samples one
set_random_seed | orders 100 | samples many
pairs of two columns that stay together: 1000 of 1000
SEEN
