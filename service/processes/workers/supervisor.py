"""The supervisor: starts named commands, restarts them when they end, and ends them together."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO, Protocol

from penumbra.core.system.process_tree import end_orphans, end_with_parent
from service.processes.workers.environment import hide_variables
from service.processes.workers.process_control import lower_priority

FIRST_RESTART_SECONDS, MAX_RESTART_SECONDS, STABLE_SECONDS = 0.5, 30.0, 60.0
TICK_SECONDS = 0.1


class RunningProcess(Protocol):
    """A child process that leads a process group of its own."""

    @property
    def pid(self) -> int:
        """The process id, which is that of its group too."""

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal, or None while it runs."""


@dataclass
class ChildProcess:
    """A command, its process, and when to start it next.

    What it prints goes to `log`, or to this process's output. It gives way to others by its `niceness` from its start
    on (see `process_control.lower_priority`). It inherits the file descriptors `pass_fds`, but no environment variable
    whose name begins as one of `hidden_variables` does, and gets `death_signal` when this process dies. One that
    `ends_last` is asked to end once all others have. Times are by `time.monotonic`, in seconds. `last_code` is the exit
    code of the last process.
    """

    name: str
    command: Sequence[str] = ()
    log: Path | None = None
    niceness: int = 0
    pass_fds: Sequence[int] = ()
    hidden_variables: tuple[str, ...] = ()
    death_signal: signal.Signals = signal.SIGTERM
    ends_last: bool = False
    process: RunningProcess | None = None
    last_code: int | None = None
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
            signal_group(self.process, signal.SIGKILL)
            self.last_code = code
            self._schedule_restart(code, now)

    def _start(self, environment: Mapping[str, str]) -> RunningProcess:
        shown = hide_variables(environment, self.hidden_variables)
        with self.log.open("ab") if self.log else nullcontext() as output:
            return start_process(
                self.command, shown, self.pass_fds, output, self.niceness, death_signal=self.death_signal
            )

    def _schedule_restart(self, code: int, now: float) -> None:
        self.restart_delay = FIRST_RESTART_SECONDS if now - self.started_at > STABLE_SECONDS else self.restart_delay
        if code != os.EX_CONFIG:  # with that it has said itself what is wrong
            print(f"{self.name} ended with code {code}, starts again in {self.restart_delay:g} s", file=sys.stderr)
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
                before = child.process
                child.keep_running(self.environment, time.monotonic())
                if before and child.process is None:
                    self._end_orphans()
            each_tick()
            time.sleep(TICK_SECONDS)
        for is_last in (False, True):
            ending = [child.process for child in self.children if child.process and child.ends_last is is_last]
            end_processes(ending, self.grace_seconds)
        self._end_orphans()

    def stop(self, number: int = 0, frame: FrameType | None = None) -> None:
        """Let `run` end. Takes `number` and `frame` as a signal handler does, and ignores them."""
        self.stopping = True

    def _end_orphans(self) -> None:
        """End what a child that ended has left, where this process adopts orphans."""
        end_orphans([child.process.pid for child in self.children if child.process])


def end_processes(processes: Sequence[RunningProcess], grace_seconds: float) -> None:
    """Ask processes to end, and kill their groups once they have ended or the time is over.

    Args:
        processes: The leaders of the groups.
        grace_seconds: The time that all of them have together.
    """
    for process in processes:
        if process.poll() is None:
            os.kill(process.pid, signal.SIGTERM)
    deadline = time.monotonic() + grace_seconds
    for process in processes:
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(TICK_SECONDS / 5)
        signal_group(process, signal.SIGKILL)
        while process.poll() is None:
            time.sleep(TICK_SECONDS / 5)


def signal_group(process: RunningProcess, number: signal.Signals) -> None:
    """Send a signal to a process, if it still runs, and to all that it started in its group.

    Args:
        process: The leader of the group, which may have ended.
        number: The signal.
    """
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def start_process(
    command: Sequence[str],
    environment: Mapping[str, str],
    pass_fds: Sequence[int] = (),
    output: IO[bytes] | None = None,
    niceness: int = 0,
    death_signal: signal.Signals = signal.SIGTERM,
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
        death_signal: What it gets when this process dies; SIGKILL ends it for sure, but none of its own children.

    Returns:
        The running process.

    Source:
        sched(7), autogroup.
    """
    parent = os.getpid()

    def prepare_child() -> None:
        end_with_parent(parent, death_signal)
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
