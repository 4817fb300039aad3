"""What the loop on one machine costs beside the code from before machines could share their state: processor time.

Each round runs both in turns, each in a folder of its own: ingest and training of three months, a fortnight of answers
with its monitor pass, then the flows that monitor and promote. BEFORE=… for another revision, ROUNDS=… for more rounds.
"""

import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.helpers.process_costs import measure_command
from penumbra.core.settings import PROJECT_ROOT

BEFORE = os.environ.get("BEFORE", "0163137")
ROUNDS = int(os.environ.get("ROUNDS", 5))
CANDIDATE = "logistic_regression"
STEPS = {
    "ingest": (["flows/ingest.py", "--no-pylint", "run"], "2013-05-01"),
    "train": (["flows/train.py", "--no-pylint", "run"], "2013-05-01"),
    "judge": (["-m", "tests.helpers.april_monitoring"], "2013-04-18"),
    "monitor": (["flows/monitor.py", "--no-pylint", "run"], "2013-04-18"),
    "promote": (["flows/promote.py", "--no-pylint", "run"], "2013-04-18"),
}


def measure() -> dict[str, float]:
    """Measure the loop of this tree beside that of an earlier revision.

    Returns:
        `embedded_over_before`: the median over the rounds of the ratio of their processor times.
    """
    with check_out(BEFORE) as before:
        subprocess.run([sys.executable, "-m", "compileall", "-q", str(before)], check=True)
        rounds = [_run_both(before, is_turned=bool(number % 2)) for number in range(ROUNDS)]
    print(f"processor seconds, medians of {ROUNDS} rounds in turns\n{'':<10}{BEFORE:>10}{'now':>10}{'ratio':>10}")
    ratios = {}
    for name in [*STEPS, "loop"]:
        then, now = ([_sum_seconds(each[number], name) for each in rounds] for number in (0, 1))
        ratios[name] = statistics.median(new / old for old, new in zip(then, now, strict=True))
        print(f"{name:<10}{statistics.median(then):>10.2f}{statistics.median(now):>10.2f}{ratios[name]:>10.3f}")
    return {"embedded_over_before": round(ratios["loop"], 3)}


@contextlib.contextmanager
def check_out(revision: str) -> Iterator[Path]:
    """Check a revision of the project out into a folder of its own, as a context manager.

    Args:
        revision: What git takes for one.

    Yields:
        The folder, which is removed at the end.
    """
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        git = ["git", "-C", str(PROJECT_ROOT), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", str(tree), revision], check=True)
        try:
            yield tree
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True)


def run_loop(tree: Path) -> dict[str, float]:
    """Run the loop once.

    Args:
        tree: A checkout of the project.

    Returns:
        Seconds of processor time by step.
    """
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / ".metaflow").mkdir()
        (folder / ".dvc").mkdir()
        config = (tree / ".dvc" / "config").read_text()
        (folder / ".dvc" / "config").write_text(config.replace("[core]", "[core]\n    no_scm = true"))
        return {name: _time_step(tree, folder, *step) for name, step in STEPS.items()}


def _run_both(before: Path, is_turned: bool) -> tuple[dict[str, float], dict[str, float]]:
    """Run both loops, in the other order where `is_turned`; the earlier one's times come first in any case."""
    first, second = (run_loop(tree) for tree in ((PROJECT_ROOT, before) if is_turned else (before, PROJECT_ROOT)))
    print(f"{sum(first.values()):.2f} s, then {sum(second.values()):.2f} s", flush=True)
    return (second, first) if is_turned else (first, second)


def _sum_seconds(times: dict[str, float], name: str) -> float:
    return sum(times.values()) if name == "loop" else times[name]


def _time_step(tree: Path, folder: Path, words: list[str], today: str) -> float:
    arguments = [str(tree / word) if word.endswith(".py") else word for word in words]
    own = {"PYTHONPATH": str(tree), "METAFLOW_USER": "bench", "METAFLOW_RUN_MAX_WORKERS": "1", "OMP_NUM_THREADS": "1"}
    own |= {"PENUMBRA_DATA__TODAY": today, "PENUMBRA_TRAINING__CANDIDATES": CANDIDATE}
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return measure_command([sys.executable, *arguments], environ | own, folder).cpu_seconds
