"""What a command costs with all that it starts: wall time, processor time and memory."""

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from penumbra.core.system.process_tree import adopt_orphans, end_orphans

SAMPLE_SECONDS, SAMPLING_SHARE = 0.1, 0.05  # of the time at most this share goes into looking at memory
MEGABYTE = 1 << 20


@dataclass(frozen=True)
class ProcessCost:
    """The cost of a command.

    Attributes:
        seconds: Wall time.
        cpu_seconds: User and system time of all its processes, also of those that outlive the one that started them.
        peak_mb: The most memory of all its processes at once (PSS, where shared pages count once), as sampled.
        output: What it printed.
    """

    seconds: float
    cpu_seconds: float
    peak_mb: float
    output: str


def measure_command(
    command: Sequence[str | Path], environ: Mapping[str, str] | None = None, cwd: Path | None = None
) -> ProcessCost:
    """Run a command to its end.

    Args:
        command: The program and its arguments.
        environ: The whole environment; None for that of this process.
        cwd: The folder that it runs in; None for that of this process.

    Returns:
        Its cost.

    Raises:
        SystemExit: It failed; the message has the end of its output.
    """
    adopt_orphans()  # what nobody waits for isn't counted, such as the process that a flow's tasks are forks of
    others = {child.pid for child in psutil.Process().children()}
    with tempfile.TemporaryFile("w+") as output:
        before, began, peak = _read_cpu_seconds(), time.perf_counter(), 0.0
        with psutil.Popen(list(map(str, command)), env=environ, cwd=cwd, stdout=output, stderr=output) as process:
            pause = SAMPLE_SECONDS
            while not _has_ended(process, pause):
                looked = time.perf_counter()
                peak = max(peak, _sum_memory(process))
                pause = max(SAMPLE_SECONDS, (time.perf_counter() - looked) / SAMPLING_SHARE)
        seconds = time.perf_counter() - began
        end_orphans(others)
        cpu_seconds = _read_cpu_seconds() - before
        output.seek(0)
        text = output.read()
    if process.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{text[-4000:]}")
    return ProcessCost(seconds, cpu_seconds, peak / MEGABYTE, text)


def read_processor_seconds(process: psutil.Process) -> float:
    """Read the processor time of a process so far.

    Args:
        process: The process.

    Returns:
        User and system time in seconds, without that of its children.
    """
    return sum(process.cpu_times()[:2])


def make_shell_environment() -> dict[str, str]:
    """Make the environment of a person's shell: without that of this checkout.

    Returns:
        The variables, with `PYTHON` as `make` takes it.
    """
    dropped = ("PENUMBRA_", "PYTHON", "VIRTUAL_ENV", "OMP_NUM_THREADS", "MAKE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return {**kept, "PYTHON": str(Path(sys.base_prefix) / "bin" / "python3")}


def _has_ended(process: psutil.Popen, seconds: float) -> bool:
    with suppress(subprocess.TimeoutExpired, psutil.TimeoutExpired):
        process.wait(seconds)
        return True
    return False


def _sum_memory(process: psutil.Popen) -> float:
    used = 0.0
    with suppress(psutil.NoSuchProcess):
        for each in [process, *process.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                used += each.memory_full_info().pss
    return used


def _read_cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
