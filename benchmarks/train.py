"""`make bench-train`: wall time of the training flow beside a plain single-process, single-thread script doing the
same fits on the same data, in turns, in a warm environment. At the example's history and at 218,000 rows."""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS = 3
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
FLOW = [sys.executable, "flows/train.py", "--no-pylint", "run"]
PLAIN = [sys.executable, "-m", "benchmarks.plain"]


def main() -> None:
    results = {today: compare(today) for today in ("2013-04-01", "2013-10-01")}
    print(f"\n{os.cpu_count()} cores; medians of {ROUNDS} rounds, flow and plain script in turns")
    print(f"{'batches until':<16}{'rows':>10}{'plain s':>10}{'flow s':>10}{'flow/plain':>12}")
    for today, found in results.items():
        print(
            f"{today:<16}{found['rows']:>10,}{found['plain_s']:>10.1f}{found['flow_s']:>10.1f}{found['ratio']:>12.2f}"
        )
    print(json.dumps({"flow_over_plain": results["2013-10-01"]["ratio"], "by_history": results}))


def compare(today: str) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        environ = _prepare(root, today)
        timed(FLOW, environ, root)
        rounds = [(timed(FLOW, environ, root), timed(PLAIN, environ | ONE_THREAD, root)) for _ in range(ROUNDS)]
        rows = _rows(environ)
    flows, plains = zip(*rounds, strict=True)
    return {
        "rows": rows,
        "plain_s": round(statistics.median(plains), 2),
        "flow_s": round(statistics.median(flows), 2),
        "ratio": round(statistics.median(flow / plain for flow, plain in rounds), 3),
    }


def timed(command: list[str], environ: dict[str, str], root: Path) -> float:
    """Seconds for a first training: no receipt and no live model to compare with, the database made already."""
    shutil.rmtree(root / "train", ignore_errors=True)
    shutil.copy(root / "empty.db", root / "mlflow.db")
    start = time.perf_counter()
    done = subprocess.run(command, env=environ, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}\n{done.stderr}")
    seconds = time.perf_counter() - start
    print(f"{command[-1] if command is PLAIN else 'the flow':<18}{seconds:6.1f} s", flush=True)
    return seconds


def _prepare(root: Path, today: str) -> dict[str, str]:
    """A data store of its own with every batch until `today`."""
    environ = os.environ | {
        "PENUMBRA_DATA__TODAY": today,
        "PENUMBRA_DATA__FOLDER": str(root / "data"),
        "PENUMBRA_DATA__DERIVED": str(root / "derived"),
        "PENUMBRA_DATA__REMOTE": "",
        "PENUMBRA_LABELS__FOLDER": str(root / "labels"),
        "PENUMBRA_TRAINING__FOLDER": str(root / "train"),
        "PENUMBRA_REGISTRY__TRACKING": f"sqlite:///{root}/mlflow.db",
        "PENUMBRA_REGISTRY__ARTIFACTS": str(root / "artifacts"),
    }
    subprocess.run([Path(sys.executable).parent / "dvc", "init", "--no-scm", "--quiet"], cwd=root, check=True)
    subprocess.run(
        [sys.executable, "flows/ingest.py", "--no-pylint", "run"], env=environ, check=True, capture_output=True
    )
    make = "import settings; from stores.models import Models; Models(settings.load().registry).client"
    subprocess.run([sys.executable, "-c", make], env=environ, check=True)
    (root / "mlflow.db").rename(root / "empty.db")
    return environ


def _rows(environ: dict[str, str]) -> int:
    import polars as pl

    return pl.scan_parquet(f"{environ['PENUMBRA_DATA__DERIVED']}/rows/*.parquet").select(pl.len()).collect().item()


if __name__ == "__main__":
    main()
