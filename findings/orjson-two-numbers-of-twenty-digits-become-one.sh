#!/usr/bin/env bash
# orjson 3.13.0: whole numbers have 64 bits. `dumps` raises for one that is larger; `loads` takes it and gives a float of
# it, without a word, so that its last digits are lost: two keys of 20 digits become one, and the type of a field depends on
# its value from row to row. What was read can be written again, as 1.8446744073709552e+19. json and msgspec read the number
# as it is. Its page says that 64-bit integers are read and written, and of larger ones only that writing raises.
#
# Seen: what three libraries read of the largest number of 64 bits, of the two after it and of one of 20 digits below zero;
# and how many keys are left of two.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check orjson==3.13.0 msgspec==0.22.0
cd "$place"
cat > digits.py <<'PYTHON'
import json

import msgspec
import orjson

texts = ["18446744073709551615", "18446744073709551616", "18446744073709551617", "-10000000000000000001"]
for library, read in (("json", json.loads), ("msgspec", msgspec.json.decode), ("orjson", orjson.loads)):
    numbers = read(f"[{', '.join(texts)}]")
    print(f"{library}: {numbers}, keys {len(set(numbers[1:3]))}")
print("written again", orjson.dumps(orjson.loads(texts[2])).decode())
try:
    orjson.dumps(int(texts[2]))
except TypeError as error:
    print("written as it is:", error)
PYTHON
OMP_NUM_THREADS=1 "$place/venv/bin/python" -W ignore digits.py > seen
diff - seen <<'SEEN' && echo "orjson 3.13.0: as described"
json: [18446744073709551615, 18446744073709551616, 18446744073709551617, -10000000000000000001], keys 2
msgspec: [18446744073709551615, 18446744073709551616, 18446744073709551617, -10000000000000000001], keys 2
orjson: [18446744073709551615, 1.8446744073709552e+19, 1.8446744073709552e+19, -1e+19], keys 1
written again 1.8446744073709552e+19
written as it is: Integer exceeds 64-bit range
SEEN
