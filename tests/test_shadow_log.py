import datetime as dt
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.explain import draw
from stores import archive, joined, log, shadow
from stores.lineage import explain
from stores.shadow import Batch, Began, Busy, Row, ShadowLog, last_state
from stores.shadowed import shadowed
from tests import labelling, serving

NOON = dt.datetime(2013, 4, 1, 12, tzinfo=dt.UTC)
SEGMENT = "f" * 17  # not forgotten for centuries
BEGAN = Began("7", NOON, {}, [])


def rows(start: int, end: int) -> list[Row]:
    return [Row(f"{SEGMENT}-{n:x}", "7", NOON, n / 10, True) for n in range(start, end)]


def batch(start: int, end: int, **more: float) -> Batch:
    return Batch("7", SEGMENT, start, end, {"ok": end - start}, **more)  # type: ignore[arg-type]


def opened(folder: Path, megabytes: float = 64) -> ShadowLog:
    return ShadowLog(folder, folder / "predictions", megabytes)


def go_on(folder: Path, until: int, step: int = 2, megabytes: float = 64) -> None:
    """What the shadow does: answer for the positions that nobody has answered for."""
    made = opened(folder, megabytes)
    if "7" not in made.state.models:
        made.append(BEGAN)
    past, new = made.state.models["7"].todo(SEGMENT, until)
    for start, end in past + new:
        for first in range(start, end, step):
            made.append(batch(first, min(first + step, end)), rows(first, min(first + step, end)))
    made.close()


def answered(folder: Path) -> list[str]:
    return sorted(int(row["prediction"].split("-")[1], 16) for row in shadow.read(folder))  # type: ignore[arg-type]


@given(st.lists(st.tuples(st.integers(1, 8), st.floats(0, 1)), max_size=6), st.sampled_from([64, 0.0005]))
def test_whenever_the_writer_is_killed_each_prediction_is_answered_once(
    lives: list[tuple[int, float]], megabytes: float
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder, until = Path(name), 0
        for more, kept in lives:
            until += more
            go_on(folder, until, megabytes=megabytes)
            last = max(log.segments(folder), key=shadow._serial)
            os.truncate(last, round(kept * last.stat().st_size))
        go_on(folder, until + 1, megabytes=megabytes)
        assert answered(folder) == list(range(until + 1))
        assert last_state(folder, repair=False).models["7"].spans == {SEGMENT: [(0, until + 1)]}


def test_rows_without_a_line_that_makes_them_count_are_not_read(tmp_path: Path) -> None:
    go_on(tmp_path, 2)
    (path,) = log.segments(tmp_path)
    path.write_bytes(path.read_bytes() + log.encode(rows(2, 3)[0]).replace(b"{", b'{"id":"x",', 1) + b"\n")
    assert answered(tmp_path) == [0, 1]


def test_only_the_last_segment_is_read_at_a_start(tmp_path: Path) -> None:
    go_on(tmp_path, 8, megabytes=0.0005)
    *earlier, _ = sorted(log.segments(tmp_path), key=shadow._serial)
    before = last_state(tmp_path, repair=False)
    for path in earlier:
        path.write_text("damaged\n")
    assert len(earlier) > 1
    assert last_state(tmp_path, repair=False) == before


def test_sums_over_batches_survive_restarts(tmp_path: Path) -> None:
    for start in (0, 2):
        made = opened(tmp_path)
        if not start:
            made.append(BEGAN)
        made.append(batch(start, start + 2, compared=2, difference=0.5, decided=2, differing=1), rows(start, start + 2))
        made.close()
    progress = last_state(tmp_path).models["7"]
    assert (progress.statuses, progress.compared, progress.difference) == ({"ok": 4}, 4, 1.0)
    assert (progress.decided, progress.differing, progress.bytes) == (4, 2, 4)


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    first = opened(tmp_path)
    with pytest.raises(Busy, match="another process writes"):
        opened(tmp_path)
    first.close()
    opened(tmp_path).close()


def test_what_cannot_be_written_does_not_count(tmp_path: Path) -> None:
    from tests.test_log import largest_file

    made = opened(tmp_path)
    made.append(BEGAN)
    (path,) = log.segments(tmp_path)
    with largest_file(path.stat().st_size + 300), pytest.raises(OSError, match="only 300 of"):
        made.append(batch(0, 4), rows(0, 4))
    made.append(batch(0, 4), rows(0, 4))
    made.close()
    assert answered(tmp_path) == [0, 1, 2, 3]


def test_what_was_there_before_the_model_is_past_and_the_rest_is_new(tmp_path: Path) -> None:
    made = opened(tmp_path)
    made.append(Began("7", NOON, {SEGMENT: 10}, []))
    made.append(batch(2, 4), rows(2, 4))
    made.append(batch(12, 14), rows(12, 14))
    assert made.state.models["7"].todo(SEGMENT, 20) == ([(0, 2), (4, 10)], [(10, 12), (14, 20)])
    made.close()


def test_segments_outside_the_time_to_catch_up_are_left_out(tmp_path: Path) -> None:
    made = opened(tmp_path)
    made.append(Began("7", NOON, {SEGMENT: 10}, [SEGMENT]))
    assert made.state.models["7"].todo(SEGMENT, 20) == ([], [(10, 20)])
    made.close()


def test_deleted_segments_are_forgotten_after_a_day(tmp_path: Path) -> None:
    made = opened(tmp_path)
    made.append(Began("7", NOON, {}, []))
    old = "019fa1c2d3e4b5a69"
    made.append(Batch("7", old, 0, 4, {"ok": 4}))
    began = shadow.segments.began(old)
    made.state.forget(set(), began + dt.timedelta(hours=23))
    assert made.state.models["7"].spans
    made.state.forget(set(), began + dt.timedelta(hours=25))
    assert not made.state.models["7"].spans
    made.close()


def said(folder: Path, *said_rows: Row) -> None:
    """A shadow log with these rows."""
    made = ShadowLog(folder / "shadow", folder / "predictions")
    for row in said_rows:
        if row.model not in made.state.models:
            made.append(Began(row.model, NOON, {}, []))
    for number, row in enumerate(said_rows):
        made.append(Batch(row.model, SEGMENT, number, number + 1, {row.status: 1}), [row])
    made.close()


def test_the_index_joins_what_the_shadow_said_to_predictions(tmp_path: Path) -> None:
    one, other = labelling.predict(tmp_path, labelling.prediction(1), labelling.prediction(2))
    timeout = {"status": "timeout", "reason": "it took 60 s"}
    said(tmp_path, Row(one, "8", NOON, 0.25, False), Row(other, "8", NOON, **timeout), Row(one, "6", NOON, 0.75, True))
    frame = shadowed(labelling.up_to_date(tmp_path), "8")
    assert frame.select("id", "output", "status").rows() == [(one, 0.25, "ok"), (other, None, "timeout")]
    assert joined.unreadable(labelling.index(tmp_path)) == 0


def test_explain_tells_what_the_shadow_said(tmp_path: Path) -> None:
    (name,) = labelling.predict(tmp_path, labelling.prediction(1))
    said(tmp_path, Row(name, "8", NOON, 0.25, False), Row(name, "6", NOON, status="nan", reason="not finite"))
    labelling.up_to_date(tmp_path)
    found = explain(serving.settings(tmp_path), name)
    assert found["shadow"] == [
        {"model": "6", "status": "nan", "reason": "not finite"},
        {"model": "8", "status": "ok", "output": 0.25},
    ]
    assert "version 8 said 0.2500" in draw(found)


def test_an_index_made_anew_knows_what_is_in_parquet_only(tmp_path: Path) -> None:
    (name,) = labelling.predict(tmp_path, labelling.prediction(1))
    said(tmp_path, Row(name, "8", NOON, 0.25, False))
    for folder in (tmp_path / "predictions", tmp_path / "shadow"):
        archive.compact(folder, archive.seal_closed(folder), dt.date.max)
        for path in log.segments(folder):
            path.unlink()
    assert shadowed(labelling.up_to_date(tmp_path), "8").select("id", "output").rows() == [(name, 0.25)]
