"""`penumbra bench faults`: inject faults by the hundred, and count what was lost, doubled, undetected or unanswered.

A harness is a module below this folder with a function `inject_faults() -> FaultReport`.
`python -m benchmarks.faults kill_points` runs one of them.
"""

import importlib
import json
import sys
import traceback
from collections.abc import Sequence

from penumbra.core.text.tables import format_table

HARNESSES = {  # by name: its module
    "flipped_bytes": "benchmarks.faults.corruption.flipped_bytes",
    "fuzzed_requests": "benchmarks.faults.connections.fuzzed_requests",
    "hostile_peers": "benchmarks.faults.connections.hostile_peers",
    "kill_points": "benchmarks.faults.crashes.kill_points",
    "sustained_load": "benchmarks.faults.load.sustained_load",
    "worker_gap": "benchmarks.faults.load.worker_gap",
}


def main(names: Sequence[str] = ()) -> None:
    """Print the table and the findings of each harness, and the counts of all as a JSON document in the last line.

    The others are run after one that ends in an error, whose traceback is printed. Exits with 1 then.

    Args:
        names: The harnesses; none: all.
    """
    if unknown := set(names).difference(HARNESSES):
        sys.exit(f"there is no harness {', '.join(sorted(unknown))}: there are {', '.join(HARNESSES)}")
    counts: dict[str, float] = {}
    failed = []
    for name in names or HARNESSES:
        try:
            report = importlib.import_module(HARNESSES[name]).inject_faults()
        except Exception:
            traceback.print_exc()
            failed.append(name)
            continue
        counts |= {name: counts.get(name, 0) + number for name, number in report.counts.items()}
        print(f"{name}\n\n{format_table(report.table)}\n")
        for finding in report.findings:
            print(f"{name}: {finding}", flush=True)
    print(json.dumps(counts))
    if failed:
        sys.exit(f"{', '.join(failed)}: ended in an error, see above")


if __name__ == "__main__":
    main(sys.argv[1:])
