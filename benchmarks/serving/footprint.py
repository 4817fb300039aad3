"""`penumbra bench footprint`: the memory of one worker under load, and how long the service takes until it is ready."""

import json
import statistics
import tempfile
from pathlib import Path

from benchmarks.serving.serve import served_model, servers
from benchmarks.serving.serve.load_generator import encode_post, run_closed_loop
from problem.schema import EXAMPLE

ROUNDS, SECONDS, CONNECTIONS = 5, 2.0, 8
MEGABYTE = 1 << 20


def main() -> None:
    """Print the medians of some starts, and a JSON document in the last line."""
    request = encode_post("/predict", json.dumps(EXAMPLE).encode())
    measured = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        served_model.make_served_model(root)
        for turn in range(ROUNDS):
            place = served_model.make_service_state(root / "bundle", root / f"{turn}", candidate=root / "bundle")
            with servers.start_penumbra(place, shadow=True) as server:
                run_closed_loop(server.port, request, CONNECTIONS, SECONDS)
                (worker,) = server.workers()
                memory = worker.memory_full_info()
                measured.append((memory.pss / MEGABYTE, memory.rss / MEGABYTE, server.seconds))
    pss, rss, seconds = map(statistics.median, zip(*measured, strict=True))
    print(f"a worker takes {pss:.0f} MB (PSS; RSS {rss:.0f} MB), the service is ready after {seconds:.2f} s")
    print(json.dumps({"worker_pss_mb": round(pss), "worker_rss_mb": round(rss), "ready_seconds": round(seconds, 2)}))


if __name__ == "__main__":
    main()
