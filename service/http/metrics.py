"""What `/metrics` shows besides BentoML's own. Summed over the workers, whose values prometheus_client keeps in files.

To be imported only after PROMETHEUS_MULTIPROC_DIR is set, which BentoML does for its workers. Requests are counted in
plain integers and handed on ten times a second: a write to those files for each would cost a tenth of the throughput.
"""

from bisect import bisect_left

from prometheus_client import Counter, Gauge, Histogram

LATENCY_BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)

_requests = Counter("penumbra_requests", "Requests to /predict, by class of HTTP status.", ["status"])
_by_status = {status: _requests.labels(f"{status}xx") for status in (2, 4, 5)}
_records = Counter("penumbra_records", "Records answered with a prediction.")
_latency = Histogram("penumbra_request_seconds", "From a request's arrival to its answer.", buckets=LATENCY_BUCKETS)
log_failures = Counter("penumbra_log_failures", "Answers that could not be written to the prediction log.")
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
_live = Gauge("penumbra_live_model", "1 for the version that answers.", ["version"], multiprocess_mode="mostrecent")


def record_live_version(version: str, old: str | None) -> None:
    """Record that a version took the place of another."""
    model_swaps.inc()
    if old is not None:
        _live.labels(old).set(0)
    _live.labels(version).set(1)


def count_feedback_request(status: int, n_labels: int) -> None:
    """Record one finished request to /feedback."""
    _feedback.labels(f"{status // 100}xx").inc()
    _labels.inc(n_labels)


class RequestTally:
    """Requests since the last `flush`."""

    def __init__(self) -> None:
        self.statuses = dict.fromkeys(_by_status, 0)
        self.records = 0
        self.seconds = 0.0
        self.buckets = [0] * (len(LATENCY_BUCKETS) + 1)

    def add(self, status: int, n_records: int, seconds: float) -> None:
        """Count one finished request."""
        self.statuses[status // 100] += 1
        self.records += n_records
        self.seconds += seconds
        self.buckets[bisect_left(LATENCY_BUCKETS, seconds)] += 1

    def flush(self) -> None:
        """Hand the counts on to prometheus_client and begin at nought again."""
        for status, count in self.statuses.items():
            _by_status[status].inc(count)
        _records.inc(self.records)
        _latency._sum.inc(self.seconds)  # it has no public way to observe many values at once
        for bucket, count in zip(_latency._buckets, self.buckets, strict=True):
            if count:
                bucket.inc(count)
        self.__init__()  # type: ignore[misc]
