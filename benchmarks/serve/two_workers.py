"""What a second worker adds, measured by the workers' processor time: a small machine has no core for each of them."""

import contextlib
import json
import statistics
import time
from pathlib import Path

import psutil

from benchmarks.serve import served_model, servers
from benchmarks.serve.load_generator import encode_post, run_open_loop
from benchmarks.serve.servers import BenchmarkServer, suspend_others
from problem.schema import EXAMPLE

RATE_PER_WORKER = 2000  # requests a second: all workers together don't saturate one core
ROUNDS, SECONDS, SETTLE_SECONDS = 7, 4.0, 0.5


def compare_worker_counts(root: Path) -> dict[str, float]:
    """How many times as many requests two workers could answer as one, each of them on a core of its own.

    A worker is saturated by as many requests a second as have one second of its processor time. So the ratio is that
    time of one worker for each request, over that of the busier of two for each request to both: it has whatever they
    cost each other (locks, log, caches), and how evenly connections are spread. The load generator has its own core.
    """
    request = encode_post("/predict", json.dumps(EXAMPLE).encode())
    ratios = []
    with servers.reserve_load_core() as cores, contextlib.ExitStack() as stack:
        one, two = (
            stack.enter_context(servers.start_penumbra(_make_place(root, n), shadow=False, cores=cores, workers=n))
            for n in (1, 2)
        )
        for turn in range(ROUNDS + 1):
            alone = _measure_busiest(one, [one, two], request, RATE_PER_WORKER)
            together = _measure_busiest(two, [one, two], request, 2 * RATE_PER_WORKER)
            if turn:
                ratios.append(alone / together)
    ratio = statistics.median(ratios)
    print(f"two workers, each on a core, could answer {ratio:.2f} times as much as one", flush=True)
    return {"two_workers_over_one": round(ratio, 2)}


def _make_place(root: Path, workers: int) -> Path:
    return served_model.make_service_state(root / "bundle", root / f"workers-{workers}")


def _measure_busiest(server: BenchmarkServer, among: list[BenchmarkServer], request: bytes, rate: float) -> float:
    """The processor time of the busiest worker for each request to the server, in seconds."""
    suspend_others(server, among)
    time.sleep(SETTLE_SECONDS)
    workers = server.workers()
    before = [_read_seconds(worker) for worker in workers]
    run_open_loop(server.port, request, rate, SECONDS)
    spent = [_read_seconds(worker) - began for worker, began in zip(workers, before, strict=True)]
    return max(spent) / (rate * SECONDS)


def _read_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
