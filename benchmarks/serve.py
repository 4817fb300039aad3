"""`make bench-serve`: the service, log and shadow on, beside other servers of the same scikit-learn model and beside
servers that do nothing; then with the shadow on and off, with faulty candidates in it, and swapped under load."""

import contextlib
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks import live, models, servers
from benchmarks.load import Measured, post, saturating
from benchmarks.servers import Server, only
from problem.schema import EXAMPLE

CONNECTIONS = (1, 8, 32)
ROUNDS, SECONDS, WARM_UP = 3, 3.0, 1.0
BODY = json.dumps(EXAMPLE).encode()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        matrix = models.make(root)
        figures = beside_others(root, matrix)
        figures |= live.shadow_on_and_off(root)
        figures |= live.faulty_candidates(root)
        figures |= live.swaps(root)
        figures |= live.footprint(root)
    print(json.dumps(figures))


def beside_others(root: Path, matrix: list[list[float | None]]) -> dict[str, float]:
    """Requests a second, and how many times those of others they are."""
    place = models.deploy(root / "bundle", root / "beside", candidate=root / "bundle")
    started: dict[str, tuple[Callable[[], Any], bytes]] = {
        "penumbra": (lambda: servers.penumbra(place, shadow=True), post("/predict", BODY)),
        "mlflow models serve": (lambda: servers.mlflow(root), post("/invocations", _mlflow(matrix))),
        "MLServer": (lambda: servers.mlserver(root), post("/v2/models/model/infer", _mlserver(matrix))),
        "BentoML no-op": (lambda: servers.bento(root), post("/predict", b'{"carrier": "UA", "distance": 1400}')),
        "bare echo": (lambda: servers.echo(root), post("/predict", BODY)),
    }
    with contextlib.ExitStack() as stack:
        up = {name: stack.enter_context(start()) for name, (start, _) in started.items()}
        results = compare(up, {name: request for name, (_, request) in started.items()})
    logged = sum(1 for path in (place / "predictions").glob("*.jsonl") for _ in path.open("rb"))
    _table(results)
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
    }


def compare(up: Mapping[str, Server], requests: Mapping[str, bytes]) -> dict[tuple[str, int], Measured]:
    """Medians over rounds in which every server has its turn, while the others are stopped."""
    taken: dict[tuple[str, int], list[Measured]] = {}
    for turn in range(ROUNDS + 1):
        for name, server in up.items():
            only(server, list(up.values()))
            time.sleep(0.2)
            for connections in CONNECTIONS:
                found = saturating(server.port, requests[name], connections, SECONDS if turn else WARM_UP)
                if turn:
                    taken.setdefault((name, connections), []).append(found)
    return {key: _median(rounds) for key, rounds in taken.items()}


def _mlflow(matrix: Any) -> bytes:
    return json.dumps({"inputs": matrix}).encode()


def _mlserver(matrix: Any) -> bytes:
    """The Open Inference Protocol's, as an array."""
    tensor = {"name": "x", "shape": [1, len(matrix[0])], "datatype": "FP64", "data": matrix[0]}
    return json.dumps({"parameters": {"content_type": "np"}, "inputs": [tensor]}).encode()


def _table(results: dict[tuple[str, int], Measured]) -> None:
    print(
        f"\n{os.cpu_count()} cores, one worker each; medians of {ROUNDS} rounds of {SECONDS:g} s; req/s (p50, p99 ms)"
    )
    print(f"{'':<22}" + "".join(f"{f'{c} connections':>28}" for c in CONNECTIONS))
    for name in dict.fromkeys(name for name, _ in results):
        cells = (results[name, connections] for connections in CONNECTIONS)
        print(f"{name:<22}" + "".join(f"{f'{m.per_second:,.0f} ({m.p50:.2f}, {m.p99:.2f})':>28}" for m in cells))


def _median(rounds: list[Measured]) -> Measured:
    return Measured(*(statistics.median(getattr(r, field) for r in rounds) for field in ("per_second", "p50", "p99")))


if __name__ == "__main__":
    main()
