#!/usr/bin/env bash
# zarr 3.1.6: an array is written like one of numpy, by slices. A slice that reaches past the end takes only the first of the
# values, and the others are dropped in silence; so are all of them where the slice begins past the end. numpy raises a ValueError
# for both, as lengths don't match. Of a matrix it is the same for its rows. A job that writes each day's predictions at its place
# into an array of a year loses what comes after the last day, and a test that reads back what it wrote, by the same slice, gets
# the shorter array without an error. Compare lengths, or `resize` first.
#
# Seen: eight values written from place 2 on, and two from place 6 on, of an array of four, by zarr and by numpy.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check zarr==3.1.6 numcodecs==0.16.6 numpy==2.4.6
cat > "$place/past.py" <<'PYTHON'
import numpy as np
import zarr

for name, array in (("zarr", zarr.zeros(store={}, shape=(4,))), ("numpy", np.zeros(4))):
    for first, count in ((2, 8), (6, 2)):
        values = np.arange(1.0, 1 + count)
        try:
            array[first : first + count] = values
            print(name, array[:].tolist(), "read back", array[first : first + count].tolist())
        except ValueError as error:
            print(name, error)
matrix = zarr.zeros(store={}, shape=(2, 3), chunks=(1, 3))
matrix[1:4] = np.ones((3, 3))
print("zarr", matrix[:].tolist())
PYTHON
"$place/venv/bin/python" -W error "$place/past.py" > "$place/seen"
diff - "$place/seen" <<'SEEN' && echo "zarr 3.1.6: as described"
zarr [0.0, 0.0, 1.0, 2.0] read back [1.0, 2.0]
zarr [0.0, 0.0, 1.0, 2.0] read back []
numpy could not broadcast input array from shape (8,) into shape (2,)
numpy could not broadcast input array from shape (2,) into shape (0,)
zarr [[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]]
SEEN
