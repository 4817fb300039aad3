"""Process trees: a process ends with all that it started, whatever groups and sessions those moved to.

Processes that lose their parent go to the nearest ancestor that adopts orphans, and are found there.
"""

import ctypes
import os
import resource
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER, PR_GET_CHILD_SUBREAPER = 1, 36, 37
KILL_SECONDS, KILL_POLL_SECONDS = 2.0, 0.005
ENDED_STATES = (b"Z", b"X")
HARMLESS_THREADS = {"jemalloc_bg_thd", "polars-ooc-clea"}  # polars starts them anew in a forked process, or needs none
_libc: Any = ctypes.CDLL(None) if sys.platform == "linux" else None


def end_with_parent(parent: int, number: int = signal.SIGKILL) -> None:
    """Have the kernel send this process a signal as soon as its parent ends. Only on Linux.

    Args:
        parent: The id of the parent; where that has ended already, the signal comes at once.
        number: The signal.

    Source:
        prctl(2), PR_SET_PDEATHSIG.
    """
    if _libc:
        _libc.prctl(PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:
            os.kill(os.getpid(), number)


def adopt_orphans() -> None:
    """Make this process the parent of every descendant whose own parent ends. Only on Linux.

    Source:
        prctl(2), PR_SET_CHILD_SUBREAPER.
    """
    if _libc:
        _libc.prctl(PR_SET_CHILD_SUBREAPER, 1)


def end_orphans(kept: Collection[int]) -> list[int]:
    """Kill the processes that this one has adopted, with all that they started, and reap them.

    Args:
        kept: The ids of the processes that it started itself. Nothing is ended before `adopt_orphans` was called.

    Returns:
        The ids of the processes that were adopted.
    """
    if not _is_adopting():
        return []
    adopted = [pid for pid, parent in _read_parents().items() if parent == os.getpid() and pid not in kept]
    for pid in adopted:
        _kill_descendants(pid)
        send_signal(pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(pid, 0)
    return adopted


def kill_process_tree(process: subprocess.Popen[Any]) -> int:
    """Kill a process with all that it started, and wait for it.

    Args:
        process: The process. Where it has ended already, `end_orphans` finds what it left.

    Returns:
        Its exit code.
    """
    if process.poll() is None:
        _kill_descendants(process.pid)
        process.kill()
    return process.wait()


def send_signal(pid: int, number: int) -> None:
    """Send a process a signal; nothing happens where it has ended or isn't ours.

    Args:
        pid: The process's id.
        number: The signal.
    """
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def read_process_stat(folder: Path) -> list[bytes]:
    """Read the fields of a process or thread behind its name: its state, its parent's id, and so on.

    Args:
        folder: Its folder in /proc.

    Returns:
        The fields, from the third one on; empty where it has ended, or there is no /proc.

    Source:
        proc_pid_stat(5).
    """
    try:
        return (folder / "stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return []


def read_cpu_seconds() -> float:
    """Return the processor time, user and system, of this process and of its children that it has waited for."""
    each = [resource.getrusage(of) for of in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(used.ru_utime + used.ru_stime for used in each)


def list_lost_threads(pid: int | None = None) -> set[str]:
    """List the threads that a process has and that a fork of it would miss.

    Args:
        pid: The id of the process; None for this one.

    Returns:
        Their names, as the kernel has them, without those that have ended while they were listed.
    """
    pid, names = pid or os.getpid(), set()
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):
            names |= {(task / "comm").read_text().strip()} if task.name != str(pid) else set()
    return names - HARMLESS_THREADS


def describe_exit_code(code: int) -> str:
    """Return in words how a process ended, by its exit `code`, which is negative for a signal: "SIGKILL", "code 1"."""
    return signal.Signals(-code).name if code < 0 else f"code {code}"


def _is_adopting() -> bool:
    answer = ctypes.c_int()
    if _libc:
        _libc.prctl(PR_GET_CHILD_SUBREAPER, ctypes.byref(answer))
    return bool(answer.value)


def _kill_descendants(pid: int) -> None:
    """Stop a process, so that it starts nothing more, and kill its descendants until there are none."""
    send_signal(pid, signal.SIGSTOP)
    deadline = time.monotonic() + KILL_SECONDS
    while (found := _list_descendants(pid)) and time.monotonic() < deadline:
        for each in found:
            send_signal(each, signal.SIGKILL)
        time.sleep(KILL_POLL_SECONDS)


def _list_descendants(pid: int) -> list[int]:
    children: dict[int, list[int]] = defaultdict(list)
    for child, parent in _read_parents(but=ENDED_STATES).items():
        children[parent].append(child)
    found, waiting = [], [pid]
    while waiting:
        started = children[waiting.pop()]
        found += started
        waiting += started
    return found


def _read_parents(but: Collection[bytes] = ()) -> dict[int, int]:
    """The parent of every process that isn't in one of these states; nothing where there is no /proc."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        fields = read_process_stat(folder)
        if fields and fields[0] not in but:
            parents[int(folder.name)] = int(fields[1])
    return parents
