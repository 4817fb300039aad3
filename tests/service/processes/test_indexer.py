import logging
from pathlib import Path

import polars as pl
import pytest

from penumbra.cli.reports.serving.label_report import collect_label_counts, format_label_counts
from penumbra.core.text.tables import format_table
from penumbra.logs.lag import INDEX_METRICS_FILE
from penumbra.logs.queries import labels
from penumbra.logs.queries.lookup import INDEX_FILE
from service.processes import indexer
from tests.helpers.logs import prediction_logs
from tests.helpers.logs.prediction_logs import NOON, log_predictions, make_hours, make_label_by_key, make_prediction
from tests.helpers.servers import local_service


def format_report(folder: Path) -> str:
    """What `penumbra labels` prints."""
    return "\n\n".join(
        format_label_counts(collect_label_counts(local_service.make_service_settings(folder), local_service.PROBLEM))
    )


def test_the_indexer_takes_in_what_is_there_even_when_it_is_stopped_at_once(tmp_path: Path) -> None:
    log_predictions(tmp_path, make_prediction(1))
    indexer.run_indexer(prediction_logs.make_index(tmp_path), lambda: False)
    assert labels.join_labels(prediction_logs.make_index(tmp_path)).height == 1


def test_the_indexer_goes_on_after_a_failure_and_complains_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    made, passes = prediction_logs.make_index(tmp_path), iter([OSError("disk full"), OSError("disk full"), None])

    def catch_up(after_piece: object) -> int:
        if error := next(passes):
            raise error
        return 0

    monkeypatch.setattr(made, "catch_up", catch_up)
    monkeypatch.setattr(indexer, "sleep_while_running", lambda *_: None)
    running = iter([True, True, False])
    with caplog.at_level(logging.ERROR):
        indexer.run_indexer(made, lambda: next(running))
    assert [record.message for record in caplog.records] == [
        "labels can't be joined to predictions, trying again: OSError: disk full"
    ]


def test_make_labels_says_what_to_do_where_nothing_is_logged(tmp_path: Path) -> None:
    assert format_report(tmp_path) == "No prediction is logged yet: `make serve`, then POST /predict."


def test_make_labels_tells_coverage_outcomes_and_delays(tmp_path: Path) -> None:
    log_predictions(tmp_path, make_prediction(1), make_prediction(2), make_prediction(3), make_prediction(4))
    prediction_logs.log_labels(
        tmp_path,
        make_label_by_key(1, 42),
        make_label_by_key(1, 42),
        make_label_by_key(2, 7, NOON + make_hours(30)),
        make_label_by_key(9, 1),
    )
    lines = [line.split() for line in format_report(tmp_path).splitlines()]
    assert ["7", "4", "2", "0", "0", "0", "2", "1", "50.0", "%"] in lines
    assert ["2013-04-01", "4", "2", "0", "0", "0", "2", "1", "50.0", "%"] in lines
    assert lines[-5:-2] == [["feedback", "attached", "2"], ["feedback", "duplicate", "1"], ["feedback", "orphan", "1"]]
    assert "50% within 6 h, 90% within 31 h, 99% within 31 h (due after 24 h)" in format_report(tmp_path)


def test_make_labels_counts_lines_that_cannot_be_read(tmp_path: Path) -> None:
    log_predictions(tmp_path, make_prediction(1))
    prediction_logs.log_labels(tmp_path, make_label_by_key(1, 42))
    (tmp_path / "labels" / ("f" * 17 + ".jsonl")).write_text("damaged\n")
    assert "can't be read: 1 " in format_report(tmp_path)


def test_a_table_aligns_text_left_and_numbers_right() -> None:
    shown = pl.DataFrame({"day": ["a", "bcd"], "predictions": [1, 23456], "share": [0.5, 1.0]})
    assert format_table(shown) == "day  predictions    share\na              1   50.0 %\nbcd       23,456  100.0 %"


@pytest.mark.parametrize(("pass_seconds", "wait"), [(0.01, 1.0), (0.5, 4.5), (60.0, 10.0)])
def test_passes_take_a_tenth_of_a_processor_and_are_ten_seconds_apart_at_most(pass_seconds: float, wait: float) -> None:
    assert indexer.compute_index_wait(pass_seconds) == pytest.approx(wait)


def test_the_lag_is_told_while_the_indexer_waits_and_a_failure_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexer, "INDEX_POLL_SECONDS", 0.0)
    settings = local_service.make_service_settings(tmp_path)
    log_predictions(tmp_path, make_prediction(1))
    report = indexer.make_index_reporter(settings)
    told = lambda: (tmp_path / "predictions" / INDEX_METRICS_FILE).read_text().splitlines()  # noqa: E731
    report(True)
    assert 'penumbra_index_lag_rows{log="predictions"} 1' in told()
    assert "penumbra_index_failing 1" in told()
    running = iter([True, True, False])
    indexer.run_indexer(prediction_logs.make_index(tmp_path), lambda: next(running, False), report)
    assert 'penumbra_index_lag_rows{log="predictions"} 0' in told()
    assert "penumbra_index_failing 0" in told()


def test_an_indexer_goes_on_with_an_index_that_another_process_made_anew(tmp_path: Path) -> None:
    with prediction_logs.make_index(tmp_path).keep_open() as index:
        log_predictions(tmp_path, make_prediction(1))
        index.catch_up()
        for path in (tmp_path / "labels").glob(f"{INDEX_FILE}*"):
            path.unlink()
        log_predictions(tmp_path, make_prediction(2))
        index.catch_up()
    assert labels.join_labels(prediction_logs.make_index(tmp_path)).height == 2
