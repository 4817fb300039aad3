"""How far the readers of the logs are behind, and what is said of it."""

import datetime as dt
from pathlib import Path

import pytest

from penumbra.logs import lag_alarms
from penumbra.logs.lag import (
    ARCHIVE_METRICS_FILE,
    INDEX_METRICS_FILE,
    METRICS_FILE,
    LogLag,
    measure_archive_lag,
    measure_backlog,
    measure_index_lags,
)
from penumbra.logs.lag_alarms import estimate_disk_hours, list_lag_alarms
from penumbra.logs.schema import ShadowStart
from penumbra.logs.shadow.shadow_log import ShadowLog
from tests.helpers.logs.prediction_logs import (
    EVENING,
    MORNING,
    log_labels,
    log_predictions,
    make_label_by_key,
    make_prediction,
    make_updated_index,
)
from tests.helpers.servers import local_service

LATER = EVENING + dt.timedelta(minutes=5)


def make_known_readers(folder: Path) -> None:
    """As if indexer, archiver and shadow had run."""
    for path in ("predictions", "shadow"):
        (folder / path).mkdir(exist_ok=True)
    for name in (INDEX_METRICS_FILE, ARCHIVE_METRICS_FILE):
        (folder / "predictions" / name).touch()
    (folder / "shadow" / METRICS_FILE).touch()


def test_without_an_index_all_lines_wait_for_it_since_the_first(tmp_path: Path) -> None:
    log_predictions(tmp_path, make_prediction(1), make_prediction(2, EVENING))
    log_labels(tmp_path, make_label_by_key(1, 42))
    lags = measure_index_lags(local_service.make_service_settings(tmp_path))
    assert lags == {"predictions": LogLag(2, MORNING), "labels": LogLag(1, EVENING), "shadow": LogLag()}
    assert lags["labels"].count_seconds(LATER) == 300


def test_only_what_the_index_has_not_taken_in_waits(tmp_path: Path) -> None:
    log_predictions(tmp_path, make_prediction(1))
    make_updated_index(tmp_path)
    log_predictions(tmp_path, make_prediction(2, EVENING))
    assert measure_index_lags(local_service.make_service_settings(tmp_path))["predictions"] == LogLag(1, EVENING)


def test_a_damaged_first_line_or_a_torn_last_one_hides_no_lag(tmp_path: Path) -> None:
    log_predictions(tmp_path, make_prediction(1))
    (path,) = (tmp_path / "predictions").glob("*.jsonl")
    path.write_bytes(b"damaged\n" + path.read_bytes() + b'{"id": "torn')
    assert measure_index_lags(local_service.make_service_settings(tmp_path))["predictions"].since == MORNING


def test_the_archive_is_behind_since_the_end_of_the_oldest_day_that_isnt_in_parquet(tmp_path: Path) -> None:
    settings, today = local_service.make_service_settings(tmp_path), dt.datetime.now(dt.UTC)
    log_predictions(tmp_path, make_prediction(1), make_prediction(2))
    assert measure_archive_lag(settings, today) == LogLag()
    tomorrow = dt.datetime.combine(today.date(), dt.time(tzinfo=dt.UTC)) + dt.timedelta(days=1)
    assert measure_archive_lag(settings, tomorrow) == LogLag(2, tomorrow)


def test_the_shadow_is_behind_with_what_came_since_its_start_and_before(tmp_path: Path) -> None:
    log_predictions(tmp_path, make_prediction(1))
    sizes = {path.stem: path.stat().st_size for path in (tmp_path / "predictions").glob("*.jsonl")}
    log_predictions(tmp_path, make_prediction(2, EVENING))
    log = ShadowLog(tmp_path / "shadow", tmp_path / "predictions")
    log.append(ShadowStart("8", EVENING, sizes, []))
    log.close()
    assert measure_backlog(tmp_path / "predictions", log.state.models["8"]) == (LogLag(1, EVENING), LogLag(1, MORNING))


def test_each_that_is_further_behind_than_its_setting_is_an_alarm(tmp_path: Path) -> None:
    log_predictions(tmp_path, *(make_prediction(flight, EVENING) for flight in (1, 2)))
    log_labels(tmp_path, make_label_by_key(1, 42))
    log = ShadowLog(tmp_path / "shadow", tmp_path / "predictions")
    log.append(ShadowStart("8", EVENING, {}, []))
    log.close()
    settings = local_service.make_service_settings(tmp_path)
    assert list_lag_alarms(settings, {"candidate": "8"}, LATER) == []  # nobody has begun to read
    make_known_readers(tmp_path)
    assert list_lag_alarms(settings, {"candidate": "8"}, EVENING + dt.timedelta(seconds=60)) == []
    assert list_lag_alarms(settings, {"candidate": "8"}, LATER + dt.timedelta(seconds=1)) == [
        "2 (the oldest for 5 min) predictions wait for the index, more than 60 s (labels.max_lag_seconds): "
        "see that the indexer runs; it needs more processor time, or a faster disk",
        "1 (the oldest for 5 min) labels wait for the index, more than 60 s (labels.max_lag_seconds): "
        "see that the indexer runs; it needs more processor time, or a faster disk",
        "2 (the oldest for 5 min) predictions wait for version 8 in the shadow (candidate), more than 300 s "
        "(shadow.max_lag_seconds): what it can't do is left out",
    ]
    assert "lines of days that ended more than 6 h ago (log.max_lag_hours) are not yet in Parquet" in " ".join(
        list_lag_alarms(settings, {}, dt.datetime.now(dt.UTC) + dt.timedelta(hours=31))
    )


def test_a_disk_that_is_full_in_less_than_a_day_at_the_present_rate_is_an_alarm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, now = local_service.make_service_settings(tmp_path), dt.datetime.now(dt.UTC)
    assert estimate_disk_hours(settings, now) is None
    log_predictions(tmp_path, make_prediction(1))
    size = sum(path.stat().st_size for path in (tmp_path / "predictions").glob("*.jsonl"))
    monkeypatch.setattr(lag_alarms.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 5 * size}))
    assert estimate_disk_hours(settings, now) == pytest.approx(5, abs=0.01)
    assert f"the disk of {settings.service.predictions} is full in 5.0 h" in list_lag_alarms(settings, {}, now)[0]
