"""`penumbra bench cli`: how long help and light commands take, beside starting Python; all in turns, in one run."""

import json
import os
import statistics
import subprocess
import sys
import time

from penumbra.core.settings import PROJECT_ROOT

ROUNDS = 15
CLI = [sys.executable, "-m", "penumbra.cli.app"]
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "--help": [*CLI, "--help"],
    "train --help": [*CLI, "train", "--help"],
    "settings": [*CLI, "settings"],
    "history": [*CLI, "history"],
    "explain": [*CLI, "explain", "0" * 17 + "-0"],
}


def main() -> None:
    """Print seconds and ratios for each command, and a JSON document in the last line."""
    rounds = [{name: _time_command(command) for name, command in COMMANDS.items()} for _ in range(ROUNDS)]
    plain, *_ = COMMANDS
    seconds = {name: statistics.median(times[name] for times in rounds) for name in COMMANDS}
    ratios = {name: statistics.median(times[name] / times[plain] for times in rounds) for name in COMMANDS}
    print(f"{os.cpu_count()} cores; medians of {ROUNDS} rounds in turns")
    print(f"{'command':<16}{'seconds':>9}{'beside python -c pass':>23}")
    for name in COMMANDS:
        print(f"{name:<16}{seconds[name]:>9.3f}{ratios[name]:>23.1f}")
    rounded = {name: round(value, 3) for name, value in seconds.items()}
    print(json.dumps({"seconds": rounded, "ratios": {name: round(value, 2) for name, value in ratios.items()}}))


def _time_command(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, check=False)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
