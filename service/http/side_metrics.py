"""Metrics of the processes beside the workers, from the files that these leave."""

from penumbra.core.settings import ServiceSettings
from penumbra.logs.archiving.archive_health import ArchiveHealth, read_archive_health
from penumbra.logs.lag import ARCHIVE_METRICS_FILE, INDEX_METRICS_FILE, METRICS_FILE, SHIP_METRICS_FILE

ARCHIVE_METRICS = """\
# HELP penumbra_archive_failures Segments, parts and logs that failed in the archiver's last pass.
# TYPE penumbra_archive_failures gauge
penumbra_archive_failures {failures}
# HELP penumbra_archive_pass_seconds When the archiver's last pass ended, in seconds since 1970.
# TYPE penumbra_archive_pass_seconds gauge
penumbra_archive_pass_seconds {checked:.17g}
"""


def read_side_metrics(service: ServiceSettings) -> bytes:
    """Read the metrics of shadow, indexer, archiver and shipper.

    Args:
        service: `shadow_log` and `predictions` are read.

    Returns:
        Prometheus' text format; empty where none has run yet.
    """
    beside = [service.predictions / name for name in (INDEX_METRICS_FILE, ARCHIVE_METRICS_FILE, SHIP_METRICS_FILE)]
    left = [path.read_bytes() for path in (service.shadow_log / METRICS_FILE, *beside) if path.exists()]
    health = read_archive_health(service.predictions)
    return b"".join([*left, _format_archive_metrics(health) if health else b""])


def _format_archive_metrics(health: ArchiveHealth) -> bytes:
    return ARCHIVE_METRICS.format(failures=len(health.failures), checked=health.checked.timestamp()).encode()
