import contextlib
import dataclasses
import datetime as dt
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penumbra.logs import append_log
from penumbra.logs.indexing.index import LogIndex
from penumbra.logs.labels import LabelSpec
from penumbra.logs.queries import labels
from penumbra.logs.queries.lookup import INDEX_FILE
from penumbra.logs.schema import LabelEntry
from penumbra.storage.sqlite import ROWS_PER_STATEMENT, ReplacedTables
from tests.helpers.logs.prediction_logs import (
    LABEL_SPEC,
    NOON,
    log_labels,
    log_predictions,
    make_hours,
    make_index,
    make_label_by_id,
    make_label_by_key,
    make_prediction,
    make_review_label,
    make_updated_index,
    read_joined_delays,
    take_label_back,
)


def test_a_damaged_index_is_made_anew(tmp_path: Path) -> None:
    log_predictions(tmp_path, make_prediction(1))
    log_labels(tmp_path, make_label_by_key(1, 42))
    (tmp_path / "labels" / INDEX_FILE).write_bytes(b"no database" * 1000)
    assert read_joined_delays(tmp_path) == [42]


def test_an_index_of_another_contract_is_made_anew(tmp_path: Path) -> None:
    log_predictions(tmp_path, make_prediction(1))
    log_labels(tmp_path, make_label_by_key(1, 42))
    make_updated_index(tmp_path)
    other = LabelSpec(LABEL_SPEC.key, LABEL_SPEC.time, LABEL_SPEC.outcome, pl.col("arr_delay") > 60, LABEL_SPEC.task)
    made = LogIndex(tmp_path / "predictions", tmp_path / "labels", other)
    made.catch_up()
    assert labels.compute_label_coverage(made, "day", 24)["labelled"].to_list() == [1]
    with made.open() as db:
        assert db.execute("SELECT target FROM labels").fetchall() == [("false",)]


@pytest.mark.parametrize(
    ("key", "size"), [({"order": pl.Int64(), "at": pl.Date()}, 16384), ({}, 16384), ({"order": pl.Int64()}, 4096)]
)
def test_pages_are_small_where_keys_have_no_time_by_which_they_would_come_in_order(tmp_path, key, size):
    spec = dataclasses.replace(LABEL_SPEC, key=key)
    with LogIndex(tmp_path / "predictions", tmp_path / "labels", spec).open() as db:
        assert db.execute("PRAGMA page_size").fetchone() == (size,)


def test_a_kept_connection_writes_nothing_into_tables_that_another_contract_made_anew(tmp_path: Path) -> None:
    other = LabelSpec(LABEL_SPEC.key, LABEL_SPEC.time, LABEL_SPEC.outcome, pl.col("arr_delay") > 60, LABEL_SPEC.task)
    with make_index(tmp_path).keep_open() as kept:
        log_labels(tmp_path, make_label_by_key(1, 42))
        kept.catch_up()
        LogIndex(tmp_path / "predictions", tmp_path / "labels", other).catch_up()
        log_labels(tmp_path, make_label_by_key(2, 42))
        with pytest.raises(ReplacedTables):
            kept.catch_up()
    later = LogIndex(tmp_path / "predictions", tmp_path / "labels", other)
    later.catch_up()
    with later.open() as db:
        assert db.execute("SELECT target FROM labels").fetchall() == [("false",), ("false",)]


def test_an_index_that_had_to_be_made_anew_for_a_reader_is_filled_though_nothing_was_logged(tmp_path: Path) -> None:
    other = LabelSpec(LABEL_SPEC.key, LABEL_SPEC.time, LABEL_SPEC.outcome, pl.col("arr_delay") > 60, LABEL_SPEC.task)
    log_predictions(tmp_path, make_prediction(1))
    index = make_updated_index(tmp_path)
    LogIndex(tmp_path / "predictions", tmp_path / "labels", other).catch_up()
    assert labels.join_labels(index).height == 0
    index.catch_up()
    assert labels.join_labels(index).height == 1


def test_the_file_of_another_format_is_removed_as_the_index_is_made_and_as_an_indexer_starts(tmp_path: Path) -> None:
    log_predictions(tmp_path, make_prediction(1))
    for name in ("index.db", "index.db-wal"):
        (tmp_path / "labels").mkdir(exist_ok=True)
        (tmp_path / "labels" / name).write_bytes(b"older")
    index = make_updated_index(tmp_path)
    assert [path.name for path in (tmp_path / "labels").glob("index*")] == [INDEX_FILE]
    (tmp_path / "labels" / "index.db").write_bytes(b"of an older process")
    index.catch_up()
    assert (tmp_path / "labels" / "index.db").exists()
    with index.keep_open():
        assert [path.name for path in (tmp_path / "labels").glob("index*")] == [INDEX_FILE]


def test_of_an_id_that_was_logged_twice_the_first_entry_counts_however_many_lines_a_pass_reads(tmp_path: Path) -> None:
    log_predictions(tmp_path, make_prediction(1, model="7"))
    (path,) = append_log.list_segments(tmp_path / "predictions")
    line = re.sub(rb',"crc":"\w+"', b"", path.read_bytes())
    path.write_bytes(line + line.replace(b'"model":"7"', b'"model":"8"'))
    assert labels.join_labels(make_updated_index(tmp_path))["model"].to_list() == ["7"]


@pytest.mark.parametrize(
    "damage", [b"{", b"null", b'{"id": 3}', b"\xff\xfe", b'{"id":"x","time":"2013-04-01T12:00:00Z"}']
)
def test_a_line_that_cannot_be_read_is_counted_and_passed_over(tmp_path: Path, damage: bytes) -> None:
    for folder, write in (("predictions", lambda: log_predictions(tmp_path, make_prediction(1))),
                          ("labels", lambda: log_labels(tmp_path, make_label_by_key(1, 42)))):  # fmt: skip
        write()
        (path,) = append_log.list_segments(tmp_path / folder)
        path.write_bytes(damage + b"\n" + path.read_bytes())
    assert read_joined_delays(tmp_path) == [42]
    assert labels.count_unreadable_lines(make_index(tmp_path)) == 2


def test_two_that_read_at_the_same_time_take_each_line_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log_predictions(tmp_path, make_prediction(1))
    (path,) = append_log.list_segments(tmp_path / "predictions")
    path.write_bytes(b"damaged\n" + path.read_bytes())
    other, tail = make_index(tmp_path), append_log.read_tail

    def tail_while_another_indexes(path: Path, position: int) -> bytes:
        monkeypatch.setattr(append_log, "read_tail", tail)
        other.catch_up()
        return tail(path, position)

    monkeypatch.setattr(append_log, "read_tail", tail_while_another_indexes)
    with make_updated_index(tmp_path).open() as db:
        assert db.execute("SELECT sum(unreadable) FROM segments").fetchone() == (1,)
        assert db.execute("SELECT count(*) FROM predictions").fetchone() == (1,)


def test_more_labels_than_a_statement_takes_come_each_to_its_prediction(tmp_path: Path) -> None:
    numbers = range(1, 2 * ROWS_PER_STATEMENT + 3)
    names = log_predictions(tmp_path, *map(make_prediction, numbers))
    log_labels(tmp_path, *map(make_label_by_id, names, numbers))
    with make_updated_index(tmp_path).open() as db:
        pairs = "SELECT p.id, value FROM predictions AS p JOIN labels USING (key) ORDER BY labels.position"
        assert db.execute(pairs).fetchall() == [
            (name, f'{{"arr_delay":{number}}}') for name, number in zip(names, numbers, strict=True)
        ]


def test_only_new_bytes_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log_predictions(tmp_path, *(make_prediction(1) for _ in range(100)))
    make_updated_index(tmp_path)
    log_predictions(tmp_path, make_prediction(2))
    read: list[bytes] = []
    tail = append_log.read_tail
    monkeypatch.setattr(append_log, "read_tail", lambda path, position: read.append(tail(path, position)) or read[-1])
    assert make_updated_index(tmp_path) is not None
    assert sum(content.count(b"\n") for content in read) == 1


minutes = st.none() | st.integers(-1, 1)
moments = st.integers(0, 3).map(lambda number: NOON + make_hours(number))
ways = st.sampled_from(["key", "id", "review", "taken back"])
worlds = st.fixed_dictionaries(
    {
        "predictions": st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=3), max_size=3),
        "labels": st.lists(
            st.lists(st.tuples(ways, st.integers(1, 4), minutes, moments), min_size=1, max_size=4), max_size=3
        ),
    }
)


def build(folder: Path, world: Any) -> None:
    """Write the logs: each inner list a segment; a label names a flight, or the prediction at that position."""
    folder.mkdir(exist_ok=True)
    names = [name for part in world["predictions"] for name in log_predictions(folder, *map(make_prediction, part))]
    names.append("0" * 17 + "-0")
    for part in world["labels"]:
        log_labels(folder, *(make_label(way, n, names[n % len(names)], value, time) for way, n, value, time in part))


def make_label(way: str, flight: int, name: str, value: int | None, time: dt.datetime) -> LabelEntry:
    if way == "key":
        return make_label_by_key(flight, value, time)
    if way == "id":
        return make_label_by_id(name, value, time)
    return make_review_label(name, value, time) if way == "review" else take_label_back(name, time)


def content(made: LogIndex) -> tuple[Any, ...]:
    """All that the index has to say."""
    with made.open() as db:
        said = db.execute("SELECT id, key, value, outcome FROM outcomes ORDER BY id").fetchall()
    return (
        labels.join_labels(made).rows(),
        said,
        *rows_of_days(made, counted="sum(rows)", days="days", arrivals="arrivals"),
    )


def rows_of_days(made: LogIndex, counted: str, days: str, arrivals: str) -> list[list[Any]]:
    """By day and model, and by day of arrival."""
    with made.open() as db:
        return [
            db.execute(f"SELECT day, model, {counted} FROM {days} GROUP BY 1, 2 ORDER BY 1, 2").fetchall(),
            db.execute(f"SELECT day, {counted} FROM {arrivals} GROUP BY 1 ORDER BY 1").fetchall(),
        ]


shares = st.floats(0, 1)
deliveries = st.lists(st.tuples(shares, shares, st.booleans()), max_size=20)


def deliver(source: Path, target: Path, pieces: list[tuple[float, float, bool]]) -> None:
    """Bring the segments over in pieces cut anywhere, in any order among segments, indexing now and then."""
    made = make_index(target)
    paths = [path for folder in ("predictions", "labels") for path in append_log.list_segments(source / folder)]
    for which, share, catch_up in pieces if paths else []:
        path = paths[round(which * (len(paths) - 1))]
        place = target / path.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        there = place.stat().st_size if place.exists() else 0
        place.write_bytes(path.read_bytes()[: max(there, round(share * path.stat().st_size))])
        if catch_up:
            made.catch_up()
    shutil.copytree(source, target, dirs_exist_ok=True)
    made.catch_up()


@contextlib.contextmanager
def delivered(world: Any, pieces: Any) -> Iterator[tuple[Path, Path]]:
    """The logs as a whole, not indexed yet, and in a second folder where they came in pieces."""
    with tempfile.TemporaryDirectory() as name:
        whole, in_pieces = Path(name) / "a", Path(name) / "b"
        build(whole, world)
        deliver(whole, in_pieces, pieces)
        yield whole, in_pieces


@pytest.mark.slow
@given(worlds, deliveries)
def test_however_the_logs_arrive_the_index_says_the_same(world: Any, pieces: Any) -> None:
    with delivered(world, pieces) as (at_once, in_pieces):
        assert content(make_index(in_pieces)) == content(make_updated_index(at_once))


@pytest.mark.slow
@given(worlds, deliveries)
def test_the_rows_of_a_day_are_counted_once_each(world: Any, pieces: Any) -> None:
    with delivered(world, pieces) as (_, in_pieces):
        made = make_index(in_pieces)
        by = "(SELECT CAST({} / 86400 AS INTEGER) AS day, model FROM predictions)"
        expected = rows_of_days(made, "count(*)", by.format("event"), by.format("time"))
        assert rows_of_days(made, "sum(rows)", "days", "arrivals") == expected


@pytest.mark.slow
@given(worlds)
def test_a_segment_that_is_there_twice_changes_nothing(world: Any) -> None:
    with tempfile.TemporaryDirectory() as name:
        build(Path(name), world)
        before = content(make_updated_index(Path(name)))
        for folder in ("predictions", "labels"):
            for path in append_log.list_segments(Path(name) / folder):
                shutil.copy(path, path.with_stem(f"copy-{path.stem}"))
        assert content(make_updated_index(Path(name))) == before


@pytest.mark.slow
@given(worlds)
def test_every_label_comes_to_exactly_one_thing_and_the_latest_counts(world: Any) -> None:
    with tempfile.TemporaryDirectory() as name:
        build(Path(name), world)
        rows, said, *_ = content(make_updated_index(Path(name)))
        assert sorted(row[0] for row in said) == sorted(
            line["id"] for line in append_log.read_entries(Path(name) / "labels")
        )
        expected = expectation(Path(name))
        assert {row[0]: row[3] for row in said} == expected["outcomes"]
        assert {row[0]: row[-1] for row in rows} == expected["targets"]


def expectation(folder: Path) -> dict[str, Any]:
    """The same join in plain Python."""
    flights = {line["id"]: line["record"]["flight"] for line in append_log.read_entries(folder / "predictions")}
    by_flight: dict[Any, list[Any]] = {}
    for line in append_log.read_entries(folder / "labels"):
        flight = line["key"][1] if "key" in line else flights.get(line["prediction"])
        by_flight.setdefault(flight, []).append(line)
    outcomes, latest = {}, {}
    for flight, lines in by_flight.items():
        lines.sort(key=lambda line: (line["time"], line["id"][:17], int(line["id"][18:], 16)))
        for position, line in enumerate(lines):
            outcomes[line["id"]] = name_outcome(line, lines[:position]) if flight in flights.values() else "orphan"
        latest[flight] = counted_label(lines)
    delays = {name: (latest.get(flight) or {"arr_delay": None})["arr_delay"] for name, flight in flights.items()}
    targets = {name: None if delay is None else delay > 15 for name, delay in delays.items()}
    return {"outcomes": outcomes, "targets": targets}


def counted_label(lines: list[Any]) -> Any:
    """The label that counts of those that have arrived: the latest outcome, or else what people said last."""
    told = [line["label"] for line in lines if line["source"] != "review"]
    by_case = {line["prediction"]: line["label"] for line in lines if line["source"] == "review"}
    order = [line["prediction"] for line in lines if line["source"] == "review"]
    by_people = [by_case[case] for case in sorted(by_case, key=lambda case: order[::-1].index(case)) if by_case[case]]
    return told[-1] if told else by_people[0] if by_people else None


def name_outcome(line: Any, earlier: list[Any]) -> str:
    before = counted_label(earlier)
    if not line["label"]:
        return "taken back"
    if before is None:
        return "attached"
    if line["label"] == before:
        return "duplicate"
    is_outranked = line["source"] == "review" and any(each["source"] != "review" for each in earlier)
    return "outranked" if is_outranked else "correction"
