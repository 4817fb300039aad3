"""CPU time of a whole monitor pass over two windows that are due: the flow, with its reports and the overview."""

import os
import sys
from pathlib import Path

from benchmarks.helpers.process_costs import measure_command
from benchmarks.pipeline.monitor.report_cost import build_windows
from penumbra.core.settings import PROJECT_ROOT

ANSWERS, WEEKS = 13_000, 2
MONITOR_COMMAND = [sys.executable, PROJECT_ROOT / "flows" / "monitor.py", "--no-pylint", "run"]


def measure_pass(folder: Path) -> dict[str, float]:
    """Measure a pass, and print its cost.

    Args:
        folder: With the year's rows and those of a reference, as `line_logs.write_year` writes them.

    Returns:
        "pass_cpu_s".
    """
    environ = {**os.environ, **build_windows(folder, ANSWERS, WEEKS), "METAFLOW_USER": "bench"}
    environ |= {"PYTHONPATH": str(PROJECT_ROOT), "PENUMBRA_MONITOR__MAX_RETRAINS": "0"}  # a training is another matter
    (place := folder / "pass").mkdir()
    (place / ".metaflow").mkdir()
    cost = measure_command(MONITOR_COMMAND, environ, place)
    print(f"a monitor pass over {WEEKS} windows of {ANSWERS:,} answers in all: {cost.cpu_seconds:.1f} CPU s")
    return {"pass_cpu_s": round(cost.cpu_seconds, 1)}
