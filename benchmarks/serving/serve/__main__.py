"""`penumbra bench serve`: measure the service beside other servers of the same scikit-learn model.

Log and shadow are on. Beside it stand servers that do nothing; then the service runs with the shadow on and off, with
faulty candidates in it, and is swapped under load.
"""

import contextlib
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.serving.serve import live_path, served_model, servers
from benchmarks.serving.serve.load_generator import LoadMeasurement, encode_post, run_closed_loop
from benchmarks.serving.serve.servers import BenchmarkServer, suspend_others
from problem.schema import EXAMPLE

CONNECTION_COUNTS = (1, 8, 32)
ROUNDS, SECONDS, WARM_UP_SECONDS = 3, 3.0, 1.0
REQUEST_BODY = json.dumps(EXAMPLE).encode()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        matrix = served_model.make_served_model(root)
        figures = compare_with_other_servers(root, matrix)
        figures |= live_path.compare_shadow_on_off(root)
        figures |= live_path.compare_faulty_candidates(root)
        figures |= live_path.measure_swaps(root)
    print(json.dumps(figures))


def compare_with_other_servers(root: Path, matrix: list[list[float | None]]) -> dict[str, Any]:
    """Requests a second, and how many times those of others they are."""
    place = served_model.make_service_state(root / "bundle", root / "beside", candidate=root / "bundle")
    started: dict[str, tuple[Callable[[], Any], bytes]] = {
        "penumbra": (lambda: servers.start_penumbra(place, shadow=True), encode_post("/predict", REQUEST_BODY)),
        "mlflow models serve": (
            lambda: servers.start_mlflow(root),
            encode_post("/invocations", _encode_mlflow_request(matrix)),
        ),
        "MLServer": (
            lambda: servers.start_mlserver(root),
            encode_post("/v2/models/model/infer", _encode_mlserver_request(matrix)),
        ),
        "BentoML no-op": (
            lambda: servers.start_noop(root),
            encode_post("/predict", b'{"carrier": "UA", "distance": 1400}'),
        ),
        "bare echo": (lambda: servers.start_echo(root), encode_post("/predict", REQUEST_BODY)),
    }
    with contextlib.ExitStack() as stack:
        up = {name: stack.enter_context(start()) for name, (start, _) in started.items()}
        results = measure_in_turns(up, {name: request for name, (_, request) in started.items()})
    logged = sum(1 for path in (place / "predictions").glob("*.jsonl") for _ in path.open("rb"))
    _print_table(results)
    print(f"{logged:,} predictions in the log", flush=True)
    at8 = {name: measured.per_second for (name, connections), measured in results.items() if connections == 8}
    ours = at8["penumbra"]
    return {
        "over_mlflow_serve": round(ours / at8["mlflow models serve"], 1),
        "over_mlserver": round(ours / at8["MLServer"], 1),
        "over_bento_noop": round(ours / at8["BentoML no-op"], 2),
        "over_echo": round(ours / at8["bare echo"], 3),
        "requests_per_second": round(ours),
        "logged": logged,
        "per_second": {
            name: {connections: round(results[name, connections].per_second) for connections in CONNECTION_COUNTS}
            for name in started
        },
    }


def measure_in_turns(
    up: Mapping[str, BenchmarkServer], requests: Mapping[str, bytes]
) -> dict[tuple[str, int], LoadMeasurement]:
    """Medians over rounds in which every server has its turn, while the others are stopped."""
    taken: dict[tuple[str, int], list[LoadMeasurement]] = {}
    for turn in range(ROUNDS + 1):
        for name, server in up.items():
            suspend_others(server, list(up.values()))
            time.sleep(0.2)
            for connections in CONNECTION_COUNTS:
                found = run_closed_loop(server.port, requests[name], connections, SECONDS if turn else WARM_UP_SECONDS)
                if turn:
                    taken.setdefault((name, connections), []).append(found)
    return {key: _take_medians(rounds) for key, rounds in taken.items()}


def _encode_mlflow_request(matrix: Any) -> bytes:
    return json.dumps({"inputs": matrix}).encode()


def _encode_mlserver_request(matrix: Any) -> bytes:
    """The Open Inference Protocol's, as an array."""
    tensor = {"name": "x", "shape": [1, len(matrix[0])], "datatype": "FP64", "data": matrix[0]}
    return json.dumps({"parameters": {"content_type": "np"}, "inputs": [tensor]}).encode()


def _print_table(results: dict[tuple[str, int], LoadMeasurement]) -> None:
    print(f"{os.cpu_count()} cores, one worker each; medians of {ROUNDS} rounds of {SECONDS:g} s; req/s (p50, p99 ms)")
    print(f"{'':<22}" + "".join(f"{f'{c} connections':>28}" for c in CONNECTION_COUNTS))
    for name in dict.fromkeys(name for name, _ in results):
        cells = (results[name, connections] for connections in CONNECTION_COUNTS)
        print(f"{name:<22}" + "".join(f"{f'{m.per_second:,.0f} ({m.p50:.2f}, {m.p99:.2f})':>28}" for m in cells))


def _take_medians(rounds: list[LoadMeasurement]) -> LoadMeasurement:
    return LoadMeasurement(
        *(statistics.median(getattr(r, field) for r in rounds) for field in ("per_second", "p50", "p99"))
    )


if __name__ == "__main__":
    main()
