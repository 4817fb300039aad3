"""Tasks of a run as forks of one process in which their imports are done. Only on Linux, and not for pods.

Metaflow starts a process for each task, and each would import the same for seconds. Here the run begins with a fork,
the template, that does so once, beside the run. A task is a fork of the template, in the state that the process of a
task has before it imports anything of its own: its command line, its environment, its output.

A fork has one thread only. Where an import has started one that would be missed, or the template has ended for another
reason, tasks are processes of their own as ever.
"""

import atexit
import contextlib
import functools
import gc
import importlib
import json
import multiprocessing
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from flows.steps.processes.parallel import SINGLE_THREAD_ENVIRONMENT
from flows.steps.processes.pods import is_for_pods
from penumbra.core.system.lean_imports import UNUSED, import_lean
from penumbra.core.system.process_tree import adopt_orphans, end_with_parent, list_lost_threads

REGISTRY_MODULES = (  # of flows that write versions
    *("penumbra.registry.tracking.masked_client", "penumbra.registry.tracking.mlflow_runs"),
    "mlflow.store.tracking.sqlalchemy_store",
)
METAFLOW_MODULES = ("metaflow.cli", "metaflow.cli_components.step_cmd", "metaflow.task")
# What imports ahead have set in the environment, None what they have removed: a fork doesn't do them again.
IMPORTED_VARIABLES: dict[str, str | None] = {}


@contextlib.contextmanager
def fork_tasks(arguments: list[str], modules: Sequence[str], later: Sequence[str] = ()) -> Iterator[None]:
    """Let the tasks of a run be forks of a process that imports modules ahead, as a context manager around the flow.

    To be entered before anything else is done: each task goes through the block, too, as if it were a process of its
    own, and ends with it.

    Args:
        arguments: The flow's command line, `sys.argv`, which becomes that of the task; nothing is forked but for
            Metaflow's commands `run` and `resume`.
        modules: Names of the modules that tasks import.
        later: Names of those that the first task doesn't need: they are imported beside it.

    Yields:
        Nothing.
    """
    if sys.platform != "linux" or not {"run", "resume"} & set(arguments[1:]) or is_for_pods(arguments):
        yield
        return
    _prepare_metaflow()
    run, (ours, theirs) = os.getpid(), socket.socketpair()
    adopt_orphans()
    if os.fork():
        theirs.close()
        _start_tasks_with(functools.partial(_start_task, ours))
        yield
    else:
        ours.close()
        end_with_parent(run)
        handler = signal.signal(signal.SIGINT, signal.SIG_IGN)  # the run ends by it, and this process with the run
        descriptors = _serve_forks(theirs, run, [modules, later])
        signal.signal(signal.SIGINT, handler)
        _read_command(descriptors, arguments)
        with _end_at_once():
            yield


@contextlib.contextmanager
def _end_at_once() -> Iterator[None]:
    """End this process with the block, as Python does, but without taking apart all that was imported.

    In a fork that would first copy it. Where threads are left, or there is an error to be shown, Python ends it.

    Yields:
        Nothing.
    """
    code: Any = 0
    try:
        yield
    except SystemExit as end:
        code = end.code or 0
    if not isinstance(code, int) or threading.active_count() > 1:
        sys.exit(code)
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _prepare_metaflow() -> None:
    """Import and find out what Metaflow does in the run and in each task alike: git alone is asked six times."""
    import_modules(METAFLOW_MODULES)
    from metaflow.metaflow_environment import MetaflowEnvironment

    MetaflowEnvironment(None).get_environment_info()  # which Metaflow remembers


class ForkedTask:
    """A task that is a fork of the template: as much of `subprocess.Popen` as Metaflow's runtime uses."""

    def __init__(self, template: socket.socket, command: Sequence[str], env: Mapping[str, str]) -> None:
        """Have the `template` fork a task with this `command` and `env`; raises OSError where it has ended."""
        (out, task_out), (err, task_err) = os.pipe(), os.pipe()
        ours, theirs = socket.socketpair()
        self.stdout, self.stderr = os.fdopen(out, "rb"), os.fdopen(err, "rb")
        self.returncode: int | None = None
        with ours:
            try:
                socket.send_fds(template, [b"."], [theirs.fileno(), task_out, task_err])
            finally:
                theirs.close()
                os.close(task_out)
                os.close(task_err)
            ours.sendall(json.dumps([command, dict(env)]).encode())
            ours.shutdown(socket.SHUT_WR)
            pid = ours.recv(16)
        if not pid:
            raise ChildProcessError("the template has ended")
        self.pid = int(pid)

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal; None while the task runs."""
        return self._reap(os.WNOHANG)

    def wait(self) -> int | None:
        """Wait for the task's end and return the exit code."""
        return self._reap(0)

    def kill(self) -> None:
        """Kill the task, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)

    def _reap(self, options: int) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, options)
            self.returncode = os.waitstatus_to_exitcode(status) if pid else None
        return self.returncode


def _start_tasks_with(start: Any) -> None:
    """Let Metaflow's runtime start its tasks otherwise."""
    from metaflow import runtime

    runtime.subprocess = SimpleNamespace(**{**vars(subprocess), "Popen": start})


def _start_task(
    template: socket.socket, command: Sequence[str], env: Mapping[str, str], **options: Any
) -> ForkedTask | subprocess.Popen[bytes]:
    try:
        return ForkedTask(template, command, env)
    except OSError:
        return subprocess.Popen(command, env=env, **options)


def _serve_forks(requests: socket.socket, run: int, stages: Sequence[Sequence[str]]) -> list[int]:
    """Import modules and fork tasks; returns in each task, with the descriptors of its command and its two outputs.

    The modules of the first stage are imported before the first task, those of the next one beside it, and so on.
    """
    os.environ.update(SINGLE_THREAD_ENVIRONMENT)  # read once, when the libraries are loaded
    waiting = iter(stages)
    while True:
        import_modules(next(waiting, ()))
        if list_lost_threads() or not (descriptors := socket.recv_fds(requests, 1, 3)[1]):
            os._exit(0)
        if _fork_adopted(run):
            requests.close()
            return descriptors
        for descriptor in descriptors:
            os.close(descriptor)


def import_modules(modules: Sequence[str]) -> None:
    """Import `modules` for forks of this process; what can't be imported is left to who needs it."""
    before = dict(os.environ)
    gc.disable()  # nothing that is imported is garbage
    for module in modules:
        with contextlib.suppress(Exception):  # who needs it sees why it can't be imported
            (import_lean if module in UNUSED else importlib.import_module)(module)
    gc.enable()
    IMPORTED_VARIABLES.update({name: value for name, value in os.environ.items() if name not in before})
    IMPORTED_VARIABLES.update(dict.fromkeys(before.keys() - os.environ.keys()))
    if modules:
        gc.freeze()  # so that the pages of what was imported stay shared


def _fork_adopted(run: int) -> bool:
    """Fork a process that the run's process adopts and waits for; returns whether this is it."""
    if parent := os.fork():
        os.waitpid(parent, 0)
        return False
    parent = os.getpid()
    if os.fork():
        os._exit(0)
    while os.getppid() == parent:
        time.sleep(0.0005)
    end_with_parent(run)
    return True


def _read_command(descriptors: Sequence[int], arguments: list[str]) -> None:
    """Take over the command line, environment and output of a task."""
    from metaflow.plugins.cards import card_creator
    from threadpoolctl import threadpool_limits

    with socket.socket(fileno=descriptors[0]) as request, request.makefile("rb") as file:
        command, environment = json.load(file)
        request.sendall(b"%d" % os.getpid())
    with Path(os.devnull).open() as nothing:
        for number, descriptor in enumerate((nothing.fileno(), *descriptors[1:])):
            os.dup2(descriptor, number)
    for descriptor in descriptors[1:]:
        os.close(descriptor)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    arguments[:] = command[1:]
    _replace_environment(environment)
    card_creator.subprocess = SimpleNamespace(**{**vars(subprocess), "check_output": _run_forked})
    threads = environment.get("OMP_NUM_THREADS", "").partition(",")[0]  # of nested levels, the first
    threadpool_limits(int(threads) if threads.isdecimal() else os.cpu_count() or 1)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()  # or each task would draw the same


def _run_forked(command: Sequence[str], env: Mapping[str, str], timeout: float | None = None, **_: Any) -> bytes:
    """Run a command of a flow in a fork of its task, where all it needs is imported: the command that makes a card.

    As much of `subprocess.check_output` as Metaflow's cards use: both outputs are one, the time limit is in seconds.
    """
    with tempfile.TemporaryFile() as output:
        arguments = (command[1:], env, output.fileno(), os.getpid())
        fork = multiprocessing.get_context("fork").Process(target=run_script, args=arguments)
        fork.start()
        try:
            fork.join(timeout)
            code = fork.exitcode
        finally:
            fork.kill()  # unless it has ended
            fork.join()
        output.seek(0)
        if code is None:
            raise subprocess.TimeoutExpired(command, timeout or 0, output.read())
        if code:
            raise subprocess.CalledProcessError(code, command, output.read())
        return output.read()


def run_script(arguments: Sequence[str], env: Mapping[str, str], output: int | None, parent: int) -> None:
    """Run a script as a program of its own, in a fork that does nothing else.

    Args:
        arguments: The script's path, and what follows on its command line.
        env: The whole environment.
        output: The descriptor that its output and its errors go to; None for those of this process.
        parent: The process that it ends with.
    """
    end_with_parent(parent)
    if output is not None:
        os.dup2(output, 1)
        os.dup2(output, 2)
    _replace_environment(env)
    sys.argv[:] = arguments
    runpy.run_path(arguments[0], vars(sys.modules["__main__"]), "__main__")  # where Metaflow has put a class of its own


def _replace_environment(env: Mapping[str, str]) -> None:
    """Set the whole environment of a fork, in which the imports that were done ahead have the effect that they had."""
    ahead = {name: value for name, value in IMPORTED_VARIABLES.items() if value is not None}
    environment = {**ahead, **env}  # env may be os.environ itself
    os.environ.clear()
    os.environ.update(environment)
    for removed in IMPORTED_VARIABLES.keys() - ahead.keys():
        os.environ.pop(removed, None)
