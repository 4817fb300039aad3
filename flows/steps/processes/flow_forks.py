"""Runs of flows as forks of one process in which their imports are done, beside the command that waits for the runs.

Each run is like a process of its own, with the command line, environment and output that it is given; what runs share
are modules, and none of the project's own. Its tasks are forks of it in turn, see flows/steps/processes/task_forks.py.
Only on Linux.
"""

import contextlib
import functools
import importlib
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

from flows.steps.processes.parallel import SINGLE_THREAD_ENVIRONMENT
from flows.steps.processes.task_forks import METAFLOW_MODULES, import_modules, run_script
from penumbra.core.system.process_tree import end_with_parent, list_lost_threads, send_signal
from penumbra.core.system.signal_relay import SignalRelay


class FlowRunner:
    """Runs flows, one after the other."""

    def __init__(self, requests: Connection | None) -> None:
        """Take the connection to the process that is forked; None to run each flow in a new process."""
        self._requests, self._is_importing = requests, False

    def import_ahead(self, flows: Sequence[str]) -> None:
        """Let the imports begin, beside this process, in its folder and its environment as they are now.

        What the first tasks of the first flow need is imported before anything is run, what those of the others need
        beside a run, and what only later tasks need while nothing runs. Where there is one flow only, a run that is
        asked for meanwhile begins at once, and imports the rest beside its start, as its first run does what only later
        tasks need: it would wait for that. Nothing is done the second time.

        Args:
            flows: The names of the flows, as of their files in flows/, in the order in which they will run.
        """
        if self._requests and not self._is_importing:
            self._requests.send((list(flows), os.getcwd(), dict(os.environ)))
        self._is_importing = True

    def run(self, arguments: Sequence[str], environment: Mapping[str, str], output: Path | None) -> int:
        """Run a flow to its end.

        Args:
            arguments: The path of the flow's file, and what follows on its command line.
            environment: Variables beside those of this process.
            output: The file that its output and its errors go to, of which what it had is lost; None for those of this
                process.

        Returns:
            Its exit code, negative for a signal.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed, which reaches the run from the terminal; it has ended.
        """
        everything = {**os.environ, **environment}
        sys.stdout.flush()
        with SignalRelay() as relay:
            if pid := self._begin((list(arguments), everything, output and output.absolute(), os.getcwd())):
                relay.pass_to(functools.partial(send_signal, pid))
                return self._wait_for_end()
            with output.open("wb") if output else contextlib.nullcontext() as file:
                return relay.run_child([sys.executable, *arguments], everything, file)

    def _begin(self, run: tuple[list[str], dict[str, str], Path | None, str]) -> int:
        """Have a run begun; returns its process's id, 0 if it isn't: the process has ended, and isn't asked again."""
        if self._requests:
            try:
                self._requests.send(run)
                return int(self._requests.recv())
            except (OSError, EOFError):
                self._requests = None
        return 0

    def _wait_for_end(self) -> int:
        try:
            return int(self._requests.recv())  # type: ignore[union-attr]
        except (OSError, EOFError):  # the process was killed, and the run has ended with it
            self._requests = None
            return -signal.SIGKILL


@contextlib.contextmanager
def fork_flows() -> Iterator[FlowRunner]:
    """Start the process whose forks are runs of flows, as a context manager.

    To be called before `problem/` is loaded, which each run loads as it is by then, and before threads are started that
    a fork would miss: where there are any, each run is a new process. What is imported before is so for all runs.

    Yields:
        What runs them. At the end a run that is under way is killed.
    """
    if sys.platform != "linux" or list_lost_threads():
        yield FlowRunner(None)
        return
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve_runs, args=(ours, theirs, os.getpid()))
    process.start()
    theirs.close()
    try:
        yield FlowRunner(ours)
    finally:
        process.kill()
        process.join()
        ours.close()


def _serve_runs(caller: Connection, requests: Connection, parent: int) -> None:
    """Import what the tasks of some flows import, and fork their runs, until the command ends."""
    end_with_parent(parent)
    caller.close()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # a run ends by it, also where it is only just forked
    with contextlib.suppress(EOFError, OSError):  # the command has ended
        _import_and_fork(requests)


def _import_and_fork(requests: Connection) -> None:
    flows, folder, environment = requests.recv()
    os.chdir(folder)
    os.environ.update({**environment, **SINGLE_THREAD_ENVIRONMENT})  # which is read once, when libraries are loaded
    import_modules([*METAFLOW_MODULES, *(f"flows.{flow}" for flow in flows)])
    modules = [importlib.import_module(f"flows.{flow}") for flow in flows]
    first, *ahead = [module.IMPORTED_AHEAD for module in modules]
    later = [getattr(module, "IMPORTED_LATER", ()) for module in modules]
    before_run, after_run = later, list[Sequence[str]]()
    if ahead:
        import_modules(first)
    else:
        before_run, after_run = [[module] for module in first], [[module] for modules in later for module in modules]
    while not list_lost_threads():
        if (waiting := ahead or before_run) and not requests.poll():
            import_modules(waiting.pop(0))
            continue
        run = multiprocessing.get_context("fork").Process(target=_run_flow, args=(*requests.recv(), os.getpid()))
        run.start()
        requests.send(run.pid)
        while ahead and run.is_alive():
            import_modules(ahead.pop(0))
        run.join()
        requests.send(run.exitcode)
        before_run, after_run = [*before_run, *after_run], []


def _run_flow(
    arguments: Sequence[str], environment: Mapping[str, str], output: Path | None, folder: str, parent: int
) -> None:
    os.chdir(folder)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    with output.open("wb") if output else contextlib.nullcontext() as file:
        run_script(arguments, environment, file.fileno() if file else None, parent)
