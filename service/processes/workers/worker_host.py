"""The worker host: forks the workers that answer requests, ends those that hang, and replaces those that ended.

It begins in head_start.py. The host has imported what a worker needs, but has no threads that a fork would miss and has
touched neither model nor problem. So the workers share the memory of all that code, and one is forked and serving
within a second. While it is replaced, the others go on with the same socket, and new connections wait in its queue.
"""

import gc
import importlib
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import service
from penumbra.core.settings import ServiceSettings, SettingsError, load_settings
from penumbra.core.system.process_tree import adopt_orphans, describe_exit_code, end_with_parent, read_process_stat
from service.connections.connection_share import ConnectionShare, share_connections
from service.http.access.access_control import KeyDigests, load_key_digests
from service.inference.blocked_records import HUNG, record_crashes
from service.inference.models import pinned_models
from service.inference.scoring_marks import HANG_SIGNAL, read_heartbeat
from service.processes.workers import inheritance
from service.processes.workers.process_control import log_to_stderr
from service.processes.workers.supervisor import (
    FIRST_RESTART_SECONDS,
    MAX_RESTART_SECONDS,
    TICK_SECONDS,
    ChildProcess,
    RunningProcess,
    Supervisor,
)

APP_MODULE = f"{service.__name__}.app"
DRAIN_SECONDS, GRACE_SECONDS = 10, 12.0  # a worker's time to finish its requests; until it is killed
BACKLOG = 2048  # connections that wait for a worker
ORDERLY_ENDS = (0, -signal.SIGTERM, -signal.SIGINT, os.EX_CONFIG)

logger = logging.getLogger("service.processes.workers.worker_host")


class ForkedProcess:
    """A fork of this process that runs a function, in a process group of its own; it is killed when this one dies."""

    def __init__(self, run: Callable[[], None]) -> None:
        """Fork, and run the function in the child."""
        sys.stdout.flush()
        sys.stderr.flush()
        parent, self._code = os.getpid(), None  # type: tuple[int, int | None]
        self.pid = os.fork()
        if self.pid == 0:
            _run_and_exit(run, parent)

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal, or None while it runs."""
        if self._code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self._code = os.waitstatus_to_exitcode(status) if pid else None
        return self._code


@dataclass
class WorkerProcess(ChildProcess):
    """One worker. One that had come to serve is replaced at once, one that can't start ever later.

    Attributes:
        state: The service's state folder.
        run: What the worker does.
        has_served: Whether its event loop ran.
        share: Its share of the connections, if there are other workers.
    """

    state: Path = Path()
    run: Callable[[], None] = lambda: None
    has_served: bool = False
    share: ConnectionShare | None = None
    _beats: int = 0
    _still_seconds: float = 0.0
    _is_hung: bool = False

    def watch(self) -> None:
        """End the worker if its event loop stands still. Call it once a tick.

        Time counts in ticks of this process, so that a machine that is suspended, or too busy for both, ends no worker.
        """
        beats, patience = read_heartbeat(self.state, self.process.pid) if self.process else (0, 0.0)
        self._still_seconds = self._still_seconds + TICK_SECONDS if beats and beats == self._beats else 0.0
        self._beats, self.has_served = beats, self.has_served or beats > 0
        if self.process and self._still_seconds > patience and not _is_suspended(self.process.pid):
            if not self._is_hung:
                logger.error("%s stood still for %.1f s and is ended", self.name, self._still_seconds)
            os.kill(self.process.pid, signal.SIGKILL if self._is_hung else HANG_SIGNAL)
            self._is_hung = True

    def _start(self, environment: Mapping[str, str]) -> RunningProcess:
        self._beats, self._still_seconds, self._is_hung, self.has_served = 0, 0.0, False, False
        return ForkedProcess(self.run)

    def _schedule_restart(self, code: int, now: float) -> None:
        pid = self.process.pid if self.process else 0
        if self.share:
            self.share.leave()
        self.restart_delay = 0.0 if self.has_served else max(self.restart_delay, FIRST_RESTART_SECONDS)
        if code not in ORDERLY_ENDS:
            how = HUNG if self._is_hung or code == -HANG_SIGNAL else describe_exit_code(code)
            logger.warning("%s ended (%s), starts again in %g s", self.name, how, self.restart_delay)
            report_crashes(self.state, {pid: how})
        self.process, self.start_at = None, now + self.restart_delay
        self.restart_delay = min(self.restart_delay * 2, MAX_RESTART_SECONDS)


def main(socket: int, keys: int) -> None:
    """Run the workers until SIGTERM. Exits with 78 where settings or problem don't let a worker start at all.

    Args:
        socket: The inherited descriptor of the listening socket.
        keys: The inherited descriptor of the file with the digests of the API keys.
    """
    log_to_stderr(logger)
    adopt_orphans()
    settings = load_settings()
    pinned_models.prepare_bento_start(settings)
    digests = load_key_digests(keys)
    report_crashes(settings.service.state, {})
    importlib.import_module(f"{service.__name__}.service_factory")
    gc.freeze()
    gc.enable()
    sys.exit(run_workers(list_workers(settings.service, socket, digests)))


def list_workers(settings: ServiceSettings, socket: int, keys: KeyDigests) -> list[WorkerProcess]:
    """List the workers.

    Args:
        settings: The state folder, and how many workers there are.
        socket: The descriptor of the listening socket, which they share.
        keys: The digests of the API keys.

    Returns:
        The workers, none of which is started.
    """
    shares = share_connections(settings.workers) if settings.workers > 1 else [None]
    return [
        WorkerProcess(
            f"worker {number}",
            state=settings.state,
            run=make_worker_main(socket, number, inheritance.WorkerInheritance(keys, share)),
            share=share,
        )
        for number, share in enumerate(shares, start=1)
    ]


def run_workers(workers: Sequence[WorkerProcess]) -> int:
    """Run workers until SIGTERM, or until one says that it can't start at all before any has served.

    Args:
        workers: The workers, none of which is started.

    Returns:
        The exit code, 0 or `os.EX_CONFIG`.
    """
    supervisor = Supervisor(workers, os.environ, GRACE_SECONDS)
    code, served = 0, False

    def watch_workers() -> None:
        nonlocal code, served
        for worker in workers:
            worker.watch()
        served = served or any(worker.has_served for worker in workers)
        if not served and any(worker.last_code == os.EX_CONFIG for worker in workers):
            code = os.EX_CONFIG
            supervisor.stop()

    supervisor.run(watch_workers)
    return code


def make_worker_main(socket: int, number: int, inherited: inheritance.WorkerInheritance) -> Callable[[], None]:
    """Return what a worker does: BentoML's own worker, on an inherited socket.

    Args:
        socket: The descriptor of the listening socket.
        number: The number of the worker, from 1.
        inherited: What the worker inherits from this process.

    Returns:
        A function that serves until SIGTERM.
    """
    options = {"--fd": socket, "--backlog": BACKLOG, "--worker-id": number}
    options["--timeout-graceful-shutdown"] = DRAIN_SECONDS
    arguments = [f"{APP_MODULE}:Service", *(str(part) for option in options.items() for part in option)]

    def run_worker() -> None:
        from _bentoml_impl.worker.service import main as run_bentoml_worker

        from penumbra.core.problem import ProblemError

        inheritance.inherited = inherited
        try:
            importlib.import_module(APP_MODULE)
        except (ProblemError, SettingsError) as error:
            print(error, file=sys.stderr)
            sys.exit(os.EX_CONFIG)
        run_bentoml_worker.main(arguments, standalone_mode=False)

    return run_worker


def report_crashes(state: Path, causes: Mapping[int, str]) -> None:
    """Record what ended workers were scoring (see `record_crashes`), and log it.

    Args:
        state: The service's state folder.
        causes: How the workers ended, by process id.
    """
    try:
        for sentence in record_crashes(state, causes):
            logger.error("%s", sentence)
    except OSError as error:
        logger.error("what a worker was scoring when it ended can't be recorded: %s", error)


def _run_and_exit(run: Callable[[], None], parent: int) -> NoReturn:
    """Run a function in this new process, and exit without a way back to the code that forked it."""
    code = 1
    try:
        os.setpgid(0, 0)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        end_with_parent(parent)
        run()
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _is_suspended(pid: int) -> bool:
    return read_process_stat(Path(f"/proc/{pid}"))[:1] in ([b"T"], [b"t"])
