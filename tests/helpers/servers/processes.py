"""Processes as /proc shows them, and a service that is expected to end by itself."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from penumbra.core.settings import PROJECT_ROOT
from penumbra.core.system.process_tree import ENDED_STATES, read_process_stat


def is_alive(pid: int) -> bool:
    """Whether a process is there and hasn't ended."""
    state = read_process_stat(Path(f"/proc/{pid}"))[:1]
    return bool(state) and state[0] not in ENDED_STATES


def run_service_to_its_end(
    environ: Mapping[str, str], project: Path = PROJECT_ROOT
) -> "subprocess.CompletedProcess[str]":
    """`python -m service` of a project, with this process's environment and more, once it has ended."""
    command = [sys.executable, "-m", "service"]
    return subprocess.run(command, cwd=project, env={**os.environ, **environ}, capture_output=True, text=True)


@contextlib.contextmanager
def start_module(name: str, environ: Mapping[str, str]) -> "Iterator[subprocess.Popen[bytes]]":
    """`python -m` in a session of its own, with this process's environment and more; it gets SIGTERM at the end."""
    environ = {**os.environ, **environ, "PYTHONPATH": str(PROJECT_ROOT)}
    command = [sys.executable, "-m", name]
    with subprocess.Popen(command, cwd=PROJECT_ROOT, env=environ, start_new_session=True) as process:
        try:
            yield process
        finally:
            process.terminate()


def run_python(code: str, environ: Mapping[str, str] = {}) -> list[str]:
    """The lines that some code prints in a process of its own, with this process's environment and more."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=PROJECT_ROOT,
        env={**os.environ, **environ, "PYTHONPATH": str(PROJECT_ROOT)},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.splitlines()
