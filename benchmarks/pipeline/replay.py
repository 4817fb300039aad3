"""`penumbra bench replay`: how long `make replay` takes for 14 days; with YEAR=1 also for all later months."""

import json
import os
import sys
import tempfile

from benchmarks.helpers.process_costs import measure_command

REPLAY_COMMAND = [sys.executable, "-m", "penumbra.cli.app", "replay"]


def main() -> None:
    """Print the cost of each replay, and a JSON document in the last line."""
    lengths = {"days14": ["--days=14"], **({"year": []} if os.environ.get("YEAR") else {})}
    figures = {}
    for name, options in lengths.items():
        with tempfile.TemporaryDirectory() as folder:
            cost = measure_command([*REPLAY_COMMAND, *options], {**os.environ, "PENUMBRA_REPLAY__FOLDER": folder})
        figures |= {f"{name}_s": round(cost.seconds, 1), f"{name}_cpu_s": round(cost.cpu_seconds, 1)}
        days = f"{name.removeprefix('days')} days" if options else "all later months"
        print(f"{days:<20}{cost.seconds:>8.1f} s{cost.cpu_seconds:>8.1f} CPU s", flush=True)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
