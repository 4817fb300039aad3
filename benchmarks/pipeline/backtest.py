"""`penumbra bench backtest`: the processor time of a backtest beside that of the fits that it makes."""

import json
import os
import sys
import tempfile
from pathlib import Path

from benchmarks.helpers.process_costs import measure_command
from penumbra.storage.cache import ARRAYS, FileCache

BACKTEST_COMMAND = [sys.executable, "-m", "penumbra.cli.app", "backtest"]


def main() -> None:
    """Print both, and a JSON document in the last line."""
    with tempfile.TemporaryDirectory() as name:
        cost = measure_command(BACKTEST_COMMAND, {**os.environ, "PENUMBRA_BACKTEST__FOLDER": name})
        fits = sum_fit_seconds(Path(name))
    print(f"{'backtest':<20}{cost.cpu_seconds:>8.1f} CPU s{cost.seconds:>8.1f} s{cost.peak_mb:>8.0f} MB")
    print(f"{'of it its fits':<20}{fits:>8.1f} CPU s")
    figures = {"cpu_over_fits": cost.cpu_seconds / fits, "cpu_s": cost.cpu_seconds, "fits_cpu_s": fits}
    print(json.dumps({name: round(value, 2) for name, value in figures.items()} | {"seconds": round(cost.seconds)}))


def sum_fit_seconds(folder: Path) -> float:
    """Sum the processor time of the fits of a backtest, each of which is made once.

    Args:
        folder: The folder of the backtest.

    Returns:
        Seconds.
    """
    found = (FileCache(path.parent, ARRAYS).find(path.stem) for path in folder.glob(f"fits/*/*{ARRAYS.suffix}"))
    return sum(float(fit["cpu_seconds"]) for fit in found if fit and "cpu_seconds" in fit)


if __name__ == "__main__":
    main()
