#!/usr/bin/env bash
# lancedb 0.40.0: a search by `distance_type("cosine")` orders rows by the angle between vectors. A vector of zeros, as a model or
# a hashing vectorizer has it for an empty text or one of unknown words alone, has no angle: the distance is nan, and the row
# isn't in the result, at no limit, while `count_rows` counts it. So a search for all rows, the farthest last, returns fewer than
# there are, and one by a vector of zeros finds nothing at all, without an error or a warning, where another distance finds each
# row. scikit-learn says 1 for the same pairs, as if they were at a right angle, and returns them. A filter that names the row
# doesn't find it either, as long as it stands beside a search.
#
# Seen: rows counted, and found by a limit of 10, for a vector and for zeros, by distance; and scikit-learn's neighbours.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check \
  lancedb==0.40.0 pyarrow==25.0.1 numpy==2.4.6 scikit-learn==1.9.1 scipy==1.17.1
cd "$place"
cat > zeros.py <<'PYTHON'
import lancedb
from sklearn.neighbors import NearestNeighbors

vectors = [[1.0, 0.0], [0.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, 0.0]]
table = lancedb.connect("base").create_table("texts", [{"text": n, "vector": vector} for n, vector in enumerate(vectors)])
print("rows", table.count_rows())
for asked in ([1.0, 0.0], [0.0, 0.0]):
    for distance in ("cosine", "l2", "dot"):
        search = table.search(asked).distance_type(distance)
        print(f"{asked} by {distance}:", sorted(row["text"] for row in search.limit(10).to_list()))
    print("  where text = 1:", len(table.search(asked).distance_type("cosine").where("text = 1").limit(10).to_list()))
    others = NearestNeighbors(n_neighbors=5, metric="cosine").fit(vectors)
    print("  scikit-learn:", sorted(others.kneighbors([asked], return_distance=False)[0].tolist()))
PYTHON
"$place/venv/bin/python" zeros.py 2> errors > seen
diff - seen <<'SEEN' && echo "lancedb 0.40.0: as described"
rows 5
[1.0, 0.0] by cosine: [0, 2, 3]
[1.0, 0.0] by l2: [0, 1, 2, 3, 4]
[1.0, 0.0] by dot: [0, 1, 2, 3, 4]
  where text = 1: 0
  scikit-learn: [0, 1, 2, 3, 4]
[0.0, 0.0] by cosine: []
[0.0, 0.0] by l2: [0, 1, 2, 3, 4]
[0.0, 0.0] by dot: [0, 1, 2, 3, 4]
  where text = 1: 0
  scikit-learn: [0, 1, 2, 3, 4]
SEEN
