"""Counted once, whatever becomes of the log."""

import datetime as dt
import sqlite3
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dataframely as dy
import msgspec
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penumbra.core.histograms import compute_daily_profiles
from penumbra.logs import append_log, log_pieces
from penumbra.logs.append_log import LogWriter, encode_json
from penumbra.logs.archiving import archive, archive_parts
from penumbra.logs.daily.frames import LogFrameReader
from penumbra.logs.daily.profiles import ProfileStore
from penumbra.logs.schema import PredictionEntry
from penumbra.storage.sqlite import ReplacedTables
from problem import schema
from tests.helpers.logs.prediction_logs import NOON, append_to_new_segment

TOMORROW = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=1)
LATER = dt.datetime.now(dt.UTC) + dt.timedelta(days=40)
FIRST, END = dt.date(2013, 4, 1), dt.date(2013, 4, 8)


def answer(day: int, temp: float | None = 50.0, model: str = "7", **more: Any) -> PredictionEntry:
    record = {**schema.EXAMPLE, "time_hour": NOON + dt.timedelta(days=day), "temp": temp}
    return PredictionEntry(NOON, "contract", record, [], 0.25, False, model, 80, **more)


def reference(model: str) -> pl.DataFrame | None:
    if model == "unknown":
        return None
    days = [{**schema.EXAMPLE, "time_hour": NOON - dt.timedelta(days=day), "temp": 40.0 + day} for day in range(3)]
    typed = schema.Row.create_empty().schema
    return pl.DataFrame(days, schema=typed, strict=False).with_columns(pl.lit(0.25).alias("penumbra.prediction"))


def make_schema(*names: str) -> Any:
    """Flights with these columns only, and the time."""
    columns = {name: schema.Row.columns()[name] for name in (*names, schema.TIME)}
    fewer = type("Fewer", (dy.Schema,), {"__module__": __name__, **columns})
    return SimpleNamespace(Row=fewer, Labelled=schema.Labelled, TIME=schema.TIME, target=schema.target)


def profiles(folder: Path) -> ProfileStore:
    return ProfileStore(folder / "monitor", folder / "predictions", schema)


def counted(folder: Path, model: str = "7") -> dict[int, int]:
    """Rows by day, once the profiles are up to date."""
    made = profiles(folder)
    made.update(reference)
    return {(day - FIRST).days: rows for day, rows in made.days(model).items()}


def answered(folder: Path, *entries: PredictionEntry) -> list[str]:
    return append_to_new_segment(folder / "predictions", entries)


def test_answers_are_counted_by_day_of_the_event_and_model(tmp_path: Path) -> None:
    answered(tmp_path, answer(0), answer(0), answer(2), answer(2, model="8"))
    assert counted(tmp_path) == {0: 2, 2: 1}
    assert counted(tmp_path, "8") == {2: 1}
    assert profiles(tmp_path).models() == ["7", "8"]


@pytest.mark.parametrize("time", [dt.datetime.min, dt.datetime.max])
def test_the_first_and_the_last_day_there_are_count_like_any(tmp_path: Path, time: dt.datetime) -> None:
    far = msgspec.structs.replace(answer(0), record={**answer(0).record, "time_hour": time.replace(tzinfo=dt.UTC)})
    made = profiles(tmp_path)
    for _ in range(2):
        answered(tmp_path, far, answer(0))
        made.update(reference)
    assert made.days("7") == {NOON.date(): 2, time.date(): 2}


def test_what_is_counted_is_what_the_rows_themselves_would_give(tmp_path: Path) -> None:
    answered(tmp_path, answer(0, 41.0), answer(0, None), answer(0, 90.0))
    assert counted(tmp_path) == {0: 3}
    made = profiles(tmp_path)
    binning = made.binning("7")
    (profile,) = made.window(FIRST, END, "7").values()
    assert profile.counts[binning.columns["temp"]].tolist() == [0, 1, 0, 1, 1]
    assert profile.counts[binning.columns["carrier"]].tolist() == [3, 0, 0]
    days = compute_daily_profiles(reference("7"), binning, schema.TIME)  # type: ignore[arg-type]
    kept = made.reference("7")
    assert list(kept) == list(days)
    assert all((kept[day].counts == days[day].counts).all() for day in days)


def test_a_further_run_counts_the_new_lines_only(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path / "predictions")
    made = profiles(tmp_path)
    for _ in range(3):
        writer.append([encode_json(answer(0))])
        assert made.update(reference) == 1
    writer.close()
    assert made.update(reference) == 0
    assert counted(tmp_path) == {0: 3}


@pytest.mark.slow
@given(st.lists(st.sampled_from(["append", "close", "compact", "compact typed", "delete", "count"]), max_size=12))
def test_nothing_is_counted_twice_or_lost_whatever_the_archiver_does(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("log")
    predictions, made, entries = folder / "predictions", profiles(folder), 0
    writer = LogWriter(predictions)
    for step in steps:
        if step == "append":
            writer.append([encode_json(answer(entries % 3))])
            entries += 1
        elif step == "close":
            writer.close()
        elif step.startswith("compact") and predictions.exists():
            rows = LogFrameReader(schema).read_archived if step == "compact typed" else None
            archive.compact_segments(predictions, archive.seal_closed_segments(predictions), TOMORROW, rows)
        elif step == "delete":
            archive.delete_archived_files(predictions, "", LATER)
        elif step == "count":
            made.update(reference)
    writer.close()
    assert sum(counted(folder).values()) == entries


def test_a_failure_in_between_leaves_nothing_half_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answered(tmp_path, answer(0))
    answered(tmp_path, answer(1, model="lost"))

    def gone(model: str) -> pl.DataFrame | None:
        if model == "lost":
            raise OSError("the registry is away")
        return reference(model)

    with pytest.raises(OSError, match="away"):
        profiles(tmp_path).update(gone)
    assert profiles(tmp_path).days("lost") == {}
    assert counted(tmp_path) == {0: 1}
    assert counted(tmp_path, "lost") == {1: 1}


def test_two_that_count_at_the_same_time_count_each_line_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answered(tmp_path, answer(0))
    other, tail = profiles(tmp_path), append_log.read_tail

    def tail_while_another_counts(path: Path, position: int) -> bytes:
        monkeypatch.setattr(append_log, "read_tail", tail)
        other.update(reference)
        return tail(path, position)

    monkeypatch.setattr(append_log, "read_tail", tail_while_another_counts)
    assert counted(tmp_path) == {0: 1}


def test_of_a_model_without_a_reference_the_rows_are_counted(tmp_path: Path) -> None:
    answered(tmp_path, answer(0, model="unknown"))
    assert counted(tmp_path, "unknown") == {0: 1}
    assert profiles(tmp_path).binning("unknown").columns == {}
    assert profiles(tmp_path).reference("unknown") == {}


def test_a_row_without_a_time_is_of_the_day_of_its_answer(tmp_path: Path) -> None:
    timeless = answer(3)
    answered(tmp_path, answer(1), msgspec.structs.replace(timeless, record={**timeless.record, "time_hour": None}))
    assert counted(tmp_path) == {0: 1, 1: 1}


def test_answers_in_place_of_the_model_are_left_out(tmp_path: Path) -> None:
    answered(tmp_path, answer(0), answer(0, fallback="baseline"))
    assert counted(tmp_path) == {0: 1}


@pytest.mark.parametrize("damage", [b"{", b"null", b"\xff\xfe", b'{"id":"x","time":"2013-04-01T12:00:00Z"}'])
def test_a_line_that_cannot_be_read_is_passed_over(tmp_path: Path, damage: bytes) -> None:
    answered(tmp_path, answer(0))
    (path,) = append_log.list_segments(tmp_path / "predictions")
    path.write_bytes(damage + b"\n" + path.read_bytes())
    assert counted(tmp_path) == {0: 1}


def test_what_was_archived_as_columns_counts_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answered(tmp_path, answer(0, 41.0), answer(0, None), answer(1, fallback="baseline"), answer(2, model="8"))
    (path,) = append_log.list_segments(tmp_path / "predictions")
    path.write_bytes(path.read_bytes() + b"damaged\n")
    expected = {model: counted(tmp_path, model) for model in ("7", "8")}
    bins = [day.counts.tolist() for day in profiles(tmp_path).window(FIRST, END, "7").values()]
    archive.compact_segments(
        tmp_path / "predictions",
        archive.seal_closed_segments(path.parent),
        TOMORROW,
        LogFrameReader(schema).read_archived,
    )
    profiles(tmp_path).path.unlink()
    monkeypatch.setattr(append_log, "read_tail", None)  # no line is read
    assert {model: counted(tmp_path, model) for model in ("7", "8")} == expected
    assert [day.counts.tolist() for day in profiles(tmp_path).window(FIRST, END, "7").values()] == bins


def test_columns_are_the_same_however_many_pieces_a_segment_is_read_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of several classes, though in some pieces the model has answered nothing itself."""
    target = pl.when(pl.col("arr_delay") > 15).then(pl.lit("late")).otherwise(pl.lit("early"))
    classes = SimpleNamespace(**vars(schema) | {"target": lambda: target.cast(pl.Enum(["early", "late"]))})
    reader = LogFrameReader(classes)
    entries = [answer(0, fallback="baseline"), answer(0), answer(1), answer(1, fallback="baseline")]
    frames = []
    for number, size in enumerate((append_log.CHUNK_BYTES, 1)):
        monkeypatch.setattr(log_pieces, "CHUNK_BYTES", size)
        folder = tmp_path / str(number) / "predictions"
        append_to_new_segment(folder, [msgspec.structs.replace(each, output=[0.25, 0.75]) for each in entries])
        archive.compact_segments(folder, archive.seal_closed_segments(folder), TOMORROW, reader.read_archived)
        frames += [rows for _, rows in archive_parts.read_part_frames(folder, lambda name: False)]
    assert frames[0].equals(frames[1])
    assert frames[0]["penumbra.prediction"].to_list() == [None, [0.25, 0.75], [0.25, 0.75], None]


def test_columns_of_another_contract_are_not_counted_but_their_lines(tmp_path: Path) -> None:
    answered(tmp_path, answer(0))
    predictions = tmp_path / "predictions"
    other = LogFrameReader(make_schema("carrier"))
    archive.compact_segments(predictions, archive.seal_closed_segments(predictions), TOMORROW, other.read_archived)
    assert counted(tmp_path) == {0: 1}


def test_profiles_of_another_contract_are_made_anew(tmp_path: Path) -> None:
    answered(tmp_path, answer(0))
    assert counted(tmp_path) == {0: 1}
    fewer = ProfileStore(tmp_path / "monitor", tmp_path / "predictions", make_schema("carrier", "origin", "dest"))
    assert fewer.days("7") == {}
    fewer.update(reference)
    assert list(fewer.binning("7").columns) == ["penumbra.prediction", "carrier", "origin", "dest"]


def test_a_pass_counts_nothing_into_the_profiles_of_another_contract(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered(tmp_path, answer(0))
    fewer = ProfileStore(tmp_path / "monitor", tmp_path / "predictions", make_schema("carrier", "origin", "dest"))
    tail = append_log.read_tail

    def tail_while_another_contract_comes(path: Path, position: int) -> bytes:
        monkeypatch.setattr(append_log, "read_tail", tail)
        fewer.update(reference)
        return tail(path, position)

    monkeypatch.setattr(append_log, "read_tail", tail_while_another_contract_comes)
    with pytest.raises(ReplacedTables, match="another process, of another version or contract, has made"):
        counted(tmp_path)
    assert list(fewer.binning("7").columns) == ["penumbra.prediction", "carrier", "origin", "dest"]
    assert counted(tmp_path) == {0: 1}


def test_profiles_outlive_the_log(tmp_path: Path) -> None:
    answered(tmp_path, answer(0))
    assert counted(tmp_path) == {0: 1}
    for path in append_log.list_segments(tmp_path / "predictions"):
        path.unlink()
    assert counted(tmp_path) == {0: 1}


def test_a_profile_takes_little_room(tmp_path: Path) -> None:
    answered(tmp_path, answer(0, None))
    assert counted(tmp_path) == {0: 1}
    with sqlite3.connect(profiles(tmp_path).path) as db:
        assert db.execute("SELECT max(length(counts)) FROM profiles").fetchone()[0] < 400
