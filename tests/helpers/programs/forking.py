"""The process that is forked for programs of tests, and the command that stands for `python` there."""

import atexit
import functools
import multiprocessing
import os
import secrets
import socket
import subprocess
import sys
from multiprocessing.context import ForkServerContext
from pathlib import Path

from flows.steps.processes.parallel import SINGLE_THREAD_ENVIRONMENT
from penumbra.cli.processes import NO_CALLS_HOME

SCRIPT = Path(__file__).with_name("forked_python.py")
LIBRARIES = (  # none of whose threads a fork would miss
    *("metaflow.cli", "metaflow.cli_components.step_cmd", "metaflow.task", "metaflow.cards", "dvc.repo", "dvc.api"),
    *("polars", "dataframely", "duckdb", "sklearn.ensemble", "mlflow.store.tracking.sqlalchemy_store"),
    *("s3fs", "boto3", "onnx", "onnxruntime", "vl_convert"),
)
PASS_MODULES = (
    *("flows.steps.promote.verdicts", "flows.steps.monitor.due_windows", "penumbra.training.onnx.compile"),
    *("service.service_factory", "mlflow.store.tracking.sqlalchemy_store", "sklearn.tree"),
    *("starlette.testclient", "pytest"),
)
"""What processes that run passes have imported: nothing of it has polars compute."""


def get_pass_forks() -> ForkServerContext:
    """Return what starts processes for functions of tests: forks of one that has imported what passes take.

    A process that imports it all itself takes seconds, and a fork of the test hangs where polars has computed.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PASS_MODULES))
    return context


def open_listener() -> tuple[str, socket.socket]:
    """Open a socket at which programs are asked for; returns its address, too."""
    address, listener = secrets.token_hex(8), socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(f"\0{address}")
    listener.listen(64)
    return address, listener


@functools.cache
def find_python() -> tuple[str, ...]:
    """Return what stands for `python` on the command lines of tests; the first call starts the process that is forked.

    Returns:
        The words; Python itself but on Linux.
    """
    if sys.platform != "linux":
        return (sys.executable,)
    address, listener = open_listener()
    environment = {**os.environ, **NO_CALLS_HOME, **SINGLE_THREAD_ENVIRONMENT}
    environment.pop("PYTHONPATH", None)  # programs have their own
    with listener:
        number = listener.fileno()
        command = [sys.executable, "-W", "ignore", str(SCRIPT), str(number), *LIBRARIES]
        server = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, pass_fds=[number])
    atexit.register(server.communicate)  # it ends where its input does
    return (sys.executable, "-IS", str(SCRIPT), address)
