"""`penumbra bench own-data`: run the whole loop on problems that aren't the example."""

import json
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.projects.own_data.loop import NAMES, Target, run_loop

AT_ONCE = 2


def main(names: Sequence[str] = ()) -> None:
    """Print a line for each problem, its faults, and a JSON document in the last line.

    Args:
        names: The problems; none: all.
    """
    chosen = names or NAMES
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(AT_ONCE) as pool:
        began = time.perf_counter()
        results = dict(pool.map(lambda name: (name, run_and_tell(name, Path(folder) / name)), chosen))
        seconds = time.perf_counter() - began
    print(f"{'problem':<12}{'targets passed':>15}{'seconds':>9}")
    for name, targets in results.items():
        passed = sum(not target.fault for target in targets)
        print(f"{name:<12}{f'{passed} of {len(targets)}':>15}{sum(target.seconds for target in targets):>9.0f}")
    for name, targets in results.items():
        for target in targets:
            if target.fault:
                print(f"\n{name}, {target.name}: {target.fault}")
    print(json.dumps(summarize(results) | {"seconds": round(seconds)}))


def run_and_tell(name: str, folder: Path) -> list[Target]:
    """Run the loop on a problem, and say on stderr when it is through."""
    targets = run_loop(name, folder)
    times = ", ".join(f"{target.name} {target.seconds:.0f} s" for target in targets)
    print(f"{name} is through: {times}", file=sys.stderr)
    return targets


def summarize(results: dict[str, list[Target]]) -> dict[str, int]:
    """Count problems, targets, and targets that failed."""
    targets = [target for some in results.values() for target in some]
    return {"problems": len(results), "targets": len(targets), "failed": sum(bool(target.fault) for target in targets)}


if __name__ == "__main__":
    main(sys.argv[1:])
