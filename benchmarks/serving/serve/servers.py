"""The servers that are compared, each with one worker on a port of its own; those not being measured are suspended."""

import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from penumbra.core.system.http_client import OPEN_WITHOUT_PROXY, find_free_port
from service.processes.workers import head_start

MLFLOW_BIN = Path(".venv-mlflow/bin").absolute()
SERVER_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "BENTOML_DO_NOT_TRACK": "True"}
START_SECONDS = 120.0  # seconds to start in


@dataclass(frozen=True)
class BenchmarkServer:
    """A running server; `seconds` is the time it took to answer."""

    port: int
    process: psutil.Process
    seconds: float

    def tree(self) -> list[psutil.Process]:
        """Return the processes of the server, its first one with all that it started."""
        return _list_processes(self.process)

    def workers(self) -> list[psutil.Process]:
        """The processes of `python -m service` that answer."""
        host = next(each for each in self.process.children() if head_start.MODULE in each.cmdline())
        return host.children()


def suspend_others(server: BenchmarkServer, among: Sequence[BenchmarkServer]) -> None:
    """Let this one run, and stop the others with all their processes."""
    for each in among:
        for process in each.tree():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume() if each is server else process.suspend()


@contextlib.contextmanager
def reserve_load_core() -> Iterator[Collection[int]]:
    """Keep this process, and with it the load it makes, to one core; yields the others, which are for the servers: a
    generator that never sleeps is in the way of whoever is woken on its core. Yields none where that can't be done."""
    if not hasattr(os, "sched_setaffinity") or len(every := os.sched_getaffinity(0)) < 2:
        yield ()
        return
    os.sched_setaffinity(0, {min(every)})
    try:
        yield every - {min(every)}
    finally:
        os.sched_setaffinity(0, every)


def start_penumbra(
    root: Path, *, shadow: bool, cores: Collection[int] = (), workers: int = 1
) -> contextlib.AbstractContextManager[BenchmarkServer]:
    """`python -m service` with its state, logs and everything below root; the registry is away. All its processes keep
    to these cores, or to none."""
    port = find_free_port()
    own = {
        "SERVICE__PORT": port,
        "SERVICE__WORKERS": workers,
        "SERVICE__STATE": root / "state",
        "SERVICE__PREDICTIONS": root / "predictions",
        "LABELS__FOLDER": root / "labels",
        "REVIEW__FOLDER": root / "reviews",
        "REGISTRY__TRACKING": f"sqlite:///{root}/away/mlflow.db",
        "SHADOW__ENABLED": str(shadow).lower(),
    }
    environ = {f"PENUMBRA_{name}": str(value) for name, value in own.items()}
    return _start_server(root, port, [sys.executable, "-m", "service"], "readyz", environ, cores)


def start_mlflow(root: Path) -> contextlib.AbstractContextManager[BenchmarkServer]:
    """`mlflow models serve` of <root>/mlflow-model."""
    port, model = find_free_port(), root / "mlflow-model"
    command = [MLFLOW_BIN / "mlflow", "models", "serve", "--env-manager", "local", "-w", 1, "-m", model, "-p", port]
    return _start_server(root, port, command, "ping", {"PATH": f"{MLFLOW_BIN}{os.pathsep}{os.environ['PATH']}"})


def start_mlserver(root: Path) -> contextlib.AbstractContextManager[BenchmarkServer]:
    """MLServer with its MLflow runtime and the same model, named "model"."""
    folder, port = root / "mlserver", find_free_port()
    folder.mkdir()
    ports = {"http_port": port, "grpc_port": find_free_port(), "metrics_port": find_free_port()}
    _write_json(folder / "settings.json", {"host": "127.0.0.1", "debug": False, **ports})
    model = {"implementation": "mlserver_mlflow.MLflowRuntime", "parameters": {"uri": str(root / "mlflow-model")}}
    _write_json(folder / "model-settings.json", {"name": "model", **model})
    return _start_server(root, port, [MLFLOW_BIN / "mlserver", "start", folder], "v2/models/model/ready")


def start_noop(root: Path) -> contextlib.AbstractContextManager[BenchmarkServer]:
    """A service that does nothing, as BentoML's documentation writes one."""
    port = find_free_port()
    command = [
        sys.executable,
        "-m",
        "bentoml",
        "serve",
        "benchmarks.serving.serve.noop_service:Noop",
        "--host",
        "127.0.0.1",
        "--port",
        port,
    ]
    return _start_server(root, port, command, "readyz", {"BENTOML_HOME": str(root / "bentoml")})


def start_echo(root: Path) -> contextlib.AbstractContextManager[BenchmarkServer]:
    """uvicorn with the least of an application."""
    port = find_free_port()
    uvicorn = [
        sys.executable,
        "-m",
        "uvicorn",
        "benchmarks.serving.serve.echo_server:app",
        "--no-access-log",
        "--log-level",
        "warning",
    ]
    return _start_server(root, port, [*uvicorn, "--port", port], "")


@contextlib.contextmanager
def _start_server(
    root: Path,
    port: int,
    command: Sequence[Any],
    probe: str,
    environ: Mapping[str, str] | None = None,
    cores: Collection[int] = (),
) -> Iterator[BenchmarkServer]:
    began, output = time.monotonic(), root / f"{port}.log"
    keep = (lambda: os.sched_setaffinity(0, cores)) if cores else None
    variables = os.environ | SERVER_ENVIRONMENT | (environ or {})
    with output.open("w") as log:
        process = psutil.Popen(
            list(map(str, command)), env=variables, stdout=log, stderr=log, process_group=0, preexec_fn=keep
        )
    try:
        _wait_until_ready(process, f"http://127.0.0.1:{port}/{probe}", output)
        yield BenchmarkServer(port, process, time.monotonic() - began)
    finally:
        _stop_process(process)


def _wait_until_ready(process: psutil.Popen, url: str, output: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < end:
        with contextlib.suppress(OSError):  # a refusal by HTTP is one too
            OPEN_WITHOUT_PROXY(url, timeout=1)
            return
        time.sleep(0.05)
    sys.exit(f"{' '.join(process.args)} didn't start:\n{output.read_text()}")


def _list_processes(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _stop_process(process: psutil.Process) -> None:
    tree = _list_processes(process)
    for each in tree:
        with contextlib.suppress(psutil.NoSuchProcess):
            each.resume()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    for each in psutil.wait_procs(tree, 20)[1]:
        each.kill()


def _write_json(path: Path, facts: dict[str, Any]) -> None:
    path.write_text(json.dumps(facts))
