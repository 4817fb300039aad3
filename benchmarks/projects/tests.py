"""`penumbra bench tests`: how long `make test` and `make test-all` take in this checkout; TARGETS="test" for one."""

import json
import os
import sys

from benchmarks.helpers.process_costs import make_shell_environment, measure_command
from penumbra.core.settings import PROJECT_ROOT


def main() -> None:
    """Print the cost of each, and a JSON document in the last line. Exits with 1 where tests fail."""
    figures, failures = {}, []
    for target in os.environ.get("TARGETS", "test test-all").split():
        try:
            cost = measure_command(["make", target], make_shell_environment(), PROJECT_ROOT)
        except SystemExit as failure:
            failures.append(str(failure))
            continue
        figures[f"{target.replace('-', '_')}_s"] = round(cost.seconds)
        print(f"{f'make {target}':<20}{cost.seconds:>8.0f} s{cost.cpu_seconds:>8.0f} CPU s", flush=True)
    print(json.dumps(figures))
    if failures:
        sys.exit("\n".join(failures))


if __name__ == "__main__":
    main()
