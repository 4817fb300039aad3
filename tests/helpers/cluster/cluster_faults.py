"""What a cluster is done while it works, and what should be there afterwards beside what is.

Each function returns two lists of names: what was accepted, and what is found. A name that isn't found is lost, and one
that is found more than once was done twice.
"""

import json
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import fsspec
import httpx
import mlflow
import polars as pl
import pytest
from ruamel.yaml import YAML

from penumbra.core.settings import Settings
from tests.helpers.cluster.pods import WorkflowFailed
from tests.helpers.cluster.toy_cluster import BATCHES, EXAMPLE, MAX_START_SECONDS, Replica, ToyCluster
from tests.helpers.logs.replica_logs import read_union
from tests.helpers.servers.local_service import wait_until

NO_DOCTOR = "skipped: a test of pods"
Names = tuple[list[str], list[str]]
Steps = Sequence[str]
# The moment at which a step has done its work and nobody knows yet: all that it made is made once more.
WORK_IS_DONE = r"PUT .*Flow/.*/{step}/.*task_end"
INGEST_STEPS = ("start", "list-new", "check", "admit", "finish")
SCORED_ROWS, BEGUN_AND_DONE = 30, [*["begun.json"] * 3, *["done.json"] * 2]
TWO_TASKS = {"METAFLOW_RUN_MAX_WORKERS": "2", "PENUMBRA_SCORE__PART_ROWS": "20"}
TRAIN_STEPS = ("start", "fit", "select", "finals", "refit", "register")


def ingest_under_faults(cluster: ToyCluster, steps: Steps = INGEST_STEPS) -> Names:
    """Run two ingests at once, of which steps lose a pod.

    Args:
        cluster: The cluster, without data.
        steps: The steps that lose one, as Argo names them.

    Returns:
        The batches that there are, and those of the version that was recorded last; the number of versions with their
        content, too.
    """
    kill_pods(cluster, steps)
    with ThreadPoolExecutor(2) as both:
        list(both.map(lambda _: cluster.argo.run(cluster.manifests / "ingest.yaml"), range(2)))
    files = fsspec.filesystem("s3", skip_instance_cache=True)
    versions = [files.cat(path) for path in sorted(files.ls(f"{cluster.bucket}/state/data-version"))]
    md5 = YAML(typ="safe").load(versions[-1])["outs"][0]["md5"]
    listed = json.loads(files.cat(f"{cluster.bucket}/data/files/md5/{md5[:2]}/{md5[2:]}"))
    batches = [entry["relpath"].split("/")[1] for entry in listed if entry["relpath"].startswith("batches/")]
    return [*BATCHES, *map(str, set(versions))], [*sorted(batches), *map(str, versions)]


def train_under_faults(cluster: ToyCluster, steps: Steps = TRAIN_STEPS) -> Names:
    """Run a training of which steps lose a pod, while the store is away for some seconds.

    Args:
        cluster: The cluster, with data and without a model.
        steps: The steps that lose one, as Argo names them.

    Returns:
        The version that should be there, and those that are; and the status of runs.
    """
    kill_pods(cluster, steps)
    threading.Thread(target=_take_store_away, args=(cluster, "finals")).start()
    cluster.argo.run(cluster.manifests / "train.yaml", doctor=NO_DOCTOR)
    client = mlflow.MlflowClient(cluster.variables["PENUMBRA_REGISTRY__TRACKING"])
    versions = [version.version for version in client.search_model_versions("name='orders'")]
    experiments = [each.experiment_id for each in client.search_experiments()]
    return ["1", "FINISHED"], [*versions, *{run.info.status for run in client.search_runs(experiments)}]


def score_under_faults(cluster: ToyCluster, reader: Settings) -> Names:
    """Score tables by two pods, the first of which is lost once it has done its work; one table lacks a column.

    Args:
        cluster: The cluster, with a live model.
        reader: The settings of a machine that reads the logs of all.

    Returns:
        The rows of the other tables, and those in the outputs, each as often as its entry is logged; and entries
        without a row. The names of files that machines still share of the tables, too.
    """
    files = fsspec.filesystem("s3", skip_instance_cache=True)
    whole = pl.DataFrame([{**EXAMPLE, "order_id": 9000 + row} for row in range(SCORED_ROWS)])
    for name, rows in (("a", whole), ("b", whole), ("c", whole.drop("age"))):
        files.pipe_file(f"{cluster.bucket}/in/{name}.csv", rows.write_csv().encode())
    kill_pods(cluster, ["score"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cluster.argo, "variables", {**cluster.argo.variables, **TWO_TASKS})
        patch.setattr(cluster.argo, "at_once", 1)  # so that the pod that is lost has done its work
        places = {"input": f"{cluster.bucket}/in", "out": f"{cluster.bucket}/out"}
        with pytest.raises(WorkflowFailed, match=r"c\.csv has no column age"):
            cluster.argo.run(cluster.manifests / "score.yaml", **places)
    logged, answered = Counter(read_union(reader)), list[str]()
    for name in "ab":
        scores = pl.read_parquet(files.cat_file(f"{cluster.bucket}/out/{name}.parquet"))
        for row, prediction in scores["penumbra.row", "prediction_id"].rows():
            answered += [f"{name} {row}"] * logged[prediction]
    extra = sum(map(bool, read_union(reader, field="job"))) - len(answered)
    shared = [path.rpartition("/")[2] for path in files.find(f"{cluster.bucket}/state/score")]
    expected = [f"{name} {row}" for name in "ab" for row in range(SCORED_ROWS)]
    return [*expected, *BEGUN_AND_DONE], [*answered, *["no row"] * extra, *shared]


def answer_under_faults(old: Replica, new: Replica, reader: Settings) -> Names:
    """Send records to two replicas, one of which is killed under load and started again, and all labels to the other.

    Args:
        old: The one that stays.
        new: The one that is killed.
        reader: The settings of a machine that reads the logs of all.

    Returns:
        The ids of answers that clients got, and of those that are in the union of the logs; "label of" each of them,
        too. The one whose answer the kill has cut off isn't among them.
    """
    answered = [new.predict(number) for number in range(1, 41)]
    with ThreadPoolExecutor(1) as client:
        under_load = client.submit(_send_until_gone, new)
        time.sleep(0.5)
        new.kill()
        answered += [*under_load.result(), *(old.predict(number) for number in range(1000, 1040))]
    new.start()
    ids = [answer["prediction_id"] for answer in [*answered, *(new.predict(number) for number in range(2000, 2010))]]
    old.http.post("/feedback", json=[{"prediction_id": name, "churned": True} for name in ids]).raise_for_status()
    wait_until(lambda: set(ids) <= set(read_union(reader)), MAX_START_SECONDS)
    wait_until(lambda: set(ids) <= set(read_union(reader, "labels", "prediction")), MAX_START_SECONDS)
    labelled = [f"label of {name}" for name in read_union(reader, "labels", "prediction")]
    accepted = {*ids, *(f"label of {name}" for name in ids)}  # other labels are those of batches
    return sorted(accepted), [name for name in [*read_union(reader), *labelled] if name in accepted]


def kill_pods(cluster: ToyCluster, steps: Steps) -> None:
    """Have each of these steps lose its next pod when that has done its work.

    Args:
        cluster: The cluster.
        steps: The names of steps, as Argo has them.
    """
    cluster.argo.kills |= {step: WORK_IS_DONE.format(step=step.replace("-", "_")) for step in steps}


def _take_store_away(cluster: ToyCluster, step: str, seconds: float = 5.0) -> None:
    """Have the store refuse connections for some time once a step has begun."""
    while not any(pod.step == step for pod in cluster.argo.pods):
        time.sleep(0.1)
    cluster.store.stop()
    time.sleep(seconds)
    cluster.store.start()


def _send_until_gone(replica: Replica) -> list[dict[str, object]]:
    """The answers of a replica until it is gone."""
    answered = []
    for number in range(100, 1_000_000):
        try:
            answered.append(replica.predict(number))
        except httpx.TransportError:
            break
    return answered
