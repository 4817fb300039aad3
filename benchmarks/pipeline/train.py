"""`penumbra bench train`: measure the training flow's wall time beside a plain script doing the same fits.

The script runs in one process and thread, and with joblib in two; at the example's history and at 252,000 rows. And how
long an idea takes: from `penumbra experiment` to the first metric on screen. All in turns, in a warm environment.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS = int(os.environ.get("ROUNDS", 3))
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
TRAINING_COMMANDS = {
    "flow": [sys.executable, "flows/train.py", "--no-pylint", "run"],
    "plain": [sys.executable, "-m", "benchmarks.pipeline.plain_training", "1"],
    "joblib": [sys.executable, "-m", "benchmarks.pipeline.plain_training", "2"],
}
EXPERIMENT_COMMAND = [sys.executable, "-m", "penumbra.cli.app", "experiment", "gradient_boosting"]
FIRST_METRIC_TEXT = "A quick look at"


def main() -> None:
    results = {today: compare_training_times(today) for today in ("2013-04-01", "2013-10-01")}
    print(f"{os.cpu_count()} cores; medians of {ROUNDS} rounds in turns; the fits of six candidates and of the winner")
    print(f"{'batches until':<15}{'rows':>9}{'plain s':>9}{'joblib s':>10}{'flow s':>8}{'flow/plain':>12}"
          f"{'flow/joblib':>13}{'first metric s':>16}")  # fmt: skip
    for today, found in results.items():
        print(f"{today:<15}{found['rows']:>9,}{found['plain_s']:>9.1f}{found['joblib_s']:>10.1f}{found['flow_s']:>8.1f}"
              f"{found['over_plain']:>12.2f}{found['over_joblib']:>13.2f}{found['first_metric_s']:>16.1f}")  # fmt: skip
    most = results["2013-10-01"]
    print(json.dumps({
        "flow_over_plain": most["over_plain"],
        "candidates6_over_joblib": most["over_joblib"],
        "idea_to_first_metric_s": most["first_metric_s"],
        "by_history": results,
    }))  # fmt: skip


def compare_training_times(today: str) -> dict[str, float]:
    """Time the training flow and the plain script on the batches complete by `today`; returns seconds by name."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        environ = _prepare_environment(root, today)
        time_training("flow", environ, root)
        rounds = [{name: time_training(name, environ, root) for name in TRAINING_COMMANDS} for _ in range(ROUNDS)]
        ideas = [time_first_metric(environ, root) for _ in range(ROUNDS)]
        rows = _count_rows(environ)
    seconds = {f"{name}_s": round(statistics.median(each[name] for each in rounds), 2) for name in TRAINING_COMMANDS}
    ratios = {
        f"over_{name}": round(statistics.median(each["flow"] / each[name] for each in rounds), 3)
        for name in ("plain", "joblib")
    }
    return {"rows": rows, **seconds, **ratios, "first_metric_s": round(statistics.median(ideas), 2)}


def time_training(name: str, environ: dict[str, str], root: Path) -> float:
    """Seconds for a first training: no receipt and no live model to compare with, the database made already."""
    _reset_state(root)
    start = time.perf_counter()
    own = {} if name == "flow" else ONE_THREAD
    done = subprocess.run(TRAINING_COMMANDS[name], env=environ | own, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(TRAINING_COMMANDS[name])} failed:\n{done.stdout}\n{done.stderr}")
    seconds = time.perf_counter() - start
    print(f"{name:<8}{seconds:6.1f} s", file=sys.stderr, flush=True)
    return seconds


def time_first_metric(environ: dict[str, str], root: Path) -> float:
    """Seconds from the command to its first metric; the rest of the experiment is waited for."""
    _reset_state(root)
    start, seen = time.perf_counter(), float("nan")
    process = subprocess.Popen(
        EXPERIMENT_COMMAND, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    for line in process.stdout or []:
        if FIRST_METRIC_TEXT in line:
            seen = time.perf_counter() - start
    if process.wait() or seen != seen:
        sys.exit(f"{' '.join(EXPERIMENT_COMMAND)} failed")
    print(f"idea    {seen:6.1f} s", file=sys.stderr, flush=True)
    return seen


def _reset_state(root: Path) -> None:
    shutil.rmtree(root / "train", ignore_errors=True)
    shutil.copy(root / "empty.db", root / "mlflow.db")


def make_environment(root: Path, today: str) -> dict[str, str]:
    """Make the environment of a state of its own below `root`, on a day; DVC and the registry's database are made."""
    environ = os.environ | {
        "PENUMBRA_DATA__TODAY": today,
        "PENUMBRA_DATA__FOLDER": str(root / "data"),
        "PENUMBRA_DATA__DERIVED": str(root / "derived"),
        "PENUMBRA_DATA__REMOTE": "",
        "PENUMBRA_LABELS__FOLDER": str(root / "labels"),
        "PENUMBRA_REVIEW__FOLDER": str(root / "reviews"),
        "PENUMBRA_TRAINING__FOLDER": str(root / "train"),
        "PENUMBRA_LEDGER__FOLDER": str(root / "ledger"),
        "PENUMBRA_REGISTRY__TRACKING": f"sqlite:///{root}/mlflow.db",
        "PENUMBRA_REGISTRY__ARTIFACTS": str(root / "artifacts"),
    }
    subprocess.run([Path(sys.executable).parent / "dvc", "init", "--no-scm", "--quiet"], cwd=root, check=True)
    make = (
        "from penumbra.core.settings import load_settings; from penumbra.registry.models import ModelRegistry; "
        "ModelRegistry(load_settings().registry).client"
    )
    subprocess.run([sys.executable, "-c", make], env=environ, check=True)
    return environ


def _prepare_environment(root: Path, today: str) -> dict[str, str]:
    """A data store of its own with every batch until `today`."""
    environ = make_environment(root, today)
    subprocess.run(
        [sys.executable, "flows/ingest.py", "--no-pylint", "run"], env=environ, check=True, capture_output=True
    )
    (root / "mlflow.db").rename(root / "empty.db")
    return environ


def _count_rows(environ: dict[str, str]) -> int:
    import polars as pl

    return pl.scan_parquet(f"{environ['PENUMBRA_DATA__DERIVED']}/rows/*.parquet").select(pl.len()).collect().item()


if __name__ == "__main__":
    main()
