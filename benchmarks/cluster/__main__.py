"""`penumbra bench cluster`: what it costs that several machines share their state, and whether faults lose anything.

`python -m benchmarks.cluster log_union` makes one of the measurements, and with `ROUNDS=1` one round of `embedded` or
`pods`. The stores are stand-ins on this machine, moto and
SeaweedFS, so requests are counted and ratios measured, and times are those of a store without a network.
"""

import importlib
import json
import sys
import traceback
from collections.abc import Sequence

MEASUREMENTS = ("ledger", "log_union", "embedded", "pods")


def main(names: Sequence[str]) -> None:
    """Print a table for each measurement, and the figures of all as a JSON document in the last line.

    The others are made after one that ends in an error, whose traceback is printed. Exits with 1 then.

    Args:
        names: Modules of this folder; each has `measure() -> dict[str, float]`, which prints its table. None: all.
    """
    if unknown := set(names).difference(MEASUREMENTS):
        sys.exit(f"there is no measurement {', '.join(sorted(unknown))}: there are {', '.join(MEASUREMENTS)}")
    figures: dict[str, float] = {}
    failed = []
    for name in names or MEASUREMENTS:
        try:
            figures |= importlib.import_module(f"benchmarks.cluster.{name}").measure()
        except Exception:
            traceback.print_exc()
            failed.append(name)
        print(flush=True)
    print(json.dumps(figures))
    if failed:
        sys.exit(f"{', '.join(failed)}: ended in an error")


if __name__ == "__main__":
    main(sys.argv[1:])
