"""Metrics shown at `/metrics` besides BentoML's own, summed over the workers by prometheus_client's files.

Import it only after PROMETHEUS_MULTIPROC_DIR is set, which BentoML does for its workers. Requests are counted in plain
integers and passed on ten times a second: writing to those files for each request would cost a tenth of the throughput.
"""

from bisect import bisect_left

from prometheus_client import Counter, Gauge, Histogram

LATENCY_BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)

_requests = Counter("penumbra_requests", "Requests to /predict, by class of HTTP status.", ["status"])
_by_status = {status: _requests.labels(f"{status}xx") for status in (2, 4, 5)}
_records = Counter("penumbra_records", "Records answered with a prediction.")
_latency = Histogram("penumbra_request_seconds", "From a request's arrival to its answer.", buckets=LATENCY_BUCKETS)
log_failures = Counter("penumbra_log_failures", "Entries that could not be written to a log, by log.", ["log"])
model_swaps = Counter("penumbra_model_swaps", "Live models taken into service, counted in each worker.")
_feedback = Counter("penumbra_feedback_requests", "Requests to /feedback, by class of HTTP status.", ["status"])
_labels = Counter("penumbra_labels", "Labels accepted: written to the label log.")
refused_bundles = Counter("penumbra_refused_bundles", "Bundles that a worker refused to load.")
rules_fired = Counter("penumbra_rules_fired", "Records for which a business rule held, by rule.", ["rule"])
rule_failures = Counter("penumbra_rule_failures", "Records for which a business rule raised an error.", ["rule"])
fallbacks = Counter("penumbra_fallbacks", "Records that the live model failed on, by what answered.", ["to"])
turned_away_requests = Counter(
    "penumbra_turned_away", "Requests without a right or without room, by HTTP status.", ["status"]
)
crowded_connections = Counter(
    "penumbra_crowded_connections", "Connections closed because a worker had too many, or held too much for them."
)
_blocked = Gauge(
    "penumbra_blocked_records", "Records that are blocked because they ended a worker.", multiprocess_mode="mostrecent"
)
_crashes = Gauge(
    "penumbra_worker_crashes", "Workers that ended while they were scoring.", multiprocess_mode="mostrecent"
)
_live = Gauge("penumbra_live_model", "1 for the version that answers.", ["version"], multiprocess_mode="mostrecent")


def record_live_version(version: str, replaced: str | None) -> None:
    """Record that a version became the live one.

    Args:
        version: The new live version.
        replaced: The version that it replaced, or None.
    """
    model_swaps.inc()
    if replaced is not None:
        _live.labels(replaced).set(0)
    _live.labels(version).set(1)


def record_blocked(n_blocked: int, n_crashes: int) -> None:
    """Record that `n_blocked` records are blocked, after `n_crashes` workers ended while they were scoring."""
    _blocked.set(n_blocked)
    _crashes.set(n_crashes)


def count_feedback_request(status: int, n_labels: int) -> None:
    """Count one finished request to /feedback, by HTTP `status`, with `n_labels` accepted."""
    _feedback.labels(f"{status // 100}xx").inc()
    _labels.inc(n_labels)


class RequestTally:
    """Counts of the requests to /predict since the last `flush`."""

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self.statuses = dict.fromkeys(_by_status, 0)
        self.records = 0
        self.seconds = 0.0
        self.buckets = [0] * (len(LATENCY_BUCKETS) + 1)

    def add(self, status: int, n_records: int, seconds: float) -> None:
        """Count one finished request.

        Args:
            status: The HTTP status of its response.
            n_records: The number of records that were answered.
            seconds: The time from its arrival to its answer.
        """
        self.statuses[status // 100] += 1
        self.records += n_records
        self.seconds += seconds
        self.buckets[bisect_left(LATENCY_BUCKETS, seconds)] += 1

    def flush(self) -> None:
        """Add the counts to prometheus_client's metrics, and set them to zero."""
        for status, count in self.statuses.items():
            _by_status[status].inc(count)
        _records.inc(self.records)
        _latency._sum.inc(self.seconds)  # it has no public way to observe many values at once
        for bucket, count in zip(_latency._buckets, self.buckets, strict=True):
            if count:
                bucket.inc(count)
        self._reset()
