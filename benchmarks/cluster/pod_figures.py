"""`python -m benchmarks.cluster.pod_figures`: what a row costs in bytes and processor time, and the registry a request.

With what `penumbra bench serve`, `bench monitor` and `bench faults sustained_load` measure, these are the figures that
`benchmarks/cluster/capacity.py` reckons with.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from benchmarks.pipeline.monitor.__main__ import compact_log
from benchmarks.pipeline.monitor.index_cost import index_log, write_labels
from benchmarks.pipeline.monitor.line_logs import write_year
from penumbra.core.settings import load_settings
from penumbra.core.system.http_client import find_free_port
from penumbra.logs import append_log
from penumbra.logs.archiving import archive_parts
from penumbra.logs.queries.lookup import INDEX_FILE
from penumbra.registry.models import ModelRegistry

MILLION = 1_000_000
LABELLED_ROWS = 100_000
ALIAS_READS = 300


def main() -> None:
    """Print the figures, and a JSON document in the last line."""
    with tempfile.TemporaryDirectory() as folder:
        figures = {**measure_index(Path(folder)), **measure_log_bytes(Path(folder)), **measure_registry(Path(folder))}
    for name, value in figures.items():
        print(f"{name:<36}{value:>12,.2f}")
    print(json.dumps(figures))


def measure_log_bytes(folder: Path) -> dict[str, float]:
    """Measure what a row of a year's log takes as a line and in the archive's Parquet, in bytes."""
    predictions = folder / "predictions"
    rows = sum(path.read_bytes().count(b"\n") for path in append_log.list_segments(predictions))
    lines = sum(append_log.read_segment_sizes(predictions).values())
    compact_log(folder)
    tables = sum(
        path.with_suffix(archive_parts.TABLE_SUFFIX).stat().st_size for path, _ in archive_parts.list_parts(predictions)
    )
    return {"line_bytes": lines / rows, "parquet_bytes": tables / rows}


def measure_index(folder: Path) -> dict[str, float]:
    """Measure what a row with its label takes in the index: bytes, and seconds of processor time for a million."""
    write_year(folder)
    (folder / "once").rename(folder / "predictions")
    labels = write_labels(folder, LABELLED_ROWS)
    before = time.process_time()
    rows = index_log(folder)["rows"]
    seconds = time.process_time() - before
    size = sum(path.stat().st_size for path in (folder / "labels").glob(f"{INDEX_FILE}*"))
    return {"index_bytes": size / rows, "index_cpu_s_per_million": seconds / (rows + labels) * MILLION}


def measure_registry(folder: Path) -> dict[str, float]:
    """Measure how many aliases MLflow's server reads in a second of its processor time, with one worker on SQLite."""
    port, database = find_free_port(), f"sqlite:///{folder / 'mlflow.db'}"
    environ = {"PENUMBRA_REGISTRY__TRACKING": database, "PENUMBRA_REGISTRY__ARTIFACTS": str(folder / "artifacts")}
    registry = load_settings(environ=environ).registry
    ModelRegistry(registry).client.create_registered_model(registry.model)
    command = ["-m", "mlflow", "server", f"--backend-store-uri={database}", f"--port={port}", "--workers=1"]
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    server = subprocess.Popen([sys.executable, *command], env={**os.environ, **quiet}, stdout=-3, stderr=-3)
    try:
        models = ModelRegistry(registry.model_copy(update={"tracking": f"http://127.0.0.1:{port}"}))
        _wait_until_it_answers(models)
        before = _sum_cpu_seconds(server.pid)
        for _ in range(ALIAS_READS):
            models.version("live")
        return {"alias_reads_per_cpu_s": ALIAS_READS / (_sum_cpu_seconds(server.pid) - before)}
    finally:
        for process in [*psutil.Process(server.pid).children(recursive=True), psutil.Process(server.pid)]:
            process.terminate()
        server.wait()


def _wait_until_it_answers(models: ModelRegistry) -> None:
    for _ in range(120):
        try:
            models.version("live")
        except Exception:  # whatever an HTTP client says of a server that isn't there yet
            time.sleep(1)
        else:
            return


def _sum_cpu_seconds(pid: int) -> float:
    root = psutil.Process(pid)
    return sum(sum(process.cpu_times()[:2]) for process in [root, *root.children(recursive=True)])


if __name__ == "__main__":
    main()
