"""The sample of a window's rows that the index keeps: what it is, whatever the order in which the log was read."""

import contextlib
import datetime as dt
import sqlite3
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penumbra.logs.queries import bottom_k, samples
from tests.helpers.logs import prediction_logs

DAY = dt.date(2013, 4, 1)
WEEK = dt.timedelta(days=7)
FIRST = (DAY - dt.date(1970, 1, 1)).days


@contextlib.contextmanager
def empty():
    with contextlib.closing(sqlite3.connect(":memory:")) as db:
        db.executescript(bottom_k.SAMPLE_TABLES_DDL)
        yield db


@contextlib.contextmanager
def drawn(parts, most):
    with empty() as db:
        for part in parts:
            bottom_k.add_to_sample(db, by_day(part), most)
        yield db


def kept(parts, most, of=20, model="7"):
    with drawn(parts, most) as db:
        return bottom_k.select_window_sample(db, model, DAY, DAY + WEEK, of, most)


def by_day(part):
    found = {}
    for name, model, day in part:
        found.setdefault((model, day), {})[name] = name.encode()
    return found


def answers(number, days=7):
    return [(f"id-{each}", "7", FIRST + each % days) for each in range(number)]


def cut(rows, places):
    ends = sorted({0, len(rows), *(place for place in places if place < len(rows))})
    return [rows[begin:end] for begin, end in pairwise(ends)]


@given(st.permutations(answers(60)), st.lists(st.integers(0, 60)))
def test_the_sample_is_the_same_whatever_the_order_and_cutting_of_the_log(rows, places):
    assert kept(cut(rows, places), most=4, of=60) == kept([answers(60)], most=4, of=60)


@given(st.permutations(answers(60)), st.lists(st.integers(0, 60)))
def test_samples_are_equal_whatever_was_added_at_once(rows, places):
    with drawn([answers(60)], 4) as one, drawn(cut(rows, places), 4) as other:
        assert bottom_k.have_equal_samples(one, other, 4)


def test_samples_differ_where_an_answer_is_missing():
    with drawn([answers(60)], 60) as one, drawn([answers(59)], 60) as other:
        assert not bottom_k.have_equal_samples(one, other, 60)


def test_a_second_pass_changes_nothing():
    assert kept([answers(60), answers(60)], most=4) == kept([answers(60)], most=4)


def test_a_window_has_the_lowest_draws_of_all_its_rows():
    lowest = [name for name, _ in kept([answers(200)], most=1000, of=20)]
    assert [name for name, _ in kept([answers(200)], most=12, of=20)] == lowest


def test_where_most_rows_are_of_one_day_they_have_no_more_than_their_share_of_a_smaller_sample():
    busy = [(f"busy-{each}", "7", FIRST) for each in range(4_000)]
    quiet = [(f"quiet-{each}", "7", FIRST + 1) for each in range(1_000)]
    names = [name for name, _ in kept([busy, quiet], most=1_000, of=20_000)]
    assert len(names) == pytest.approx(1_250, rel=0.1)
    assert sum(name.startswith("busy") for name in names) == pytest.approx(0.8 * len(names), rel=0.1)


def test_no_more_than_half_as_many_again_as_wanted_are_kept():
    with empty() as db:
        for part in cut(answers(500, days=1), range(0, 500, 7)):
            bottom_k.add_to_sample(db, by_day(part), 20)
        rows = [row for (found,) in db.execute("SELECT rows FROM drawn") for row in msgspec.msgpack.decode(found)]
    assert 20 <= len(rows) <= 30


def test_models_don_t_share_a_sample():
    others = [(name, "8", day) for name, _, day in answers(30)]
    assert kept([answers(30)[:3], others], most=5, model="7") == kept([answers(3)], most=5)


def test_of_more_rows_than_the_sample_no_more_than_that_are_read(tmp_path):
    prediction_logs.log_predictions(tmp_path, *(prediction_logs.make_prediction(flight) for flight in range(9)))
    index = prediction_logs.make_updated_index(tmp_path)
    assert samples.read_sampled_records(index, "7", DAY, DAY + WEEK, {}, most=4).height == 4
