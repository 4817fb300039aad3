"""`penumbra bench workers`: what a second worker adds, and lists beside scoring their frame directly.

Both by processor time: a small machine has no core for each process, and a busy one shares its cores with others.
"""

import contextlib
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl
import psutil

from benchmarks.serving.serve import served_model, servers
from benchmarks.serving.serve.load_generator import encode_post, run_closed_loop
from benchmarks.serving.serve.servers import BenchmarkServer, suspend_others
from penumbra.core.loading.problem_loading import SERVED_PARTS, load_problem
from penumbra.registry.bundles import bundle
from problem.schema import EXAMPLE, Row

CONNECTIONS = 4  # of each worker, a request on each: a load balancer's handful
RECORDS_PER_LIST, LISTS_AT_ONCE = 1000, 2
ROUNDS, SECONDS, SETTLE_SECONDS = 7, 1.5, 0.3


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        served_model.make_served_model(root)
        figures = compare_worker_counts(root) | compare_lists(root)
    print(json.dumps(figures))


def compare_worker_counts(root: Path) -> dict[str, float]:
    """How many times as many requests two workers could answer as one, each of them on a core of its own.

    A worker is saturated by as many requests a second as have one second of its processor time. So the ratio is that
    time of one worker for each request, over that of the busier of two for each request to both: it has whatever they
    cost each other (locks, log, caches), and how evenly connections are spread. There are twice as many connections to
    two workers, as requests that wait together are cheaper.
    """
    request = encode_post("/predict", json.dumps(EXAMPLE).encode())
    ratios = []
    with servers.reserve_load_core() as cores, contextlib.ExitStack() as stack:
        one, two = (
            stack.enter_context(servers.start_penumbra(_make_place(root), shadow=False, cores=cores, workers=n))
            for n in (1, 2)
        )
        for turn in range(ROUNDS + 1):
            alone = _measure_busiest(one, [one, two], request)
            together = _measure_busiest(two, [one, two], request)
            if turn:
                ratios.append(alone / together)
    ratio = statistics.median(ratios)
    print(f"two workers, each on a core, could answer {ratio:.2f} times as much as one,", end=" ")
    print(f"by {CONNECTIONS} connections each; {min(ratios):.2f} to {max(ratios):.2f} in {ROUNDS} rounds", flush=True)
    return {"two_over_one": round(ratio, 2)}


def compare_lists(root: Path) -> dict[str, float]:
    """Records in lists over those scored directly from their frame, in the same time and in the same processor time."""
    frame = Row.sample(RECORDS_PER_LIST).with_columns(pl.lit(None, pl.Float64).alias(name) for name in ("temp", "dewp"))
    request = encode_post("/predict", frame.write_json().encode())
    model = bundle.read_bundle(root / "bundle", load_problem(SERVED_PARTS))
    with servers.start_penumbra(_make_place(root), shadow=False) as server:
        (worker,) = server.workers()

        def answer_lists() -> float:
            return run_closed_loop(server.port, request, LISTS_AT_ONCE, SECONDS).per_second * RECORDS_PER_LIST * SECONDS

        def score_directly() -> float:
            end, lists = time.perf_counter() + SECONDS, 0
            while time.perf_counter() < end:
                model.score(frame)
                lists += 1
            return lists * RECORDS_PER_LIST

        rounds = [
            [*_measure_rates(worker, answer_lists), *_measure_rates(psutil.Process(), score_directly)]
            for _ in range(ROUNDS + 1)
        ]
    listed, listed_cpu, direct, direct_cpu = (statistics.median(column) for column in zip(*rounds[1:], strict=True))
    print(f"records in lists of {RECORDS_PER_LIST:,}, and scored directly:")
    print(f"a second {listed:>28,.0f} {direct:>10,.0f}")
    print(f"a second of the processor {listed_cpu:>11,.0f} {direct_cpu:>10,.0f}", flush=True)
    return {
        "list_records_per_second": round(listed),
        "direct_records_per_second": round(direct),
        "list_over_direct": round(statistics.median(a / b for a, _, b, _ in rounds[1:]), 3),
        "list_over_direct_cpu": round(statistics.median(a / b for _, a, _, b in rounds[1:]), 3),
    }


def _make_place(root: Path) -> Path:
    return served_model.make_service_state(root / "bundle", Path(tempfile.mkdtemp(dir=root)))


def _measure_busiest(server: BenchmarkServer, among: list[BenchmarkServer], request: bytes) -> float:
    """The processor time of the busiest worker for each request to the server, in seconds."""
    suspend_others(server, among)
    time.sleep(SETTLE_SECONDS)
    workers = server.workers()
    before = [_read_seconds(worker) for worker in workers]
    answered = run_closed_loop(server.port, request, len(workers) * CONNECTIONS, SECONDS).per_second * SECONDS
    spent = [_read_seconds(worker) - began for worker, began in zip(workers, before, strict=True)]
    return max(spent) / answered


def _measure_rates(process: psutil.Process, work: Callable[[], float]) -> tuple[float, float]:
    """What the work does a second, and a second of the process's processor time."""
    began, before = time.perf_counter(), _read_seconds(process)
    done = work()
    return done / (time.perf_counter() - began), done / (_read_seconds(process) - before)


def _read_seconds(process: psutil.Process) -> float:
    """The processor time of a process's threads, by the scheduler's clock: psutil's has hundredths of a second."""
    threads = Path(f"/proc/{process.pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


if __name__ == "__main__":
    main()
