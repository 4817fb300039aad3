import datetime as dt
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penumbra.cli.reports.serving.lineage_report import format_lineage
from penumbra.logs import append_log
from penumbra.logs.archiving import archive
from penumbra.logs.queries import labels
from penumbra.logs.queries.shadow import find_first_day_beside, read_shadow_outputs
from penumbra.logs.schema import ShadowBatch, ShadowRow, ShadowStart
from penumbra.logs.segments import parse_start_time
from penumbra.logs.shadow import shadow_log
from penumbra.logs.shadow.shadow_log import (
    ShadowLog,
    ShadowLogLocked,
    ShadowStateReader,
    load_shadow_state,
    read_shadow_state,
)
from penumbra.logs.shadow.shadow_state import ShadowState
from penumbra.registry.lineage import explain_prediction
from tests.helpers.logs import prediction_logs
from tests.helpers.logs.local_shadow import read_shadow_rows
from tests.helpers.servers import local_service

MIDNIGHT, NOON = (dt.datetime(2013, 4, 1, hour, tzinfo=dt.UTC) for hour in (0, 12))
SEGMENT = "f" * 17  # not forgotten for centuries
BEGAN = ShadowStart("7", NOON, {}, [])


def rows(start: int, end: int) -> list[ShadowRow]:
    return [ShadowRow(f"{SEGMENT}-{n:x}", "7", NOON, n / 10, True) for n in range(start, end)]


def batch(start: int, end: int, **more: float) -> ShadowBatch:
    return ShadowBatch("7", SEGMENT, start, end, {"ok": end - start}, **more)  # type: ignore[arg-type]


def opened(folder: Path, megabytes: float = 64) -> ShadowLog:
    return ShadowLog(folder, folder / "predictions", megabytes)


def go_on(folder: Path, until: int, step: int = 2, megabytes: float = 64) -> None:
    """What the shadow does: answer for the positions that nobody has answered for."""
    made = opened(folder, megabytes)
    if "7" not in made.state.models:
        made.append(BEGAN)
    past, new = made.state.models["7"].split_unscored(SEGMENT, until)
    for start, end in past + new:
        for first in range(start, end, step):
            made.append(batch(first, min(first + step, end)), rows(first, min(first + step, end)))
    made.close()


def answered(folder: Path) -> list[str]:
    return sorted(int(row["prediction"].split("-")[1], 16) for row in read_shadow_rows(folder))  # type: ignore[arg-type]


@given(st.lists(st.tuples(st.integers(1, 8), st.floats(0, 1)), max_size=6), st.sampled_from([64, 0.0005]))
def test_whenever_the_writer_is_killed_each_prediction_is_answered_once(
    lives: list[tuple[int, float]], megabytes: float
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder, until = Path(name), 0
        for more, kept in lives:
            until += more
            go_on(folder, until, megabytes=megabytes)
            last = max(append_log.list_segments(folder), key=shadow_log._read_serial)
            os.truncate(last, round(kept * last.stat().st_size))
        go_on(folder, until + 1, megabytes=megabytes)
        assert answered(folder) == list(range(until + 1))
        assert load_shadow_state(folder, repair=False).models["7"].spans == {SEGMENT: [(0, until + 1)]}


def test_rows_without_a_line_that_makes_them_count_are_not_read(tmp_path: Path) -> None:
    go_on(tmp_path, 2)
    (path,) = append_log.list_segments(tmp_path)
    path.write_bytes(path.read_bytes() + append_log.encode_json(rows(2, 3)[0]).replace(b"{", b'{"id":"x",', 1) + b"\n")
    assert answered(tmp_path) == [0, 1]


@pytest.mark.parametrize("megabytes", [64, 0.0005])
def test_who_reads_the_state_on_finds_what_who_reads_it_whole_finds(tmp_path: Path, megabytes: float) -> None:
    reader = ShadowStateReader(tmp_path)
    assert reader.read() == ShadowState({})
    for until in (2, 6, 12):
        go_on(tmp_path, until, megabytes=megabytes)
        assert reader.read() == load_shadow_state(tmp_path, repair=False)


def test_a_process_that_asks_again_is_told_of_what_is_new_and_of_a_damaged_line_what_is_whole(tmp_path: Path) -> None:
    for until in (2, 6):
        go_on(tmp_path, until)
        assert read_shadow_state(tmp_path).models["7"].spans == {SEGMENT: [(0, until)]}
    path = max(append_log.list_segments(tmp_path), key=shadow_log._read_serial)
    content = path.read_bytes()
    path.write_bytes(content + content.splitlines(keepends=True)[-1].replace(b'"end"', b'"enD"'))
    assert read_shadow_state(tmp_path) == load_shadow_state(tmp_path, repair=False)


def test_of_a_segment_that_is_gone_as_it_is_read_on_what_is_there_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on(tmp_path, 2)
    monkeypatch.setattr(shadow_log, "find_newest_segment", lambda folder: folder / "gone.jsonl")
    assert read_shadow_state(tmp_path) == load_shadow_state(tmp_path, repair=False)


def test_rows_that_are_cut_off_later_were_read_for_nothing(tmp_path: Path) -> None:
    go_on(tmp_path, 2)
    reader, (path,) = ShadowStateReader(tmp_path), append_log.list_segments(tmp_path)
    left = append_log.encode_json(rows(2, 3)[0]).replace(b"{", b'{"id":"x",', 1) + b"\n"
    path.write_bytes(path.read_bytes() + 4 * left)
    assert reader.read() == load_shadow_state(tmp_path, repair=False)
    path.write_bytes(path.read_bytes().removesuffix(4 * left))
    with path.open("ab") as log:
        log.write(append_log.encode_json(batch(2, 3)).replace(b"{", b'{"id":"y",', 1) + b"\n")
    assert reader.read().models["7"].spans == {SEGMENT: [(0, 3)]}


def test_only_the_last_segment_is_read_at_a_start(tmp_path: Path) -> None:
    go_on(tmp_path, 8, megabytes=0.0005)
    *earlier, _ = sorted(append_log.list_segments(tmp_path), key=shadow_log._read_serial)
    before = load_shadow_state(tmp_path, repair=False)
    for path in earlier:
        path.write_text("damaged\n")
    assert len(earlier) > 1
    assert load_shadow_state(tmp_path, repair=False) == before


def test_sums_over_batches_survive_restarts(tmp_path: Path) -> None:
    for start in (0, 2):
        made = opened(tmp_path)
        if not start:
            made.append(BEGAN)
        made.append(batch(start, start + 2, compared=2, difference=0.5, decided=2, differing=1), rows(start, start + 2))
        made.close()
    progress = load_shadow_state(tmp_path).models["7"]
    assert (progress.statuses, progress.compared, progress.difference) == ({"ok": 4}, 4, 1.0)
    assert (progress.decided, progress.differing, progress.bytes) == (4, 2, 4)


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    first = opened(tmp_path)
    with pytest.raises(ShadowLogLocked, match="another process writes"):
        opened(tmp_path)
    first.close()
    opened(tmp_path).close()


def test_what_cannot_be_written_does_not_count(tmp_path: Path) -> None:
    from tests.logs.test_append_log import largest_file

    made = opened(tmp_path)
    made.append(BEGAN)
    (path,) = append_log.list_segments(tmp_path)
    with largest_file(path.stat().st_size + 300), pytest.raises(OSError, match="only 300 of"):
        made.append(batch(0, 4), rows(0, 4))
    made.append(batch(0, 4), rows(0, 4))
    made.close()
    assert answered(tmp_path) == [0, 1, 2, 3]


@pytest.mark.parametrize("way", ["recover", "close"])
def test_what_was_deleted_while_it_was_written_is_there_again(tmp_path: Path, way: str) -> None:
    made = opened(tmp_path / "shadow")
    made.append(BEGAN)
    made.append(batch(0, 4), rows(0, 4))
    shutil.rmtree(tmp_path / "shadow")
    getattr(made, way)()
    assert answered(tmp_path / "shadow") == [0, 1, 2, 3]
    assert load_shadow_state(tmp_path / "shadow", repair=False) == made.state


def test_what_was_there_before_the_model_is_past_and_the_rest_is_new(tmp_path: Path) -> None:
    made = opened(tmp_path)
    made.append(ShadowStart("7", NOON, {SEGMENT: 10}, []))
    made.append(batch(2, 4), rows(2, 4))
    made.append(batch(12, 14), rows(12, 14))
    assert made.state.models["7"].split_unscored(SEGMENT, 20) == ([(0, 2), (4, 10)], [(10, 12), (14, 20)])
    made.close()


def test_segments_outside_the_time_to_catch_up_are_left_out(tmp_path: Path) -> None:
    made = opened(tmp_path)
    made.append(ShadowStart("7", NOON, {SEGMENT: 10}, [SEGMENT]))
    assert made.state.models["7"].split_unscored(SEGMENT, 20) == ([], [(10, 20)])
    made.close()


def test_deleted_segments_are_forgotten_after_a_day(tmp_path: Path) -> None:
    made = opened(tmp_path)
    made.append(ShadowStart("7", NOON, {}, []))
    old = "019fa1c2d3e4b5a69"
    made.append(ShadowBatch("7", old, 0, 4, {"ok": 4}))
    began = parse_start_time(old)
    made.state.forget_deleted(set(), began + dt.timedelta(hours=23))
    assert made.state.models["7"].spans
    made.state.forget_deleted(set(), began + dt.timedelta(hours=25))
    assert not made.state.models["7"].spans
    made.close()


def said(folder: Path, *said_rows: ShadowRow) -> None:
    """A shadow log with these rows."""
    made = ShadowLog(folder / "shadow", folder / "predictions")
    for row in said_rows:
        if row.model not in made.state.models:
            made.append(ShadowStart(row.model, NOON, {}, []))
    for number, row in enumerate(said_rows):
        made.append(ShadowBatch(row.model, SEGMENT, number, number + 1, {row.status: 1}), [row])
    made.close()


def test_the_index_joins_what_the_shadow_said_to_predictions(tmp_path: Path) -> None:
    one, other = prediction_logs.log_predictions(
        tmp_path, prediction_logs.make_prediction(1), prediction_logs.make_prediction(2)
    )
    timeout = {"status": "timeout", "reason": "it took 60 s"}
    said(
        tmp_path,
        ShadowRow(one, "8", NOON, 0.25, False),
        ShadowRow(other, "8", NOON, **timeout),
        ShadowRow(one, "6", NOON, 0.75, True),
    )
    frame = labels.read_answers_beside(prediction_logs.make_updated_index(tmp_path), "8", "7", MIDNIGHT)
    assert frame.select("id", "shadow", "differs", "status", "reason").rows() == [
        (one, 0.25, False, "ok", ""),
        (other, None, None, "timeout", "it took 60 s"),
    ]
    assert labels.count_unreadable_lines(prediction_logs.make_index(tmp_path)) == 0


def test_beside_a_models_answers_are_those_to_its_own_predictions(tmp_path: Path) -> None:
    own, other = prediction_logs.log_predictions(
        tmp_path, prediction_logs.make_prediction(1), prediction_logs.make_prediction(2, model="6")
    )
    said(tmp_path, ShadowRow(own, "8", NOON, 0.25, False), ShadowRow(other, "8", NOON, 0.5, True))
    index = prediction_logs.make_updated_index(tmp_path)
    assert labels.read_answers_beside(index, "8", "7", MIDNIGHT).select("id", "shadow").rows() == [(own, 0.25)]
    assert read_shadow_outputs(index, "8", [own, other])["id"].to_list() == [own, other]
    assert labels.read_answers_beside(index, "8", "6", MIDNIGHT)["id"].to_list() == [other]


def test_the_days_before_the_first_that_the_shadow_has_seen_are_not_read(tmp_path: Path) -> None:
    entries = [prediction_logs.make_prediction(1, model=model) for model in ("6", "7", "7", "7")]
    for day, entry in enumerate(entries, 29):
        entry.record["time_hour"] = f"2013-03-{day}T12:00:00Z" if day < 32 else "2013-04-01T12:00:00Z"
    other, early, skipped, own = prediction_logs.log_predictions(tmp_path, *entries)
    late = {"status": "skipped", "reason": "it was older than catch_up_hours"}
    answers = [ShadowRow(each, "8", NOON, 0.25, False) for each in (own, other)]
    said(tmp_path, *answers, ShadowRow(skipped, "8", NOON, **late))
    index = prediction_logs.make_updated_index(tmp_path)
    assert find_first_day_beside(index, "8", "7") == MIDNIGHT
    assert labels.read_answers_beside(index, "8", "7", MIDNIGHT)["id"].to_list() == [own]
    earlier = labels.read_answers_beside(index, "8", "7", MIDNIGHT - dt.timedelta(days=2))
    assert set(earlier["id"]) == {early, skipped, own}
    assert find_first_day_beside(index, "9", "7") is None


def test_explain_tells_what_the_shadow_said(tmp_path: Path) -> None:
    (name,) = prediction_logs.log_predictions(tmp_path, prediction_logs.make_prediction(1))
    said(
        tmp_path, ShadowRow(name, "8", NOON, 0.25, False), ShadowRow(name, "6", NOON, status="nan", reason="not finite")
    )
    prediction_logs.make_updated_index(tmp_path)
    found = explain_prediction(local_service.make_service_settings(tmp_path), name)
    assert found["shadow"] == [
        {"model": "6", "status": "nan", "reason": "not finite"},
        {"model": "8", "status": "ok", "output": 0.25},
    ]
    assert "version 8 said 0.2500" in format_lineage(found)


def test_an_index_made_anew_knows_what_is_in_parquet_only(tmp_path: Path) -> None:
    (name,) = prediction_logs.log_predictions(tmp_path, prediction_logs.make_prediction(1))
    said(tmp_path, ShadowRow(name, "8", NOON, 0.25, False))
    for folder in (tmp_path / "predictions", tmp_path / "shadow"):
        archive.compact_segments(folder, archive.seal_closed_segments(folder), dt.date.max)
        for path in append_log.list_segments(folder):
            path.unlink()
    answers = read_shadow_outputs(prediction_logs.make_updated_index(tmp_path), "8", [name])
    assert answers.select("id", "output").rows() == [(name, 0.25)]
