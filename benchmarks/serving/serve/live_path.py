"""Latency of the live path with the shadow, with faulty candidates in it, and during swaps."""

import contextlib
import json
import statistics
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path

from benchmarks.serving.serve import served_model, servers
from benchmarks.serving.serve.load_generator import LoadMeasurement, encode_post, run_closed_loop, run_open_loop
from benchmarks.serving.serve.servers import BenchmarkServer, suspend_others
from penumbra.core.system.http_client import OPEN_WITHOUT_PROXY
from penumbra.storage.sealed import replace_sealed_file
from problem.schema import EXAMPLE

REQUEST_RATES = (800, 4000)  # requests a second
ROUNDS, FAULTY_ROUNDS, SECONDS, SETTLE_SECONDS = 15, 7, 2.0, 0.5
SWAPS, SWAP_SECONDS = 100, 0.25


def compare_shadow_on_off(root: Path) -> dict[str, float]:
    """Latency at steady rates and throughput at saturation, of a service with a shadow over that of one without."""
    request = encode_post("/predict", json.dumps(EXAMPLE).encode())
    with servers.reserve_load_core() as cores, _start_both(root, "steady", cores) as (off, on):
        p50, p99 = _compute_ratios("shadow on over off", off, on, request, ROUNDS)
    with _start_both(root, "saturated") as (off, on):
        full = _measure_pairs(off, on, lambda port: run_closed_loop(port, request, 8, SECONDS), ROUNDS)
    ratio = statistics.median(on.per_second / off.per_second for off, on in full)
    print(f"throughput at saturation, shadow on over off: {ratio:.3f}", flush=True)
    return {
        "shadow_p50_ratio": round(p50, 3),
        "shadow_p99_ratio": round(p99, 3),
        "shadow_saturated_ratio": round(ratio, 3),
    }


def compare_faulty_candidates(root: Path) -> dict[str, float]:
    """The same with each faulty candidate, over a service without a shadow; every request makes it go wrong."""
    from tests.helpers.models import faulty_bundles

    request = encode_post(
        "/predict",
        json.dumps({**EXAMPLE, "temp": faulty_bundles.TRIGGER_TEMP, "dewp": faulty_bundles.TRIGGER_TEMP}).encode(),
    )
    worst50, worst99 = 0.0, 0.0
    with servers.reserve_load_core() as cores, _start_service(root, "faulty-none", False, None, cores) as off:
        for fault in faulty_bundles.FAULT_KINDS:
            made = faulty_bundles.make_faulty_bundle(root / fault, fault)
            with _start_service(root, f"faulty-{fault}", True, made, cores) as on:
                p50, p99 = _compute_ratios(f"candidate {fault}, over none", off, on, request, FAULTY_ROUNDS)
            worst50, worst99 = max(worst50, p50), max(worst99, p99)
    return {"faulty_p50_ratio_max": round(worst50, 3), "faulty_p99_ratio_max": round(worst99, 3)}


def measure_swaps(root: Path) -> dict[str, float]:
    """Two versions that take turns under load; a request that fails ends the benchmark."""
    request, seen = encode_post("/predict", json.dumps(EXAMPLE).encode()), 0
    with _start_service(root, "swaps", True, root / "bundle") as server:
        state = root / "swaps/state"
        stop = threading.Event()

        def swap() -> None:
            nonlocal seen
            for number in range(SWAPS):
                version = str(2 - number % 2)
                replace_sealed_file(state / "live", version)
                while not stop.wait(0.01) and _read_live_version(server.port) != version:
                    pass
                seen += not stop.is_set()

        swapping = threading.Thread(target=swap)
        swapping.start()
        found = run_open_loop(server.port, request, REQUEST_RATES[0], SWAPS * SWAP_SECONDS)
        stop.set()
        swapping.join()
    print(
        f"{seen} swaps at {REQUEST_RATES[0]} req/s, "
        f"none of {SWAPS * SWAP_SECONDS * REQUEST_RATES[0]:,.0f} requests failed",
        end="",
    )
    print(f" (p50 {found.p50:.2f}, p99 {found.p99:.2f} ms)", flush=True)
    return {"swaps": seen, "failed_in_swaps": 0}


@contextlib.contextmanager
def _start_service(
    root: Path, name: str, shadow: bool, candidate: Path | None, cores: Collection[int] = ()
) -> Iterator[BenchmarkServer]:
    place = served_model.make_service_state(root / "bundle", root / name, candidate=candidate)
    with servers.start_penumbra(place, shadow=shadow, cores=cores) as server:
        yield server


@contextlib.contextmanager
def _start_both(
    root: Path, name: str, cores: Collection[int] = ()
) -> Iterator[tuple[BenchmarkServer, BenchmarkServer]]:
    """The service without its shadow, and with it."""
    with (
        _start_service(root, f"{name}-off", False, root / "bundle", cores) as off,
        _start_service(root, f"{name}-on", True, root / "bundle", cores) as on,
    ):
        yield off, on


def _compute_ratios(
    words: str, off: BenchmarkServer, on: BenchmarkServer, request: bytes, rounds: int
) -> tuple[float, float]:
    """The larger of the medians, over the rates, of p50 and of p99 with over without."""
    worst = []
    for rate in REQUEST_RATES:
        pairs = _measure_pairs(off, on, lambda port, rate=rate: run_open_loop(port, request, rate, SECONDS), rounds)  # type: ignore[misc]
        p50, p99 = (statistics.median(getattr(b, key) / getattr(a, key) for a, b in pairs) for key in ("p50", "p99"))
        before, after = (_format_medians([pair[i] for pair in pairs]) for i in (0, 1))
        print(f"{words}, {rate} req/s: p50 {p50:.3f}, p99 {p99:.3f} ({before}; {after})", flush=True)
        worst.append((p50, p99))
    return max(p50 for p50, _ in worst), max(p99 for _, p99 in worst)


def _measure_pairs(
    off: BenchmarkServer, on: BenchmarkServer, measure: Callable[[int], LoadMeasurement], rounds: int
) -> list[tuple[LoadMeasurement, LoadMeasurement]]:
    """In turns, each beginning as often as the other; who isn't measured is stopped."""
    pairs = []
    for turn in range(rounds + 1):
        found: Mapping[bool, LoadMeasurement] = {}
        for is_on in (False, True) if turn % 2 else (True, False):
            server = on if is_on else off
            suspend_others(server, [off, on])
            time.sleep(SETTLE_SECONDS)
            found = {**found, is_on: measure(server.port)}
        if turn:  # the first is to warm up
            pairs.append((found[False], found[True]))
    return pairs


def _format_medians(rounds: list[LoadMeasurement]) -> str:
    p50, p99 = (statistics.median(getattr(each, key) for each in rounds) for key in ("p50", "p99"))
    return f"{p50:.3f}, {p99:.2f} ms"


def _read_live_version(port: int) -> str | None:
    answer = json.load(OPEN_WITHOUT_PROXY(f"http://127.0.0.1:{port}/readyz", timeout=5))
    return str(answer.get("model_version"))
