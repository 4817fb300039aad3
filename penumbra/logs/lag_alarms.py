"""Alarms of readers of the logs that are further behind than the settings allow, and of a disk that fills up.

A reader is judged from its first run on, which leaves its metrics: without a service nothing reads the logs, and a flow
that needs the index brings it up to date by itself.
"""

import datetime as dt
import shutil
from collections.abc import Iterator, Mapping

from penumbra.core.settings import Settings
from penumbra.core.text.counts import format_count
from penumbra.logs import append_log
from penumbra.logs.lag import (
    ARCHIVE_METRICS_FILE,
    INDEX_METRICS_FILE,
    METRICS_FILE,
    LogLag,
    measure_archive_lag,
    measure_backlog,
    measure_index_lags,
)
from penumbra.logs.replicas.log_union import read_coverage
from penumbra.logs.segments import parse_start_time
from penumbra.logs.shadow.shadow_log import read_shadow_state

ONE_DAY = dt.timedelta(days=1)
LOGS_TO_INDEX = ("predictions", "labels")  # the shadow's answers may wait


def list_lag_alarms(settings: Settings, shadow: Mapping[str, str], now: dt.datetime) -> list[str]:
    """List who is too far behind, in the order in which they are to be cared for.

    Args:
        settings: The folders of the logs, and `labels.max_lag_seconds`, `shadow.max_lag_seconds` and
            `log.max_lag_hours`.
        shadow: The versions in the shadow by their role.
        now: The time (UTC).

    Returns:
        A sentence for each: how many lines wait, since when, and what to do.
    """
    return [
        *_find_index_alarms(settings, now),
        *_find_archive_alarms(settings, now),
        *_find_shadow_alarms(settings, shadow, now),
        *_find_disk_alarms(settings, now),
        *_find_replica_alarms(settings, now),
    ]


def estimate_disk_hours(settings: Settings, now: dt.datetime) -> float | None:
    """Estimate when the disk of the prediction log is full, at the rate of the last day.

    Args:
        settings: The folders of the logs.
        now: The time (UTC).

    Returns:
        The hours until then; None where nothing was logged.
    """
    folders = settings.service.predictions, settings.service.shadow_log, settings.labels.folder
    sizes = [pair for folder in folders for pair in append_log.read_segment_sizes(folder).items()]
    begun = {path: parse_start_time(path.stem) for path, _ in sizes}
    recent = [(path, size) for path, size in sizes if now - begun[path] < ONE_DAY]
    if not any(size for _, size in recent):
        return None
    hours = max((now - min(begun[path] for path, _ in recent)).total_seconds() / 3600, 1.0)
    return shutil.disk_usage(recent[0][0].parent).free / sum(size for _, size in recent) * hours


def _find_index_alarms(settings: Settings, now: dt.datetime) -> Iterator[str]:
    if not (settings.service.predictions / INDEX_METRICS_FILE).exists():
        return
    lags, limit = measure_index_lags(settings), settings.labels.max_lag_seconds
    for log in LOGS_TO_INDEX:
        if lags[log].count_seconds(now) > limit:
            yield (
                f"{_describe_lag(lags[log], now)} {log} wait for the index, more than {limit:g} s "
                "(labels.max_lag_seconds): see that the indexer runs; it needs more processor time, or a faster disk"
            )


def _find_archive_alarms(settings: Settings, now: dt.datetime) -> Iterator[str]:
    if not (settings.service.predictions / ARCHIVE_METRICS_FILE).exists():
        return
    lag = measure_archive_lag(settings, now)
    if lag.count_seconds(now) > settings.log.max_lag_hours * 3600:
        yield (
            f"{format_count(lag.rows, 'line of days that ended', 'lines of days that ended')} more than "
            f"{settings.log.max_lag_hours:g} h ago (log.max_lag_hours) "
            "are not yet in Parquet or not shipped: see the archiver's log"
        )


def _find_shadow_alarms(settings: Settings, shadow: Mapping[str, str], now: dt.datetime) -> Iterator[str]:
    if not (settings.shadow.enabled and (settings.service.shadow_log / METRICS_FILE).exists()):
        return
    models = read_shadow_state(settings.service.shadow_log).models
    for role, version in shadow.items():
        if version in models:
            lag, _ = measure_backlog(settings.service.predictions, models[version])
            if lag.count_seconds(now) > settings.shadow.max_lag_seconds:
                yield (
                    f"{_describe_lag(lag, now)} predictions wait for version {version} in the shadow ({role}), more "
                    f"than {settings.shadow.max_lag_seconds:g} s (shadow.max_lag_seconds): what it can't do is left out"
                )


def _find_disk_alarms(settings: Settings, now: dt.datetime) -> Iterator[str]:
    hours = estimate_disk_hours(settings, now)
    if hours is not None and hours < 24:
        yield (
            f"the disk of {settings.service.predictions} is full in {hours:.1f} h at the rate of the last day: "
            "log.keep_days decides when archived days are deleted here"
        )


def _find_replica_alarms(settings: Settings, now: dt.datetime) -> list[str]:
    try:
        coverage = read_coverage(settings, now)
    except OSError as error:
        return [f"the replicas can't be looked up: {error}"]
    return coverage.list_alarms() if coverage else []


def _describe_lag(lag: LogLag, now: dt.datetime) -> str:
    return f"{lag.rows:,} (the oldest for {_format_seconds(lag.count_seconds(now))})"


def _format_seconds(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
