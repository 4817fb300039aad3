"""`penumbra bench client`: what lists cost as JSON and as Arrow, on both sides, and what an idempotency key costs.

The client's processor time is that of this process.
"""

import http.client
import itertools
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import polars as pl

from benchmarks.helpers.process_costs import read_processor_seconds
from benchmarks.serving.serve import served_model, servers
from penumbra.client import Client
from problem.schema import EXAMPLE, Row

LIST_RECORDS, ROUNDS, SECONDS = 10_000, 7, 4.0
FORMS: dict[str, Callable[[Client, pl.DataFrame], object]] = {
    "json": lambda client, table: client.predict_list(table.iter_rows(named=True)),
    "arrow": lambda client, table: client.predict_table(table),
}
KEYS: dict[str, Callable[[int], dict[str, str]]] = {
    "no key": lambda n: {},
    "new keys": lambda n: {"idempotency-key": f"request {n}"},
    "one key": lambda n: {"idempotency-key": "request"},
}


def main() -> None:
    """Print a line for each form of lists and kind of requests, and a JSON document in the last line."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        served_model.make_served_model(root)
        place = served_model.make_service_state(root / "bundle", root / "served")
        with servers.start_penumbra(place, shadow=False) as server:
            print(json.dumps(measure_lists(server) | measure_keys(server)))


def measure_lists(server: servers.BenchmarkServer) -> dict[str, int]:
    """Measure lists in both forms, in turns.

    Args:
        server: The service, with one worker.

    Returns:
        By form the bytes of a record and of its answer, and records a second of processor time, of the worker and of
        the client: medians of the rounds.
    """
    (worker,), table = server.workers(), Row.sample(LIST_RECORDS)
    sizes, spent, figures = list[tuple[int, int]](), {form: list[tuple[float, float]]() for form in FORMS}, {}

    def count_bytes(response: httpx.Response) -> None:
        response.read()
        sizes.append((len(response.request.content), response.num_bytes_downloaded))

    with Client(f"http://127.0.0.1:{server.port}", trust_env=False, event_hooks={"response": [count_bytes]}) as client:
        for form, send in itertools.chain(*[FORMS.items()] * (ROUNDS + 1)):
            before = read_processor_seconds(worker), time.process_time()
            send(client, table)
            spent[form].append((read_processor_seconds(worker) - before[0], time.process_time() - before[1]))
    for (form, seconds), (sent, received) in zip(spent.items(), sizes, strict=False):
        rates = [round(LIST_RECORDS / statistics.median(side)) for side in zip(*seconds[1:], strict=True)]
        sides = dict(zip(("worker", "client"), rates, strict=True))
        print(f"{form:<10}{sent / LIST_RECORDS:>6.0f} bytes a record, {received / LIST_RECORDS:.0f} an answer", end="")
        print("".join(f"; {rate:,} a second of the {side}'s time" for side, rate in sides.items()), flush=True)
        figures |= {f"{form}_bytes": round(sent / LIST_RECORDS), f"{form}_answer_bytes": round(received / LIST_RECORDS)}
        figures |= {f"{form}_per_{side}_s": rate for side, rate in sides.items()}
    return figures


def measure_keys(server: servers.BenchmarkServer) -> dict[str, int]:
    """Measure single records without a key, with a new one each, and with one that is known.

    Args:
        server: The service, with one worker.

    Returns:
        By kind the requests a second of the worker's processor time.
    """
    (worker,), body, figures = server.workers(), json.dumps(EXAMPLE), {}
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    for kind, make_headers in KEYS.items():
        before, end = read_processor_seconds(worker), time.monotonic() + SECONDS
        for n_asked in itertools.count(1):
            connection.request("POST", "/predict", body, {"content-type": "application/json", **make_headers(n_asked)})
            connection.getresponse().read()
            if time.monotonic() > end:
                break
        rate = round(n_asked / (read_processor_seconds(worker) - before))
        print(f"{kind:<10}{rate:>8,} single records a second of the worker's time", flush=True)
        figures[f"{kind.replace(' ', '_')}_per_worker_s"] = rate
    connection.close()
    return figures


if __name__ == "__main__":
    main()
