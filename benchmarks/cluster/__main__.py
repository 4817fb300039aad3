"""`penumbra bench cluster`: what it costs that several machines share their state, and whether faults lose anything.

`python -m benchmarks.cluster ledger` makes one of the measurements. The stores are stand-ins on this machine, moto and
SeaweedFS, so requests are counted and ratios measured, and times are those of a store without a network.
"""

import importlib
import json
import sys
from collections.abc import Sequence

MEASUREMENTS = ("ledger", "pods", "embedded", "log_union")


def main(names: Sequence[str]) -> None:
    """Print a table for each measurement, and the figures of all as a JSON document in the last line.

    Args:
        names: Modules of this folder; each has `measure() -> dict[str, float]`, which prints its table.
    """
    figures: dict[str, float] = {}
    for name in names or MEASUREMENTS:
        figures |= importlib.import_module(f"benchmarks.cluster.{name}").measure()
        print(flush=True)
    print(json.dumps(figures))


if __name__ == "__main__":
    main(sys.argv[1:])
