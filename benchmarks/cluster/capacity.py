"""`python -m benchmarks.cluster.capacity`: how far the manifests go, computed from what was measured of one pod.

Nothing here was run at that size. Each part of the service is given its measured cost for one row, and the size of the
manifests; the smallest of the rates at which a part is at its end is the one that breaks first.
"""

from collections.abc import Mapping
from dataclasses import dataclass

BILLION, MODELS = 1_000_000_000, 10_000
DAY_SECONDS = 86_400
GIB, GB = 1 << 30, 10**9


@dataclass(frozen=True)
class MeasuredFigures:
    """What one pod, or one row, was measured to cost: seconds of processor time, bytes, requests a second.

    Attributes:
        answers_per_core: Single records that a worker answers a second, at 8 connections (`bench serve`).
        index_seconds: To index an entry, a row or a label (`pod_figures`).
        shadow_seconds: To score a row with one candidate (`bench faults sustained_load`).
        archive_seconds: To make Parquet of a row (`bench monitor`).
        count_seconds: To count an archived row for the monitor (`bench monitor`).
        line_bytes: Of a row in the log (`pod_figures`).
        index_bytes: Of a row, a third of them with a label, in the index (`pod_figures`).
        parquet_bytes: Of a row in the archive (`pod_figures`).
        alias_reads_per_core: That MLflow's server answers in a second of its processor time (`pod_figures`).
    """

    answers_per_core: float = 17_109
    index_seconds: float = 19.9e-6
    shadow_seconds: float = 45e-6
    archive_seconds: float = 12.5e-6
    count_seconds: float = 0.58e-6
    line_bytes: float = 565
    index_bytes: float = 611
    parquet_bytes: float = 76
    alias_reads_per_core: float = 191


@dataclass(frozen=True)
class ClusterSize:
    """The size of a cluster, by default that of the manifests with three replicas.

    Attributes:
        pods: Replicas of the service.
        workers: Of each replica, a core each.
        busy_share: The share of their processor time at which the autoscaler adds replicas.
        volume_bytes: Of each replica's volume.
        keep_days: For which days are kept as Parquet on it.
        shadow_cores: Of each replica's shadow, whose two models share them.
        mlflow_cores: Of MLflow's server, which has a process for each.
        poll_seconds: How often each replica asks for each of four aliases.
        pod_bytes: Memory that a replica asks for.
    """

    pods: int = 3
    workers: int = 2
    busy_share: float = 0.6
    volume_bytes: float = 100 * GIB
    keep_days: float = 3
    shadow_cores: float = 1.0
    mlflow_cores: float = 2.0
    poll_seconds: float = 1.0
    pod_bytes: float = 1.5 * GIB


def compute_rate_limits(size: ClusterSize, measured: MeasuredFigures, labelled_share: float = 1.0) -> dict[str, float]:
    """Compute the rate of records at which each part of the service is at its end.

    Args:
        size: The cluster.
        measured: What was measured.
        labelled_share: The share of records that get a label.

    Returns:
        Records a second of the whole cluster, by part. Every replica indexes its own rows and the labels of all.
    """
    entries_per_record = (1 / size.pods) + labelled_share
    return {
        "workers": size.pods * size.workers * size.busy_share * measured.answers_per_core,
        "index of a replica (one core)": 1 / (entries_per_record * measured.index_seconds),
        "shadow": size.pods * size.shadow_cores / measured.shadow_seconds,
        "archiver (one core)": size.pods / measured.archive_seconds,
    }


def compute_volume_days(size: ClusterSize, measured: MeasuredFigures, per_second: float) -> float:
    """Compute after how many days a replica's volume is full: its index has every row that it ever answered.

    Args:
        size: The cluster.
        measured: What was measured.
        per_second: Records a second that the replica answers.

    Returns:
        Days; 0 where the lines of a day and the Parquet of `keep_days` don't fit.
    """
    rows = per_second * DAY_SECONDS
    steady = rows * (measured.line_bytes + size.keep_days * measured.parquet_bytes)
    return max(0.0, size.volume_bytes - steady) / (rows * measured.index_bytes)


def compute_registry_limit(size: ClusterSize, measured: MeasuredFigures) -> float:
    """Compute how many replicas, of all models that share an MLflow server, can ask it for their aliases."""
    return size.mlflow_cores * measured.alias_reads_per_core * size.poll_seconds / 4


def compute_row_costs(measured: MeasuredFigures, rows: float = BILLION) -> dict[str, float]:
    """Compute what a number of logged rows takes.

    Args:
        measured: What was measured.
        rows: The rows.

    Returns:
        Gigabytes and hours of one core, by what takes them.
    """
    return {
        "lines, GB": rows * measured.line_bytes / GB,
        "Parquet, GB": rows * measured.parquet_bytes / GB,
        "index of all replicas, GB": rows * measured.index_bytes / GB,
        "to index, hours": rows * measured.index_seconds / 3600,
        "to archive, hours": rows * measured.archive_seconds / 3600,
        "to count for the monitor, hours": rows * measured.count_seconds / 3600,
    }


def compute_model_costs(size: ClusterSize, measured: MeasuredFigures, models: int = MODELS) -> dict[str, float]:
    """Compute what a number of models takes, each with a service of its own and one MLflow server for all.

    Args:
        size: The cluster that each has.
        measured: What was measured.
        models: The models.

    Returns:
        Numbers, by what is counted.
    """
    pods = models * size.pods
    return {
        "replicas": pods,
        "memory that they ask for, TB": pods * size.pod_bytes / 10**12,
        "cores of MLflow that answer polls": pods * 4 / size.poll_seconds / measured.alias_reads_per_core,
        "workflows a day": models * 3,
    }


def main() -> None:
    """Print the tables."""
    measured = MeasuredFigures()
    sizes = [ClusterSize(pods) for pods in (1, 3, 10, 30)]
    limits = [compute_rate_limits(size, measured) for size in sizes]
    print("records a second, all with labels, at which a part is at its end (computed)")
    print(f"{'replicas':<34}" + "".join(f"{size.pods:>12}" for size in sizes))
    for part in limits[0]:
        print(f"{part:<34}" + "".join(f"{limit[part]:>12,.0f}" for limit in limits))
    print("\ndays until a replica's volume of 100 GiB is full, by records a second of that replica")
    for rate in (10, 100, 1000):
        print(f"{rate:<34,}{compute_volume_days(ClusterSize(), measured, rate):>12,.1f}")
    print(f"\nreplicas that one MLflow server answers: {compute_registry_limit(ClusterSize(), measured):,.0f}")
    _print_costs("a billion rows", compute_row_costs(measured))
    _print_costs("10,000 models of three replicas", compute_model_costs(ClusterSize(), measured))


def _print_costs(title: str, costs: Mapping[str, float]) -> None:
    print(f"\n{title}")
    for name, value in costs.items():
        print(f"{name:<46}{value:>12,.1f}")


if __name__ == "__main__":
    main()
