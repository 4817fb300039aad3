"""Keeps named commands running: starts them, starts them again when they die, ends them together."""

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

from service.processes.process_control import set_lowest_priority

FIRST_RESTART_SECONDS, MAX_RESTART_SECONDS, STABLE_SECONDS = 0.5, 30.0, 60.0  # seconds
TICK_SECONDS = 0.1
PR_SET_PDEATHSIG = 1
_libc: Any = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass
class ChildProcess:
    """A command, its process, and when to start it next; what it prints goes to `log`, or where ours goes. One in the
    background leaves the processors to the others from its first import on."""

    name: str
    command: Sequence[str]
    log: Path | None = None
    background: bool = False
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    due: float = 0.0
    delay: float = FIRST_RESTART_SECONDS

    def keep_running(self, environment: Mapping[str, str], now: float) -> None:
        """Start the process if it is time to; notice its death, and set when to start it again."""
        if self.process is None:
            if now >= self.due:
                self.started = now
                self.process = self._start(environment)
        elif (code := self.process.poll()) is not None:
            self._died(code, now)

    def _start(self, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        with self.log.open("ab") if self.log else nullcontext() as output:
            return start_process(self.command, environment, output=output, background=self.background)

    def _died(self, code: int, now: float) -> None:
        self.delay = FIRST_RESTART_SECONDS if now - self.started > STABLE_SECONDS else self.delay
        print(f"{self.name} ended with code {code}, starts again in {self.delay:g} s", file=sys.stderr, flush=True)
        self.process, self.due = None, now + self.delay
        self.delay = min(self.delay * 2, MAX_RESTART_SECONDS)


@dataclass
class Supervisor:
    """Runs children until `stop`, SIGTERM or SIGINT; each has a process group of its own and ends with this process."""

    children: Sequence[ChildProcess]
    environment: Mapping[str, str]
    patience: float = 15.0
    stopping: bool = field(default=False, init=False)

    def run(self, each_tick: Callable[[], None] = lambda: None) -> None:
        """Block until told to stop, then end the children and wait for them."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.stop)
        while not self.stopping:
            for child in self.children:
                child.keep_running(self.environment, time.monotonic())
            each_tick()
            time.sleep(TICK_SECONDS)
        self._end()

    def stop(self, number: int = 0, frame: FrameType | None = None) -> None:
        self.stopping = True

    def _end(self) -> None:
        processes = [child.process for child in self.children if child.process]
        for process in processes:
            process.terminate()
        deadline = time.monotonic() + self.patience
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
    background: bool = False,
) -> subprocess.Popen[bytes]:
    """A process that ends when this one does, however that happens. Its group is its own, so that Ctrl-C reaches this
    one alone; its session is ours, as Linux lets the idle class (see background.at_lowest_priority) give way at once to
    others of its session only (sched(7), autogroup)."""

    def before() -> None:
        if sys.platform == "linux":
            _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if background:
            set_lowest_priority()

    return subprocess.Popen(
        command,
        env=dict(environment),
        process_group=0,
        stdin=subprocess.DEVNULL,
        preexec_fn=before,
        pass_fds=pass_fds,
        stdout=output,
        stderr=output,
    )
