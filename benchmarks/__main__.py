"""Runs a benchmark; those that measure the shipped example do so whatever `problem/` is."""

import filecmp
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from penumbra.core.settings import PROJECT_ROOT
from tests.helpers.checkout import FLIGHTS, link_checkout

ON_ANY_PROBLEM = ("cli", "own_data", "slices", "template")


def main(module: str) -> int:
    """Run a benchmark in a process of its own.

    Where it measures the shipped example and `problem/` is another problem, it runs in a checkout of links that has
    `examples/flights` in that place.

    Args:
        module: Its module or package in this folder.

    Returns:
        Its exit code.
    """
    command, name = [sys.executable, "-m", f"benchmarks.{module}"], module.replace("_", "-")
    if module in ON_ANY_PROBLEM or is_example():
        return subprocess.run(command).returncode
    if not FLIGHTS.exists():
        print(f"bench {name} measures the shipped example, and there is no examples/flights", file=sys.stderr)
        return 1
    print(f"problem/ is not the shipped example: bench {name} measures examples/flights instead", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        checkout = link_checkout(Path(folder).resolve())
        return subprocess.run(command, cwd=checkout, env={**os.environ, "PYTHONPATH": str(checkout)}).returncode


def is_example() -> bool:
    """Return whether `problem/` has the example's contract and source."""
    names = ["schema.py", "source.py"]
    return not any(filecmp.cmpfiles(PROJECT_ROOT / "problem", FLIGHTS, names, shallow=False)[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
