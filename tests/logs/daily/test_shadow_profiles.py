"""What a version said in the shadow, counted by day: whole days of the model alone, once, and from the logs alone."""

import datetime as dt
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import msgspec
import pytest

from penumbra.core.columns import PREDICTION_COLUMN
from penumbra.core.histograms import Binning, Profile
from penumbra.logs.daily.shadow_profiles import ShadowProfileStore
from penumbra.logs.schema import PredictionEntry
from problem import schema
from tests.helpers.logs import prediction_logs
from tests.helpers.logs.prediction_logs import NOON
from tests.helpers.models import registered_versions

BINNING = Binning({"temp": [0.0], PREDICTION_COLUMN: [0.25, 0.75]}, {})
FIRST, END = dt.date(2013, 4, 1), dt.date(2013, 4, 8)
NAN = float("nan")


def answer(day: int, number: int = 0, model: str = "7", **more: Any) -> PredictionEntry:
    record = {**schema.EXAMPLE, "flight": number, "time_hour": NOON + dt.timedelta(days=day)}
    return PredictionEntry(NOON, "contract", record, [], 0.5, False, model, 80, **more)


def log_day(folder: Path, day: int, outputs: list[float], own: int = 0, **more: Any) -> None:
    """A row of a day for each output of version 8 in the shadow, and some that it answered itself."""
    entries = [answer(day, number, **more) for number in range(len(outputs))]
    ids = prediction_logs.log_predictions(folder, *entries, *(answer(day, 100 + n, "8") for n in range(own)))
    registered_versions.log_shadow_answers(folder, "8", ids[: len(outputs)], [NOON] * len(outputs), outputs)


def read(folder: Path, model: str = "8", begin: dt.date = FIRST, end: dt.date = END) -> dict[int, list[int]]:
    """Counts by number of the day, once the index is up to date."""
    index = prediction_logs.make_index(folder)
    index.catch_up()
    found: dict[dt.date, Profile] = ShadowProfileStore(folder / "monitor", index).read(model, BINNING, begin, end)
    assert all(each.rows == each.counts.sum() for each in found.values())
    return {(day - FIRST).days: each.counts.tolist() for day, each in found.items()}


def test_scores_are_counted_by_day_of_the_event_in_the_bins_of_the_predictions(tmp_path: Path) -> None:
    log_day(tmp_path, 0, [0.1, 0.5, 0.9, 0.95])
    log_day(tmp_path, 2, [0.1])
    assert read(tmp_path) == {0: [1, 1, 2, 0], 2: [1, 0, 0, 0]}


def test_only_the_days_that_were_asked_for_are_counted(tmp_path: Path) -> None:
    log_day(tmp_path, 0, [0.1])
    log_day(tmp_path, 2, [0.5])
    log_day(tmp_path, 4, [0.9])
    assert list(read(tmp_path, begin=dt.date(2013, 4, 2), end=dt.date(2013, 4, 5))) == [2]


def test_a_model_that_was_never_in_the_shadow_has_none(tmp_path: Path) -> None:
    log_day(tmp_path, 0, [0.1])
    assert read(tmp_path, "7") == {}
    assert not (tmp_path / "monitor").exists()


def test_a_day_of_which_the_shadow_has_seen_a_part_does_not_count(tmp_path: Path) -> None:
    log_day(tmp_path, 0, [0.1, 0.2, NAN])
    log_day(tmp_path, 1, [0.1, 0.2, float("inf")])
    assert read(tmp_path) == {}


def test_rows_that_the_model_answered_itself_make_a_day_whole_but_are_counted_elsewhere(tmp_path: Path) -> None:
    log_day(tmp_path, 0, [0.1, 0.5], own=3)
    assert read(tmp_path) == {0: [1, 1, 0, 0]}


@pytest.mark.parametrize("marks", [{"rules": ["closed"]}, {"failed_rules": ["closed"]}, {"fallback": "baseline"}])
def test_a_day_on_which_rules_or_a_fallback_had_a_say_does_not_count(tmp_path: Path, marks: dict[str, Any]) -> None:
    log_day(tmp_path, 0, [0.1, 0.5])
    log_day(tmp_path, 1, [0.1, 0.5], **marks)
    assert list(read(tmp_path)) == [0]


def test_of_several_classes_the_likeliest_is_counted(tmp_path: Path) -> None:
    entry = msgspec.structs.replace(answer(0), output=[0.25, 0.75], decision="rain")
    (name,) = prediction_logs.log_predictions(tmp_path, entry)
    index = prediction_logs.make_index(tmp_path)
    index.catch_up()
    with index.open() as db:
        db.execute("INSERT INTO shadow VALUES (?, '8', 0, '[0.6, 0.4]', 'sun', 'ok', '')", (name,))
        db.execute("INSERT INTO shadow_counts VALUES ('8', 1)")
    binning = Binning({}, {PREDICTION_COLUMN: ["0", "1"]})
    found = ShadowProfileStore(tmp_path / "monitor", index).read("8", binning, FIRST, END)
    assert found[FIRST].counts.tolist() == [1, 0, 0, 0]


def test_what_was_counted_is_kept_until_the_shadow_has_said_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_day(tmp_path, 0, [0.1])
    before = read(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("penumbra.logs.daily.shadow_profiles._count_days", lambda *_: pytest.fail("counted again"))
        assert read(tmp_path) == before
    log_day(tmp_path, 1, [0.5])
    assert list(read(tmp_path)) == [0, 1]


@pytest.mark.parametrize("damage", [b"", b"\xff" * 40])
def test_a_damaged_file_is_counted_again(tmp_path: Path, damage: bytes) -> None:
    log_day(tmp_path, 0, [0.1])
    before = read(tmp_path)
    (path,) = (tmp_path / "monitor/scored").glob("*.msgpack")
    path.write_bytes(damage)
    assert read(tmp_path) == before


def test_without_index_and_profiles_the_logs_say_the_same(tmp_path: Path) -> None:
    log_day(tmp_path, 0, [0.1, 0.9])
    before = read(tmp_path)
    shutil.rmtree(tmp_path / "monitor")
    prediction_logs.make_index(tmp_path).path.unlink()
    assert read(tmp_path) == before


def test_the_index_counts_the_shadow_s_rows_by_model(tmp_path: Path) -> None:
    log_day(tmp_path, 0, [0.1, NAN])
    index = prediction_logs.make_index(tmp_path)
    index.catch_up()
    with sqlite3.connect(index.path) as db:
        assert db.execute("SELECT * FROM shadow_counts").fetchall() == [("8", 2)]
