"""`make bench-serve`: single-record POSTs to the service, prediction log on, beside `mlflow models serve` with the same
scikit-learn model and beside a bare ASGI echo; one worker each, all up at once, measured in turns."""

import contextlib
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl

import problem.features
import problem.schema
import problem.source
from benchmarks.load import Measured, measure, post
from inputs import Inputs, derive, learn_tables
from problem.candidates import gradient_boosting
from stores import bundle
from task import Task
from training.lesson import Lesson
from training.release import release

CONNECTIONS = (1, 8, 32)
ROUNDS, SECONDS = 3, 3.0
MLFLOW = Path(".venv-mlflow/bin/mlflow")
ONE_THREAD = {"OMP_NUM_THREADS": "1"}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        root = Path(folder)
        record, matrix = make_models(root)
        requests = {
            "penumbra": post("/predict", json.dumps(record).encode()),
            "mlflow models serve": post("/invocations", json.dumps({"inputs": matrix}).encode()),
            "bare echo": post("/predict", json.dumps(record).encode()),
        }
        ports = {name: stack.enter_context(serving(name, root)) for name in requests}
        results = compare(ports, requests)
        logged = sum(1 for path in (root / "predictions").glob("*.jsonl") for _ in path.open("rb"))
    report(results, logged)


def make_models(root: Path) -> tuple[dict[str, Any], list[list[float | None]]]:
    """The same fitted model as a bundle and as an MLflow model; one record, and its row of the matrix."""
    import mlflow.sklearn

    rows = pl.concat([_rows(f"2013-{month:02}") for month in (1, 2, 3)])
    features = derive(problem.features.FEATURES, rows)
    encoding = Inputs(problem.features.FEATURES, learn_tables(problem.features.FEATURES, features))
    matrix, labels = encoding.matrix(features), rows.select(problem.schema.target()).to_series().to_numpy()
    model = gradient_boosting(SimpleNamespace(categorical=encoding.categorical, numeric=encoding.numeric))
    made = release(model, Lesson(matrix, labels), matrix[:1000], encoding.categorical, Task("binary"))
    folder = root / "state" / "bundles" / "1"
    bundle.write_model(folder, made.model, made.probe, made.answers)
    bundle.write_reference(folder, rows.head(1))
    bundle.seal(folder, {"threshold": 0.3}, encoding.kinds, encoding.tables)
    (root / "state" / "live").write_text("1")
    mlflow.sklearn.save_model(
        model,
        root / "mlflow-model",
        serialization_format="cloudpickle",
        pip_requirements=[],
        pyfunc_predict_fn="predict_proba",
    )
    return problem.schema.EXAMPLE, matrix[:1].tolist()


def compare(ports: dict[str, int], requests: dict[str, bytes]) -> dict[tuple[str, int], Measured]:
    """Medians over rounds in which every server has its turn."""
    taken: dict[tuple[str, int], list[Measured]] = {}
    for turn in range(ROUNDS + 1):
        for connections in CONNECTIONS:
            for name, port in ports.items():
                found = measure(port, requests[name], connections, SECONDS if turn else 1.0)
                if turn:
                    taken.setdefault((name, connections), []).append(found)
    return {key: _median(rounds) for key, rounds in taken.items()}


def report(results: dict[tuple[str, int], Measured], logged: int) -> None:
    print(
        f"\n{os.cpu_count()} cores, one worker each; medians of {ROUNDS} rounds of {SECONDS:g} s; req/s (p50, p99 ms)"
    )
    print(f"{'':<22}" + "".join(f"{f'{c} connections':>28}" for c in CONNECTIONS))
    for name in dict.fromkeys(name for name, _ in results):
        cells = (results[name, connections] for connections in CONNECTIONS)
        print(f"{name:<22}" + "".join(f"{f'{m.per_second:,.0f} ({m.p50:.2f}, {m.p99:.2f})':>28}" for m in cells))
    print(f"{logged:,} predictions in the log")
    at8 = {name: measured.per_second for (name, connections), measured in results.items() if connections == 8}
    ours = at8["penumbra"]
    print(json.dumps({
        "over_mlflow_serve": round(ours / at8["mlflow models serve"], 1),
        "over_echo": round(ours / at8["bare echo"], 3),
        "requests_per_second": round(ours),
        "logged": logged,
    }))  # fmt: skip


@contextlib.contextmanager
def serving(name: str, root: Path) -> Iterator[int]:
    """A server of this name on a free port, up and answering."""
    port = _free_port()
    mlflow = [MLFLOW, "models", "serve", "--env-manager", "local", "-w", 1, "-m", root / "mlflow-model", "-p", port]
    echo = ["uvicorn", "benchmarks.echo:app", "--no-access-log", "--log-level", "warning", "--port", port]
    commands = {
        "penumbra": [sys.executable, "-m", "service"],
        "mlflow models serve": mlflow,
        "bare echo": [sys.executable, "-m", *echo],
    }
    environ = os.environ | ONE_THREAD | {
        "PENUMBRA_SERVICE__PORT": str(port),
        "PENUMBRA_SERVICE__STATE": str(root / "state"),
        "PENUMBRA_SERVICE__PREDICTIONS": str(root / "predictions"),
        "PENUMBRA_LABELS__FOLDER": str(root / "labels"),
        "PENUMBRA_REGISTRY__TRACKING": f"sqlite:///{root}/none.db",
        "PATH": f"{MLFLOW.parent.absolute()}{os.pathsep}{os.environ['PATH']}",
    }  # fmt: skip
    if name != "mlflow models serve":
        environ["PATH"] = os.environ["PATH"]
    with (root / f"{port}.log").open("w") as log:
        process = subprocess.Popen(
            list(map(str, commands[name])), env=environ, stdout=log, stderr=log, start_new_session=True
        )
    try:
        _wait(port, process, name, root)
        yield port
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def _wait(port: int, process: subprocess.Popen[bytes], name: str, root: Path) -> None:
    path = {"penumbra": "readyz", "mlflow models serve": "ping"}.get(name)
    for _ in range(600):
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError):
            if path:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=1)
            else:
                socket.create_connection(("127.0.0.1", port)).close()
            return
        time.sleep(0.1)
    sys.exit(f"{name} didn't start:\n{(root / f'{port}.log').read_text()}")


def _rows(batch: str) -> pl.DataFrame:
    text = problem.source.parse(problem.source.fetch(batch)).with_columns(problem.source.CONVERSIONS)
    good, _ = problem.schema.Labelled.filter(text, cast=True)
    return good.filter(pl.col("arr_delay").is_not_null())


def _median(rounds: list[Measured]) -> Measured:
    return Measured(*(statistics.median(getattr(r, field) for r in rounds) for field in ("per_second", "p50", "p99")))


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


if __name__ == "__main__":
    main()
