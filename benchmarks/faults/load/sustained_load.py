"""`penumbra bench faults sustained_load`: single records with a label each, at a steady rate for a long time.

A service with a candidate in the shadow answers. Every so often it is written down how far index, shadow and archive
are behind, and what processor and memory each process takes; at the end, what was lost, and how soon all caught up.
`python -m benchmarks.faults.load.sustained_load --minutes 1 --per-second 500` is a short run.
"""

import argparse
import contextlib
import itertools
import json
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import psutil
from sklearn.ensemble import HistGradientBoostingClassifier

from benchmarks.faults.report import FaultReport
from benchmarks.serving.serve import servers
from benchmarks.serving.serve.served_model import make_service_state
from benchmarks.serving.serve.servers import BenchmarkServer
from penumbra.core.settings import PROJECT_ROOT, Settings
from penumbra.core.system.http_client import OPEN_WITHOUT_PROXY
from penumbra.core.text.tables import format_table
from penumbra.logs import append_log
from penumbra.logs.queries.lookup import INDEX_FILE
from tests.helpers.servers.local_service import make_bundle, make_service_settings

MINUTES, PER_SECOND = 30.0, 2000.0
SAMPLES = 30  # of a run
WARM_UP_SHARE = 0.2  # of a run, after which memory is to stay as it is
CATCH_UP_SECONDS = 600.0
MAX_LATE_SECONDS = 5.0
MEGABYTE = 1 << 20
LAG_METRICS = {
    "index": "penumbra_index_lag_seconds",
    "shadow": "penumbra_shadow_lag_seconds",
    "archive": "penumbra_archive_lag_seconds",
}
PROCESS_WORDS = {
    "workers": "processes.workers.worker_host",
    "indexer": "processes.indexer",
    "archiver": "processes.archiver",
    "scorers": "shadow.scorer",
    "shadow": "shadow.process",
    "deployer": "processes.deployment.deployer",
}


@dataclass
class LoadSample:
    """Seconds since the start; of each reader its lag in seconds; of each process PSS in MB and processor seconds."""

    elapsed: float
    lags: dict[str, float]
    memory: dict[str, float]
    processor: dict[str, float]


def inject_faults(minutes: float = MINUTES, per_second: float = PER_SECOND) -> FaultReport:
    """Run the load against a service with a candidate in the shadow.

    Args:
        minutes: How long the load lasts.
        per_second: How many records arrive in a second, each with a label.

    Returns:
        Counts: `index_lag_s` at the end of the load, `requests`, `lost` (acknowledged answers and labels that aren't in
        the log, or not in the index once that has caught up), `memory_growth_mb` (after the first fifth of the run);
        a row for each sample.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        bundle = make_bundle(root / "bundle", estimator=HistGradientBoostingClassifier(max_iter=100, random_state=1))
        place = make_service_state(bundle, root / "service", candidate=make_bundle(root / "candidate", seed=2))
        settings = make_service_settings(place)
        with servers.start_penumbra(place, shadow=True) as server:
            samples, counts = _run_load(server, minutes * 60, per_second)
            caught_up = _wait_until_caught_up(server)
        lost = _count_lost(settings, counts)
    return FaultReport(
        {
            "index_lag_s": round(samples[-1].lags["index"], 1),
            "requests": counts["predictions"] + counts["labels"],
            "lost": lost,
            "memory_growth_mb": round(_measure_growth(samples)),
        },
        pl.DataFrame([_format_sample(*pair) for pair in itertools.pairwise(samples)]),
        tuple(_list_findings(counts, lost, caught_up)),
    )


def _run_load(server: BenchmarkServer, seconds: float, per_second: float) -> tuple[list[LoadSample], dict[str, Any]]:
    command = [sys.executable, "-m", "benchmarks.faults.load.labelled_load", server.port, per_second, seconds]
    began, samples = time.monotonic(), [_take_sample(server, 0.0)]
    with subprocess.Popen(list(map(str, command)), cwd=PROJECT_ROOT, stdout=subprocess.PIPE) as load:
        while load.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                load.wait(max(1.0, seconds / SAMPLES))
            samples.append(_take_sample(server, time.monotonic() - began))
            print(*_format_sample(*samples[-2:]).items(), file=sys.stderr, flush=True)
        assert load.stdout
        printed = load.stdout.read()
    if load.returncode:
        raise RuntimeError("the load ended with an error, see above")
    return samples, json.loads(printed)


def _take_sample(server: BenchmarkServer, elapsed: float) -> LoadSample:
    memory, processor = dict.fromkeys(PROCESS_WORDS, 0.0), dict.fromkeys(PROCESS_WORDS, 0.0)
    for process in server.tree():
        with contextlib.suppress(psutil.Error):
            words = " ".join(process.cmdline())
            if name := next((name for name, word in PROCESS_WORDS.items() if word in words), None):
                memory[name] += process.memory_full_info().pss / MEGABYTE
                processor[name] += sum(process.cpu_times()[:2])
    return LoadSample(elapsed, _read_lags(server), memory, processor)


def _read_lags(server: BenchmarkServer) -> dict[str, float]:
    with OPEN_WITHOUT_PROXY(f"http://127.0.0.1:{server.port}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    return {
        name: max((float(line.rpartition(" ")[2]) for line in lines if line.startswith(metric)), default=0.0)
        for name, metric in LAG_METRICS.items()
    }


def _wait_until_caught_up(server: BenchmarkServer) -> float | None:
    """Return the seconds until nothing waits any more; None where that takes too long."""
    began = time.monotonic()
    while (taken := time.monotonic() - began) < CATCH_UP_SECONDS:
        if not any(_read_lags(server).values()):
            return taken
        time.sleep(1)
    return None


def _count_lost(settings: Settings, counts: dict[str, Any]) -> int:
    """Count acknowledged answers and labels that aren't in their log, or not in the index."""
    folders = {"predictions": settings.service.predictions, "labels": settings.labels.folder}
    logged = {
        name: sum(path.read_bytes().count(b"\n") for path in append_log.list_segments(folder))
        for name, folder in folders.items()
    }
    with contextlib.closing(sqlite3.connect(settings.labels.folder / INDEX_FILE)) as db:
        indexed = {name: db.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in folders}
    return sum(max(0, counts[name] - min(logged[name], indexed[name])) for name in folders)


def _measure_growth(samples: list[LoadSample]) -> float:
    """In MB, of all processes together, from the end of the warm-up to the end."""
    warm = next(sample for sample in samples if sample.elapsed >= WARM_UP_SHARE * samples[-1].elapsed)
    return sum(samples[-1].memory.values()) - sum(warm.memory.values())


def _format_sample(before: LoadSample, now: LoadSample) -> dict[str, str]:
    span = now.elapsed - before.elapsed
    shares = {name: (now.processor[name] - before.processor[name]) / span for name in PROCESS_WORDS}
    return {
        "minute": f"{now.elapsed / 60:.1f}",
        **{f"{name} lag s": f"{lag:.1f}" for name, lag in now.lags.items()},
        **{f"{name} cpu": f"{share:.0%}" for name, share in shares.items()},
        **{f"{name} MB": f"{size:.0f}" for name, size in now.memory.items()},
    }


def _list_findings(counts: dict[str, Any], lost: int, caught_up: float | None) -> Iterator[str]:
    if lost:
        yield f"{lost:,} acknowledged answers or labels are lost"
    if caught_up is None:
        yield f"not all had caught up {CATCH_UP_SECONDS:g} s after the load"
    if counts["late"] > MAX_LATE_SECONDS:
        yield f"requests were sent up to {counts['late']:.1f} s late: the load was more than could be answered"
    for status, number in counts["refused"].items():
        yield f"{number:,} requests got a {status}"


def main() -> None:
    """Run with the arguments of the command line, and print table, findings and counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=MINUTES)
    parser.add_argument("--per-second", type=float, default=PER_SECOND)
    given = parser.parse_args()
    report = inject_faults(given.minutes, given.per_second)
    print(format_table(report.table), *report.findings, json.dumps(dict(report.counts)), sep="\n")


if __name__ == "__main__":
    main()
