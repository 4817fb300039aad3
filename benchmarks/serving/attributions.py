"""`penumbra bench attributions`: what explanations cost in a service, one by one and in lists, and of frames.

The model is the one that `bench serve` serves. Rates are by the wall clock and by the worker's processor time alone.
"""

import json
import tempfile
import time
from pathlib import Path

from benchmarks.helpers.process_costs import read_processor_seconds
from benchmarks.serving.serve import served_model, servers
from benchmarks.serving.serve.load_generator import encode_post, run_closed_loop
from penumbra.core.loading.problem_loading import SERVED_PARTS, load_problem
from penumbra.registry.bundles import bundle
from penumbra.registry.bundles.explanations import compute_attributions
from problem.schema import Row

CONNECTIONS, SECONDS, WARM_UP_SECONDS = 4, 4.0, 1.0
FORMS = {"single": 1, "list": 100}  # records a request
QUERIES = {"plain": "", "explained": "?explain=true"}
FRAME_ROWS = 5_000


def main() -> None:
    """Print records a second with and without explanations, and a JSON document in the last line."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        served_model.make_served_model(root)
        print(json.dumps(measure_service(root) | measure_frames(root)))


def measure_service(root: Path) -> dict[str, int]:
    """Measure records a second of one worker without a shadow.

    Args:
        root: The folder with the bundle.

    Returns:
        By form and query the records a second, and those a second of the worker's processor time.
    """
    figures = {}
    place = served_model.make_service_state(root / "bundle", root / "served")
    with servers.start_penumbra(place, shadow=False) as server:
        (worker,) = server.workers()
        for form, records in FORMS.items():
            rows = Row.sample(records).write_json().encode()
            body = rows[1:-1] if records == 1 else rows
            for name, query in QUERIES.items():
                request = encode_post(f"/predict{query}", body)
                run_closed_loop(server.port, request, 1, WARM_UP_SECONDS)  # the first explanation reads the trees
                before = read_processor_seconds(worker)
                rate = run_closed_loop(server.port, request, CONNECTIONS, SECONDS).per_second * records
                by_processor = rate * SECONDS / (read_processor_seconds(worker) - before)
                figures |= {f"{form}_{name}_per_s": round(rate), f"{form}_{name}_per_cpu_s": round(by_processor)}
                print(f"{form:<8}{name:<10}{rate:>9,.0f} records/s{by_processor:>10,.0f} by processor time", flush=True)
    return figures


def measure_frames(root: Path) -> dict[str, int]:
    """Measure rows of a frame a second of processor time.

    Args:
        root: The folder with the bundle.

    Returns:
        The rows.
    """
    loaded, rows = bundle.read_bundle(root / "bundle", load_problem(SERVED_PARTS)), Row.sample(FRAME_ROWS)
    compute_attributions(loaded, rows.head(1))
    began = time.process_time()
    compute_attributions(loaded, rows)
    rate = FRAME_ROWS / (time.process_time() - began)
    print(f"frame of {FRAME_ROWS:,} rows{rate:>18,.0f} by processor time", flush=True)
    return {"frame_per_cpu_s": round(rate)}


if __name__ == "__main__":
    main()
