"""A real service under hundreds of hostile connections, while probes and good clients ask for answers.

Published are the worker's memory and open handles, how long probes and predictions took, and what was not answered.
"""

import asyncio
import contextlib
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import psutil

from benchmarks.faults.report import FaultReport
from benchmarks.serving.serve.servers import BenchmarkServer
from problem.schema import EXAMPLE

SEATS, QUIET_SECONDS, SECONDS = 500, 10.0, 60.0
KEY = "a-key-of-good-clients"
PROBES = ("/livez", "/healthz", "/readyz")
PROBE_SECONDS, RECORD_SECONDS, LIST_SECONDS, MEMORY_SECONDS = 0.2, 0.02, 0.5, 0.5  # from one request to the next
MOST_SECONDS = 5.0  # for an answer; later ones count as none
MOST_MEMORY_MB = 150  # that hostile peers may cost
MEGABYTE = 1 << 20


@dataclass
class Watch:
    """What was measured in one phase: milliseconds by kind of request, failures, and what the worker took."""

    milliseconds: dict[str, list[float]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    handles: list[int] = field(default_factory=list)
    load: float = 0.0

    def format_latency(self, kind: str) -> tuple[str, str, str]:
        """The number of answers to a kind of request, and median and longest time, in milliseconds."""
        times = self.milliseconds.get(kind) or [float("nan")]
        return f"{len(times):,}", f"{statistics.median(times):.2f}", f"{max(times):.1f}"


def inject_faults(seats: int = SEATS, quiet: float = QUIET_SECONDS, seconds: float = SECONDS) -> FaultReport:
    """Measure a service in quiet and under hostile peers.

    Args:
        seats: The number of hostile connections.
        quiet: Seconds without them, before.
        seconds: Seconds with them.

    Returns:
        Counts, and a table of both phases.
    """
    from tests.helpers.servers import local_service

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        local_service.deploy_version(folder, "1")
        with local_service.start_server(folder, keys__predict=KEY, shadow__enabled="false") as (process, http):
            local_service.wait_until(lambda: http.get("/readyz").status_code == 200, 60)
            port = http.base_url.port or 0
            (worker,) = BenchmarkServer(port, psutil.Process(process.pid), 0.0).workers()
            asyncio.run(watch_service(port, worker, 2.0))  # to warm up
            before = asyncio.run(watch_service(port, worker, quiet))
            command = [
                sys.executable,
                "-m",
                "benchmarks.faults.connections.hostile_seats",
                str(port),
                str(seats),
                str(seconds),
            ]
            with subprocess.Popen(command, stdout=subprocess.PIPE) as hostile:
                under = asyncio.run(watch_service(port, worker, seconds))
                held = json.loads(hostile.communicate()[0])
    return make_report(before, under, held, seats)


async def watch_service(port: int, worker: psutil.Process, seconds: float, key: str = KEY) -> Watch:
    """Ask a service for probes and predictions, and look at its size.

    Args:
        port: The service's, on this machine.
        worker: The process that answers.
        seconds: For how long.
        key: The good clients' key.

    Returns:
        What was measured.
    """
    watch, end, before = Watch(), time.monotonic() + seconds, worker.cpu_times()
    record = json.dumps(EXAMPLE).encode()
    one, many = (_encode_post(body, key) for body in (record, b"[" + b",".join([record] * 100) + b"]"))
    probes = [f"GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode() for path in PROBES]
    await asyncio.gather(
        _repeat(end, PROBE_SECONDS, lambda number: _ask_probe(watch, port, probes[number % len(probes)])),
        *(_ask_again_and_again(watch, port, "record", one, RECORD_SECONDS, end) for _ in range(4)),
        _ask_again_and_again(watch, port, "list", many, LIST_SECONDS, end),
        _repeat(end, MEMORY_SECONDS, lambda _: asyncio.to_thread(_measure_size, watch, worker)),
    )
    after = worker.cpu_times()
    watch.load = (after.user + after.system - before.user - before.system) / seconds
    return watch


def make_report(before: Watch, under: Watch, held: dict[str, tuple[int, float]], seats: int) -> FaultReport:
    """Make the report of both phases; `held` is what `take_seats` returns."""
    phases = (before, under)
    rows = [
        ("worker's memory (PSS), at most, MB", *(f"{max(phase.memory):.0f}" for phase in phases)),
        ("open handles, at most", *(f"{max(phase.handles):,}" for phase in phases)),
        ("processor time of the worker, s per s", *(f"{phase.load:.2f}" for phase in phases)),
        ("not answered", *(str(len(phase.failures)) for phase in phases)),
    ]
    for kind in ("probe", "record", "list"):
        figures = zip(*(phase.format_latency(kind) for phase in phases), strict=True)
        titles = (f"{kind}s answered", f"{kind}, median, ms", f"{kind}, longest, ms")
        rows += [(title, *cells) for title, cells in zip(titles, figures, strict=True)]
    rows += [(f"{name}: connections, the longest", "", f"{n:,}, {s:.1f} s") for name, (n, s) in held.items()]
    growth = max(under.memory) - max(before.memory)
    findings = [f"{failure}" for failure in dict.fromkeys(under.failures)]
    if growth > MOST_MEMORY_MB:
        findings.append(f"hostile peers cost {growth:.0f} MB of memory: at most {MOST_MEMORY_MB} are expected")
    counts = {"hostile": seats, "unanswered": len(under.failures), "hostile_mb": round(growth, 1)}
    table = pl.DataFrame(rows, schema=["measure", "in quiet", f"under {seats} hostile peers"], orient="row")
    return FaultReport(counts, table, tuple(findings))


async def _repeat(end: float, pause: float, act: Callable[[int], Awaitable[None]]) -> None:
    number = 0
    while time.monotonic() < end:
        await act(number)
        number += 1
        await asyncio.sleep(pause)


async def _ask_probe(watch: Watch, port: int, request: bytes) -> None:
    """Ask on a connection of its own, as probes do."""
    began = time.perf_counter()
    with _count_failures(watch, request.split(b" ")[1].decode()):
        async with asyncio.timeout(MOST_SECONDS):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            with contextlib.closing(writer):
                writer.write(request)
                await _read_answer(reader)
        watch.milliseconds.setdefault("probe", []).append(1000 * (time.perf_counter() - began))


async def _ask_again_and_again(watch: Watch, port: int, kind: str, request: bytes, pause: float, end: float) -> None:
    """Ask for predictions on one connection."""
    while time.monotonic() < end:
        with _count_failures(watch, kind):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            with contextlib.closing(writer):
                while time.monotonic() < end:
                    began = time.perf_counter()
                    async with asyncio.timeout(MOST_SECONDS):
                        writer.write(request)
                        await _read_answer(reader)
                    watch.milliseconds.setdefault(kind, []).append(1000 * (time.perf_counter() - began))
                    await asyncio.sleep(pause)


@contextlib.contextmanager
def _count_failures(watch: Watch, what: str):  # type: ignore[no-untyped-def]
    try:
        yield
    except (OSError, EOFError, ValueError) as error:
        watch.failures.append(f"{what} was not answered: {error or type(error).__name__}")


async def _read_answer(reader: asyncio.StreamReader) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head)
    await (reader.readexactly(int(length[1])) if length else reader.read())
    if b" 200 " not in head[:20]:
        raise ValueError(head.split(b"\r\n")[0].decode())


def _encode_post(body: bytes, key: str) -> bytes:
    head = f"POST /predict HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\n"
    return f"{head}content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


def _measure_size(watch: Watch, worker: psutil.Process) -> None:
    watch.memory.append(worker.memory_full_info().pss / MEGABYTE)
    watch.handles.append(worker.num_fds())
