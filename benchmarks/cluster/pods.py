"""`python -m benchmarks.cluster pods`: ingest and training in pods beside the same on one machine, and faults.

Both run the shipped example in pods of this machine, with two tasks at once, in turns. Then a cluster of made-up orders
loses a pod in each step, one that scores tables, its store for some seconds, and a replica under load, while two
ingests run at once: what was accepted and isn't found is lost, what is found more than once was done twice.
"""

import logging
import os
import statistics
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.helpers.checkout import FLIGHTS
from tests.helpers.cluster.cluster_faults import (
    answer_under_faults,
    ingest_under_faults,
    score_under_faults,
    train_under_faults,
)
from tests.helpers.cluster.pods import start_pod
from tests.helpers.cluster.toy_cluster import IMAGE, OLD_IMAGE, Replica, ToyCluster, launch_cluster
from tests.helpers.logs.replica_logs import make_replica

FLOWS = ("ingest", "train")
ROUNDS = int(os.environ.get("ROUNDS", 3))


def measure() -> dict[str, float]:
    """Measure both.

    Returns:
        `pods_over_embedded`, the median over the rounds of the ratio of wall times; `lost` and `twice`.
    """
    logging.getLogger("werkzeug").setLevel("ERROR")
    ratios = []
    print(f"wall seconds of ingest and training\n{'round':<8}{'one machine':>14}{'pods':>8}{'ratio':>8}", flush=True)
    for number in range(ROUNDS):
        alone, pods = _time_round()
        ratios.append(pods / alone)
        print(f"{number + 1:<8}{alone:>14.1f}{pods:>8.1f}{ratios[-1]:>8.2f}", flush=True)
    lost, twice = _count_faults()
    return {"pods_over_embedded": round(statistics.median(ratios), 2), "lost": lost, "twice": twice}


def _time_round() -> tuple[float, float]:
    """Seconds on one machine, and in pods."""
    with tempfile.TemporaryDirectory() as place, launch_cluster(Path(place), FLIGHTS) as cluster:
        begin = time.perf_counter()
        for flow in FLOWS:
            _run_on_one_machine(cluster, Path(place) / "alone", flow)
        middle = time.perf_counter()
        for flow in FLOWS:
            cluster.argo.run(cluster.manifests / f"{flow}.yaml")
        return middle - begin, time.perf_counter() - middle


def _run_on_one_machine(cluster: ToyCluster, folder: Path, flow: str) -> None:
    command = ["python", f"/srv/flows/{flow}.py", "--no-pylint", "run"]
    folder.mkdir(exist_ok=True)
    with (folder / f"{flow}.log").open("wb") as log:
        code = start_pod(cluster.argo.images[IMAGE], folder, command, {"METAFLOW_USER": "bench"}, log).wait()
    assert code == 0, (folder / f"{flow}.log").read_text()[-4000:]


def _count_faults() -> tuple[int, int]:
    """How much of all that was accepted is lost, and how much is there more than once."""
    with tempfile.TemporaryDirectory() as place, launch_cluster(Path(place)) as cluster:
        reader = make_replica(Path(place) / "reader", cluster.variables["PENUMBRA_CLUSTER__STATE"])
        names = [ingest_under_faults(cluster), train_under_faults(cluster), score_under_faults(cluster, reader)]
        replicas = [Replica(cluster, Path(place) / image[-1], image) for image in (OLD_IMAGE, IMAGE)]
        names.append(answer_under_faults(*replicas, reader))
        for replica in replicas:
            replica.kill()
            replica.http.close()
    accepted, found = (Counter(name for pair in names for name in pair[side]) for side in (0, 1))
    lost, twice = (accepted - found).total(), (found - accepted).total()
    print(f"faults: of {accepted.total():,} accepted {lost} lost, {twice} done twice")
    return lost, twice
