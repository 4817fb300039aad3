"""The load and the counts of `benchmarks/faults/load/sustained_load.py`; the whole runs as `penumbra bench faults`."""

from pathlib import Path

import pytest

from benchmarks.faults.load import sustained_load
from benchmarks.faults.load.labelled_load import LABEL, RECORD, encode_form, make_key
from benchmarks.faults.load.sustained_load import LoadSample
from problem import schema
from service.http.requests.feedback import build_label_reader
from tests.helpers.logs.local_shadow import RECORD_CONTRACT
from tests.helpers.logs.prediction_logs import (
    log_labels,
    log_predictions,
    make_label_by_key,
    make_prediction,
    make_updated_index,
)
from tests.helpers.servers import local_service


@pytest.mark.slow
def test_each_record_has_a_key_of_its_own_and_its_label_the_same() -> None:
    assert len({make_key(number) for number in range(150_000)}) == 150_000
    labels = build_label_reader(schema, max_records=1)
    for number in (0, 1, 143_999, 144_000, 3_600_000):
        sent = [
            encode_form(path, fields) % make_key(number)
            for path, fields in ((RECORD, schema.EXAMPLE), (LABEL, schema.OUTCOME))
        ]
        heads, bodies = zip(*(each.split(b"\r\n\r\n") for each in sent), strict=True)
        assert [b"content-length: %d" % len(body) in head for head, body in zip(heads, bodies, strict=True)] == [
            True
        ] * 2
        record, label = RECORD_CONTRACT.parse_one(bodies[0]), labels.parse_one(bodies[1])
        assert [record[name] for name in schema.Row.primary_key()] == [label[name] for name in schema.Row.primary_key()]


def test_what_is_missing_in_the_log_or_the_index_is_lost(tmp_path: Path) -> None:
    log_predictions(tmp_path, make_prediction(1), make_prediction(2))
    log_labels(tmp_path, make_label_by_key(1, 42))
    make_updated_index(tmp_path)
    log_labels(tmp_path, make_label_by_key(2, 42))
    settings = local_service.make_service_settings(tmp_path)
    assert sustained_load._count_lost(settings, {"predictions": 2, "labels": 1}) == 0
    assert sustained_load._count_lost(settings, {"predictions": 4, "labels": 2}) == 3


def test_memory_grows_from_the_end_of_the_warm_up_on() -> None:
    memory = (100.0, 180.0, 200.0, 230.0)
    samples = [LoadSample(60.0 * n, {}, {"indexer": size, "shadow": 20.0}, {}) for n, size in enumerate(memory)]
    assert sustained_load._measure_growth(samples) == 50.0
