"""The servers that are compared, each with one worker on a port of its own; those not being measured are stopped."""

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

from flows.asking import OPEN, free_port

MLFLOW = Path(".venv-mlflow/bin").absolute()
ONE_THREAD = {"OMP_NUM_THREADS": "1", "BENTOML_DO_NOT_TRACK": "True"}
ENOUGH = 120.0  # seconds to start in


@dataclass(frozen=True)
class Server:
    """A running server; `seconds` is the time it took to answer."""

    port: int
    process: psutil.Process
    seconds: float

    def tree(self) -> list[psutil.Process]:
        return _tree(self.process)

    def worker(self) -> psutil.Process:
        """The process that answers: the one that listens, and was started last."""
        listening = [
            each for each in self.tree() if any(c.laddr.port == self.port for c in each.net_connections() if c.laddr)
        ]
        return max(listening, key=lambda each: (each.create_time(), each.pid))


def only(server: Server, among: Sequence[Server]) -> None:
    """Let this one run, and stop the others with all their processes."""
    for each in among:
        for process in each.tree():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume() if each is server else process.suspend()


@contextlib.contextmanager
def apart() -> Iterator[Collection[int]]:
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


def penumbra(root: Path, *, shadow: bool, cores: Collection[int] = ()) -> contextlib.AbstractContextManager[Server]:
    """`python -m service` with its state, logs and everything below root; the registry is away. All its processes keep
    to these cores, or to none."""
    port = free_port()
    own = {
        "SERVICE__PORT": port,
        "SERVICE__STATE": root / "state",
        "SERVICE__PREDICTIONS": root / "predictions",
        "LABELS__FOLDER": root / "labels",
        "REGISTRY__TRACKING": f"sqlite:///{root}/away/mlflow.db",
        "SHADOW__ENABLED": str(shadow).lower(),
    }
    environ = {f"PENUMBRA_{name}": str(value) for name, value in own.items()}
    return _server(root, port, [sys.executable, "-m", "service"], "readyz", environ, cores)


def mlflow(root: Path) -> contextlib.AbstractContextManager[Server]:
    """`mlflow models serve` of <root>/mlflow-model."""
    port, model = free_port(), root / "mlflow-model"
    command = [MLFLOW / "mlflow", "models", "serve", "--env-manager", "local", "-w", 1, "-m", model, "-p", port]
    return _server(root, port, command, "ping", {"PATH": f"{MLFLOW}{os.pathsep}{os.environ['PATH']}"})


def mlserver(root: Path) -> contextlib.AbstractContextManager[Server]:
    """MLServer with its MLflow runtime and the same model, named "model"."""
    folder, port = root / "mlserver", free_port()
    folder.mkdir()
    ports = {"http_port": port, "grpc_port": free_port(), "metrics_port": free_port()}
    _write(folder / "settings.json", {"host": "127.0.0.1", "debug": False, **ports})
    model = {"implementation": "mlserver_mlflow.MLflowRuntime", "parameters": {"uri": str(root / "mlflow-model")}}
    _write(folder / "model-settings.json", {"name": "model", **model})
    return _server(root, port, [MLFLOW / "mlserver", "start", folder], "v2/models/model/ready")


def bento(root: Path) -> contextlib.AbstractContextManager[Server]:
    """A service that does nothing, as BentoML's documentation writes one."""
    port = free_port()
    command = [sys.executable, "-m", "bentoml", "serve", "benchmarks.noop:Noop", "--host", "127.0.0.1", "--port", port]
    return _server(root, port, command, "readyz", {"BENTOML_HOME": str(root / "bentoml")})


def echo(root: Path) -> contextlib.AbstractContextManager[Server]:
    """uvicorn with the least of an application."""
    port = free_port()
    uvicorn = [sys.executable, "-m", "uvicorn", "benchmarks.echo:app", "--no-access-log", "--log-level", "warning"]
    return _server(root, port, [*uvicorn, "--port", port], "")


@contextlib.contextmanager
def _server(
    root: Path,
    port: int,
    command: Sequence[Any],
    probe: str,
    environ: Mapping[str, str] | None = None,
    cores: Collection[int] = (),
) -> Iterator[Server]:
    began, output = time.monotonic(), root / f"{port}.log"
    keep = (lambda: os.sched_setaffinity(0, cores)) if cores else None
    variables = os.environ | ONE_THREAD | (environ or {})
    with output.open("w") as log:
        process = psutil.Popen(
            list(map(str, command)), env=variables, stdout=log, stderr=log, process_group=0, preexec_fn=keep
        )
    try:
        _wait(process, f"http://127.0.0.1:{port}/{probe}", output)
        yield Server(port, process, time.monotonic() - began)
    finally:
        _end(process)


def _wait(process: psutil.Popen, url: str, output: Path) -> None:
    end = time.monotonic() + ENOUGH
    while process.poll() is None and time.monotonic() < end:
        with contextlib.suppress(OSError):  # a refusal by HTTP is one too
            OPEN(url, timeout=1)
            return
        time.sleep(0.05)
    sys.exit(f"{' '.join(process.args)} didn't start:\n{output.read_text()}")


def _tree(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _end(process: psutil.Process) -> None:
    tree = _tree(process)
    for each in tree:
        with contextlib.suppress(psutil.NoSuchProcess):
            each.resume()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    for each in psutil.wait_procs(tree, 20)[1]:
        each.kill()


def _write(path: Path, facts: dict[str, Any]) -> None:
    path.write_text(json.dumps(facts))
