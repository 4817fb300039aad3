"""The supervisor: starts named commands, restarts them when they end, and ends them together."""

import ctypes
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO, Any

from service.processes.process_control import lower_priority

FIRST_RESTART_SECONDS, MAX_RESTART_SECONDS, STABLE_SECONDS = 0.5, 30.0, 60.0
TICK_SECONDS = 0.1
PR_SET_PDEATHSIG = 1
_libc: Any = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass
class ChildProcess:
    """A command, its process, and when to start it next.

    What it prints goes to `log`, or to this process's output. It gives way to others by its `niceness` from its start
    on (see `process_control.lower_priority`). Times are by `time.monotonic`, in seconds.
    """

    name: str
    command: Sequence[str]
    log: Path | None = None
    niceness: int = 0
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    start_at: float = 0.0
    restart_delay: float = FIRST_RESTART_SECONDS

    def keep_running(self, environment: Mapping[str, str], now: float) -> None:
        """Start the process if it is time to; notice that it ended, and schedule its restart.

        Args:
            environment: The environment of the new process.
            now: The time by `time.monotonic`, in seconds.
        """
        if self.process is None:
            if now >= self.start_at:
                self.started_at = now
                self.process = self._start(environment)
        elif (code := self.process.poll()) is not None:
            self._schedule_restart(code, now)

    def _start(self, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        with self.log.open("ab") if self.log else nullcontext() as output:
            return start_process(self.command, environment, output=output, niceness=self.niceness)

    def _schedule_restart(self, code: int, now: float) -> None:
        self.restart_delay = FIRST_RESTART_SECONDS if now - self.started_at > STABLE_SECONDS else self.restart_delay
        print(
            f"{self.name} ended with code {code}, starts again in {self.restart_delay:g} s", file=sys.stderr, flush=True
        )
        self.process, self.start_at = None, now + self.restart_delay
        self.restart_delay = min(self.restart_delay * 2, MAX_RESTART_SECONDS)


@dataclass
class Supervisor:
    """Runs child processes until `stop`, SIGTERM or SIGINT.

    Each has a process group of its own and ends with this process.
    """

    children: Sequence[ChildProcess]
    environment: Mapping[str, str]
    grace_seconds: float = 15.0
    stopping: bool = field(default=False, init=False)

    def run(self, each_tick: Callable[[], None] = lambda: None) -> None:
        """Run the children until stopped, then end them and wait for them.

        Args:
            each_tick: Called ten times a second.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.stop)
        while not self.stopping:
            for child in self.children:
                child.keep_running(self.environment, time.monotonic())
            each_tick()
            time.sleep(TICK_SECONDS)
        self._end_children()

    def stop(self, number: int = 0, frame: FrameType | None = None) -> None:
        """Let `run` end. Takes `number` and `frame` as a signal handler does, and ignores them."""
        self.stopping = True

    def _end_children(self) -> None:
        processes = [child.process for child in self.children if child.process]
        for process in processes:
            process.terminate()
        deadline = time.monotonic() + self.grace_seconds
        for process in processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - time.monotonic()))
            process.kill()
            process.wait()


def start_process(
    command: Sequence[str],
    environment: Mapping[str, str],
    pass_fds: Sequence[int] = (),
    output: IO[bytes] | None = None,
    niceness: int = 0,
) -> subprocess.Popen[bytes]:
    """Start a process that ends when this one does, however that happens.

    It has a process group of its own, so that Ctrl-C reaches this process only. It stays in this session, as Linux lets
    the idle class give way at once only to processes of the same session.

    Args:
        command: The program and its arguments.
        environment: All environment variables of the process.
        pass_fds: File descriptors that it inherits.
        output: Where stdout and stderr go; None for those of this process.
        niceness: How far it gives way to others (see `process_control.lower_priority`).

    Returns:
        The running process.

    Source:
        sched(7), autogroup; prctl(2), PR_SET_PDEATHSIG.
    """

    def prepare_child() -> None:
        if sys.platform == "linux":
            _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if niceness:
            lower_priority(niceness)

    return subprocess.Popen(
        command,
        env=dict(environment),
        process_group=0,
        stdin=subprocess.DEVNULL,
        preexec_fn=prepare_child,
        pass_fds=pass_fds,
        stdout=output,
        stderr=output,
    )
