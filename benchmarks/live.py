"""Is the live path disturbed? By the shadow, by faulty candidates in it, by swaps; and what a worker takes."""

import contextlib
import json
import os
import statistics
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path

import polars as pl

from benchmarks import models, servers
from benchmarks.load import Measured, post, saturating, steady
from benchmarks.servers import Server, only
from problem.features import FEATURES
from problem.schema import EXAMPLE, Row
from stores import bundle

RATES = (800, 4000)  # requests a second
ROUNDS, FAULTY_ROUNDS, SECONDS, SETTLING = 15, 7, 2.0, 0.5
SWAPS, SWAP_SECONDS = 100, 0.25
LIST = 1000  # records
MEGABYTE = 1 << 20


def shadow_on_and_off(root: Path) -> dict[str, float]:
    """Latency at steady rates and throughput at saturation, of a service with a shadow over that of one without."""
    request = post("/predict", json.dumps(EXAMPLE).encode())
    with servers.apart() as cores, _both(root, "steady", cores) as (off, on):
        p50, p99 = _ratios("shadow on over off", off, on, request, ROUNDS)
    with _both(root, "saturated") as (off, on):
        full = _paired(off, on, lambda port: saturating(port, request, 8, SECONDS), ROUNDS)
    ratio = statistics.median(on.per_second / off.per_second for off, on in full)
    print(f"throughput at saturation, shadow on over off: {ratio:.3f}", flush=True)
    return {
        "shadow_p50_ratio": round(p50, 3),
        "shadow_p99_ratio": round(p99, 3),
        "shadow_saturated_ratio": round(ratio, 3),
    }


def faulty_candidates(root: Path) -> dict[str, float]:
    """The same with each faulty candidate, over a service without a shadow; every request makes it go wrong."""
    from tests import faulty

    request = post("/predict", json.dumps({**EXAMPLE, "temp": faulty.TRIGGER, "dewp": faulty.TRIGGER}).encode())
    worst50, worst99 = 0.0, 0.0
    with servers.apart() as cores, _service(root, "faulty-none", False, None, cores) as off:
        for fault in faulty.FAULTS:
            made = faulty.make_bundle(root / fault, fault)
            with _service(root, f"faulty-{fault}", True, made, cores) as on:
                p50, p99 = _ratios(f"candidate {fault}, over none", off, on, request, FAULTY_ROUNDS)
            worst50, worst99 = max(worst50, p50), max(worst99, p99)
    return {"faulty_p50_ratio_max": round(worst50, 3), "faulty_p99_ratio_max": round(worst99, 3)}


def swaps(root: Path) -> dict[str, float]:
    """Two versions that take turns under load; a request that fails ends the benchmark."""
    request, seen = post("/predict", json.dumps(EXAMPLE).encode()), 0
    with _service(root, "swaps", True, root / "bundle") as server:
        state = root / "swaps/state"
        stop = threading.Event()

        def swap() -> None:
            nonlocal seen
            for number in range(SWAPS):
                version = str(2 - number % 2)
                _replace(state / "live", version)
                while not stop.wait(0.01) and _live(server.port) != version:
                    pass
                seen += not stop.is_set()

        swapping = threading.Thread(target=swap)
        swapping.start()
        found = steady(server.port, request, RATES[0], SWAPS * SWAP_SECONDS)
        stop.set()
        swapping.join()
    print(f"{seen} swaps at {RATES[0]} req/s, none of {SWAPS * SWAP_SECONDS * RATES[0]:,.0f} requests failed", end="")
    print(f" (p50 {found.p50:.2f}, p99 {found.p99:.2f} ms)", flush=True)
    return {"swaps": seen, "failed_in_swaps": 0}


def footprint(root: Path) -> dict[str, float]:
    """Memory and start of a worker, and lists beside scoring the same frame directly."""
    rows = Row.sample(LIST)
    listed = post(
        "/predict", rows.with_columns(pl.lit(None).alias("temp"), pl.lit(None).alias("dewp")).write_json().encode()
    )
    with _service(root, "footprint", True, root / "bundle") as server:
        saturating(server.port, post("/predict", json.dumps(EXAMPLE).encode()), 8, SECONDS)
        memory = server.worker().memory_full_info()
        lists = saturating(server.port, listed, 2, SECONDS).per_second * LIST
    live, began, scored = bundle.read(root / "bundle", FEATURES), time.perf_counter(), 0
    while time.perf_counter() - began < SECONDS:
        scored += len(live.score(rows))
    direct = scored / (time.perf_counter() - began)
    print(f"a worker takes {memory.pss / MEGABYTE:.0f} MB (PSS; RSS {memory.rss / MEGABYTE:.0f} MB), ", end="")
    print(f"the service is ready after {server.seconds:.1f} s")
    print(f"{lists:,.0f} records/s in lists of {LIST:,}, scored directly {direct:,.0f}", flush=True)
    return {
        "worker_pss_mb": round(memory.pss / MEGABYTE),
        "worker_rss_mb": round(memory.rss / MEGABYTE),
        "ready_seconds": round(server.seconds, 2),
        "list_records_per_second": round(lists),
        "direct_records_per_second": round(direct),
    }


@contextlib.contextmanager
def _service(
    root: Path, name: str, shadow: bool, candidate: Path | None, cores: Collection[int] = ()
) -> Iterator[Server]:
    place = models.deploy(root / "bundle", root / name, candidate=candidate)
    with servers.penumbra(place, shadow=shadow, cores=cores) as server:
        yield server


@contextlib.contextmanager
def _both(root: Path, name: str, cores: Collection[int] = ()) -> Iterator[tuple[Server, Server]]:
    """The service without its shadow, and with it."""
    with (
        _service(root, f"{name}-off", False, root / "bundle", cores) as off,
        _service(root, f"{name}-on", True, root / "bundle", cores) as on,
    ):
        yield off, on


def _ratios(words: str, off: Server, on: Server, request: bytes, rounds: int) -> tuple[float, float]:
    """The larger of the medians, over the rates, of p50 and of p99 with over without."""
    worst = []
    for rate in RATES:
        pairs = _paired(off, on, lambda port, rate=rate: steady(port, request, rate, SECONDS), rounds)  # type: ignore[misc]
        p50, p99 = (statistics.median(getattr(b, key) / getattr(a, key) for a, b in pairs) for key in ("p50", "p99"))
        before, after = (_describe([pair[i] for pair in pairs]) for i in (0, 1))
        print(f"{words}, {rate} req/s: p50 {p50:.3f}, p99 {p99:.3f} ({before}; {after})", flush=True)
        worst.append((p50, p99))
    return max(p50 for p50, _ in worst), max(p99 for _, p99 in worst)


def _paired(
    off: Server, on: Server, measure: Callable[[int], Measured], rounds: int
) -> list[tuple[Measured, Measured]]:
    """In turns, each beginning as often as the other; who isn't measured is stopped."""
    pairs = []
    for turn in range(rounds + 1):
        found: Mapping[bool, Measured] = {}
        for is_on in (False, True) if turn % 2 else (True, False):
            server = on if is_on else off
            only(server, [off, on])
            time.sleep(SETTLING)
            found = {**found, is_on: measure(server.port)}
        if turn:  # the first is to warm up
            pairs.append((found[False], found[True]))
    return pairs


def _describe(rounds: list[Measured]) -> str:
    p50, p99 = (statistics.median(getattr(each, key) for each in rounds) for key in ("p50", "p99"))
    return f"{p50:.3f}, {p99:.2f} ms"


def _live(port: int) -> str | None:
    answer = json.load(servers.OPEN(f"http://127.0.0.1:{port}/readyz", timeout=5))
    return str(answer.get("model_version"))


def _replace(path: Path, content: str) -> None:
    aside = path.with_name(".aside")
    aside.write_text(content)
    os.replace(aside, path)
