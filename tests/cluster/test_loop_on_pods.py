"""The loop on a cluster, where everything that can be lost is lost once: pods, the store, a replica under load.

The tests follow each other, as the steps of the loop do.
"""

import logging
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from penumbra.core.settings import load_settings
from tests.helpers.cluster.cluster_faults import (
    NO_DOCTOR,
    answer_under_faults,
    ingest_under_faults,
    score_under_faults,
    train_under_faults,
)
from tests.helpers.cluster.pod_forks import fork_pythons
from tests.helpers.cluster.pods import require_pods
from tests.helpers.cluster.toy_cluster import IMAGE, OLD_IMAGE, Replica, ToyCluster, launch_cluster
from tests.helpers.logs.replica_logs import make_replica
from tests.helpers.servers.local_service import wait_until

# Steps that change what others see or begin their work anew: of those that only read, the benchmark kills pods, too.
INGEST_STEPS = ("admit", "finish")
TRAIN_STEPS = ("fit", "refit", "register")
# One of Metaflow's sidecars starts a process each time that a pod has printed something, to store its log at once.
NO_SIDECARS = {"METAFLOW_ENABLED_SIDECAR": ""}
MAX_REACH_SECONDS = 60.0  # 5 on a machine that does nothing else
# As `penumbra rollback` does, which takes a project's folder: a pod's working folder has none.
ROLL_BACK = """
from penumbra.core.settings import load_settings
from penumbra.registry.rollback import roll_back_live, sync_rollback
print(roll_back_live(load_settings(), "a test"), sync_rollback(load_settings()))
"""
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ToyCluster]:
    require_pods()
    logging.getLogger("werkzeug").setLevel("ERROR")
    with launch_cluster(tmp_path_factory.mktemp("cluster")) as running:
        running.argo.variables = {**running.argo.variables, **NO_SIDECARS}
        with fork_pythons(running.argo, IMAGE, running.manifests / "ingest.yaml"):
            yield running


@pytest.fixture(scope="module")
def replicas(cluster: ToyCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Replica]]:
    """One of an old image beside one of the flows' image."""
    folder = tmp_path_factory.mktemp("replicas")
    with ThreadPoolExecutor(2) as both:
        running = list(both.map(lambda image: Replica(cluster, folder / image[-1], image), (OLD_IMAGE, IMAGE)))
    yield running
    for each in running:
        each.kill()
        each.http.close()


def count_killed(cluster: ToyCluster) -> Counter[str]:
    return Counter(pod.step for pod in cluster.argo.pods if pod.code == -9)


def test_two_ingests_at_once_whose_steps_lose_pods_record_each_batch_once(cluster):
    expected, found = ingest_under_faults(cluster, INGEST_STEPS)
    assert Counter(found) == Counter(expected)
    assert count_killed(cluster) == Counter(INGEST_STEPS)


def test_a_training_whose_steps_lose_pods_while_the_store_is_away_registers_one_version(cluster):
    before = count_killed(cluster)
    expected, found = train_under_faults(cluster, TRAIN_STEPS)
    assert found == expected
    assert count_killed(cluster) - before == Counter(TRAIN_STEPS)


def test_a_scoring_that_loses_a_pod_logs_each_row_once_and_one_refused_table_is_said_once(cluster, tmp_path):
    before = count_killed(cluster)
    expected, found = score_under_faults(cluster, make_replica(tmp_path, cluster.variables["PENUMBRA_CLUSTER__STATE"]))
    assert Counter(found) == Counter(expected)
    assert count_killed(cluster) - before == Counter(["score"])
    (report,) = [pod for pod in cluster.argo.pods if pod.step == "report"]
    assert report.log.count(": 30 of 30 rows answered by version 1") == 2


def test_what_replicas_answered_is_there_once_though_one_is_killed_under_load(cluster, replicas, tmp_path):
    expected, found = answer_under_faults(
        *replicas, make_replica(tmp_path, cluster.variables["PENUMBRA_CLUSTER__STATE"])
    )
    assert Counter(found) == Counter(expected)


def test_a_promotion_and_a_rollback_reach_all_replicas_and_the_ledger_has_each_once(cluster, replicas):
    from penumbra.registry.history.shared_ledger import open_ledger

    cluster.argo.variables |= {"PENUMBRA_DATA__TODAY": "2024-05-02"}
    with ThreadPoolExecutor(2) as both:
        list(both.map(lambda flow: cluster.argo.run(cluster.manifests / f"{flow}.yaml"), ("monitor", "ingest")))
    cluster.argo.run(cluster.manifests / "train.yaml", doctor=NO_DOCTOR)
    cluster.argo.run(cluster.manifests / "promote.yaml", force=True, reason="a test")
    wait_until(lambda: read_versions(replicas) == ["2", "2"], MAX_REACH_SECONDS)
    assert replicas[0].run("-c", ROLL_BACK).wait() == 0
    wait_until(lambda: read_versions(replicas) == ["1", "1"], MAX_REACH_SECONDS)
    entries = open_ledger(load_settings(environ=cluster.variables)).entries()
    moves = [(entry.kind, entry.versions.get("live")) for entry in entries if entry.kind in ("promotion", "rollback")]
    assert moves == [("promotion", "1"), ("promotion", "2"), ("rollback", "1")]


def read_versions(replicas: list[Replica]) -> list[str]:
    return [replica.predict(5000)["model_version"] for replica in replicas]
