import sqlite3
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penumbra.logs import append_log
from penumbra.logs.append_log import LogWriter
from penumbra.reviews.answer_checks import ReviewRefused
from penumbra.reviews.deferred import DeferredState, find_deferred_state
from penumbra.reviews.desk import ReviewDesk
from penumbra.reviews.queue import ReviewQueue
from tests.helpers.logs.prediction_logs import read_joined_delays
from tests.helpers.logs.review_cases import (
    PROBLEM,
    make_action,
    make_moment,
    make_review_settings,
    open_desk,
    pick_predictions,
    read_review_labels,
)


def read_given_delays(folder: Path) -> list[Any]:
    """The values of the label log's entries; None where a label is taken back."""
    return [entry["label"].get("arr_delay") for entry in read_review_labels(folder)]


def test_an_answer_becomes_a_label_that_says_who_why_and_how_sure(tmp_path: Path) -> None:
    (case,) = pick_predictions(tmp_path)
    with open_desk(tmp_path) as desk:
        state = desk.record(make_action(case, "ann", 42, sureness="likely", note="storm over Texas"))
    assert (state.status, state.label) == ("decided", {"arr_delay": 42})
    assert read_review_labels(tmp_path) == [
        {
            "source": "review",
            "label": {"arr_delay": 42},
            "prediction": case,
            "reviewers": ["ann"],
            "reasons": ["close call"],
            "probability": 0.25,
            "sureness": "likely",
            "note": "storm over Texas",
        }
    ]
    assert read_joined_delays(tmp_path) == [42]


def test_two_that_agree_are_one_label_as_sure_as_the_less_sure_of_them(tmp_path: Path) -> None:
    (case,) = pick_predictions(tmp_path, reviewers=2)
    with open_desk(tmp_path) as desk:
        assert desk.record(make_action(case, "bob", 42, sureness="sure", note="clear")).status == "open"
        assert read_review_labels(tmp_path) == []
        desk.record(make_action(case, "ann", 42, at=2, sureness="guess", note="I think"))
    (label,) = read_review_labels(tmp_path)
    assert (label["reviewers"], label["sureness"], label["note"]) == (["ann", "bob"], "guess", "clear / I think")


def test_two_agree_where_the_target_is_the_same_though_their_minutes_differ(tmp_path: Path) -> None:
    (case,) = pick_predictions(tmp_path, reviewers=2)
    with open_desk(tmp_path) as desk:
        desk.record(make_action(case, "ann", 40))
        assert desk.record(make_action(case, "bob", 45, at=2)).status == "decided"
    (label,) = read_review_labels(tmp_path)
    assert (label["label"], label["reviewers"]) == ({"arr_delay": 45}, ["ann", "bob"])


def test_an_action_of_the_future_is_refused(tmp_path: Path) -> None:
    (case,) = pick_predictions(tmp_path)
    with (
        open_desk(tmp_path) as desk,
        pytest.raises(ReviewRefused, match="12:30 UTC: expected none after 2026-03-02 12:00"),
    ):
        desk.record(make_action(case, "ann", 42, at=30), now=make_moment(0))


def test_of_two_that_differ_there_is_no_label_until_one_adjudicates(tmp_path: Path) -> None:
    (case,) = pick_predictions(tmp_path, reviewers=2)
    with open_desk(tmp_path) as desk:
        desk.record(make_action(case, "ann", 42))
        assert desk.record(make_action(case, "bob", 5, at=2)).status == "conflict"
        assert read_review_labels(tmp_path) == []
        desk.record(make_action(case, "cy", 5, "adjudicate", at=3))
    (label,) = read_review_labels(tmp_path)
    assert (label["label"], label["reviewers"]) == ({"arr_delay": 5}, ["bob", "cy"])


def test_an_answer_isnt_lost_because_the_same_person_skips_the_case_in_another_tab(tmp_path: Path) -> None:
    (case,) = pick_predictions(tmp_path)
    with open_desk(tmp_path) as desk:
        desk.record(make_action(case, "ann", 42))
        with pytest.raises(ReviewRefused, match="ann has answered"):
            desk.record(make_action(case, "ann", kind="skip", at=2))
    assert read_given_delays(tmp_path) == [42]


def test_an_undone_answer_takes_the_label_back_and_another_one_is_a_label_again(tmp_path: Path) -> None:
    (case,) = pick_predictions(tmp_path)
    with open_desk(tmp_path) as desk:
        desk.record(make_action(case, "ann", 42))
        assert desk.record(make_action(case, "ann", kind="undo", at=2)).status == "open"
        desk.record(make_action(case, "ann", 42, at=3))
    assert read_given_delays(tmp_path) == [42, None, 42]


def test_a_second_opinion_that_differs_takes_a_label_back(tmp_path: Path) -> None:
    (case,) = pick_predictions(tmp_path)
    with open_desk(tmp_path) as desk:
        desk.record(make_action(case, "ann", 42))
        assert desk.record(make_action(case, "bob", 5, at=2)).status == "conflict"
    assert read_given_delays(tmp_path) == [42, None]


@pytest.mark.parametrize("kind", ["cannot_tell", "skip"])
def test_who_cannot_tell_or_skips_a_case_labels_nothing(tmp_path: Path, kind: Any) -> None:
    (case,) = pick_predictions(tmp_path)
    with open_desk(tmp_path) as desk:
        desk.record(make_action(case, kind=kind))
    assert read_review_labels(tmp_path) == []


REFUSED = [
    ({"case": "0" * 17 + "-0"}, "no case of the review queue: expected the id of a row that was picked"),
    ({"label": {"arr_delay": "late"}}, "arr_delay is 'late': expected a valid integer"),
    ({"label": {"arr_delay": 1.5}}, "arr_delay is 1.5: expected a valid integer"),
    ({"label": {}}, "arr_delay missing: expected a value"),
    ({"label": {"arr_delay": 4, "late": True}}, "late is True: expected no field of this name"),
    ({"kind": "skip"}, "'skip' came with the label {'arr_delay': 42}: expected none"),
    ({"kind": "undo", "label": {}}, "ann has done nothing with"),
    ({"kind": "adjudicate"}, "is open: expected a conflict to be adjudicated"),
    ({"reviewer": "  "}, "the reviewer's name is '  ': expected 1 to 100 characters"),
    ({"note": "x" * 2001}, "the note has 2001 characters: expected at most 2000"),
]


@pytest.mark.parametrize(("change", "words"), REFUSED)
def test_what_cannot_be_recorded_is_refused_with_what_was_expected(tmp_path: Path, change: Any, words: str) -> None:
    (case,) = pick_predictions(tmp_path)
    with open_desk(tmp_path) as desk, pytest.raises(ReviewRefused) as refused:
        desk.record(msgspec.structs.replace(make_action(case, "ann", 42), **change))
    assert words in str(refused.value)
    assert read_review_labels(tmp_path) == []
    assert not ReviewQueue.read(tmp_path / "reviews").states[case].history


def test_answers_to_several_cases_are_recorded_in_one_turn_or_none_of_them_is(tmp_path: Path) -> None:
    cases = pick_predictions(tmp_path, 2)
    with open_desk(tmp_path) as desk:
        first, second = (make_action(case, "ann", delay) for case, delay in zip(cases, (42, 5), strict=True))
        with pytest.raises(ReviewRefused, match="is no case"):
            desk.record_all([first, msgspec.structs.replace(second, case="0" * 17 + "-0")])
        with pytest.raises(ValueError, match=f"several actions at once are on case {first.case}: expected one"):
            desk.record_all([first, first])
        assert read_given_delays(tmp_path) == []
        assert [state.label["arr_delay"] for state in desk.record_all([first, second])] == [42, 5]
    assert read_given_delays(tmp_path) == [42, 5]


def test_another_answer_of_the_same_person_needs_an_undo_first(tmp_path: Path) -> None:
    (case,) = pick_predictions(tmp_path)
    with open_desk(tmp_path) as desk:
        desk.record(make_action(case, "ann", 42))
        with pytest.raises(ReviewRefused, match="ann has answered"):
            desk.record(make_action(case, "ann", 5, at=2))


def test_an_answer_that_is_imported_twice_and_an_undo_that_is_sent_twice_count_once(tmp_path: Path) -> None:
    (case,) = pick_predictions(tmp_path)
    with open_desk(tmp_path) as desk:
        desk.record(make_action(case, "ann", 42))
        desk.record(make_action(case, "ann", 42, at=9, via="label studio"))
        desk.record(make_action(case, "ann", kind="undo", at=10, token="a"))
        desk.record(make_action(case, "ann", kind="undo", at=10, token="a"))
    assert len(ReviewQueue.read(tmp_path / "reviews").states[case].history) == 2
    assert read_given_delays(tmp_path) == [42, None]


def test_an_answer_that_was_given_before_an_undo_and_arrives_after_it_stands(tmp_path: Path) -> None:
    (case,) = pick_predictions(tmp_path)
    with open_desk(tmp_path) as desk:
        desk.record(make_action(case, "ann", 42, at=1))
        desk.record(make_action(case, "ann", kind="undo", at=3))
        assert desk.record(make_action(case, "ann", 5, at=2)).label == {"arr_delay": 5}
    assert read_given_delays(tmp_path) == [42, None, 5]


@pytest.mark.slow
def test_many_that_answer_at_the_same_time_leave_one_label_each(tmp_path: Path) -> None:
    cases = pick_predictions(tmp_path, flights=12)

    def answer_some(number: int) -> None:
        with open_desk(tmp_path) as desk:
            for case in cases[number % 4 :: 4]:  # each case twice
                desk.record(make_action(case, "ann", 42))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(answer_some, range(8)))
    assert sorted(label["prediction"] for label in read_review_labels(tmp_path)) == sorted(cases)


class Stop(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("which", range(4))
def test_an_answer_that_a_killed_process_left_half_recorded_is_completed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: int
) -> None:
    """Killed before and after the write to the review log, and before and after that to the label log."""
    first, second = pick_predictions(tmp_path, flights=2)
    moments = []

    def write(writer: LogWriter, entries: Any, original: Any = LogWriter.append) -> Any:
        for moment in ("before", "after"):
            if len(moments) == which:
                monkeypatch.undo()
                raise Stop
            moments.append(moment)
            if moment == "before":
                ids = original(writer, entries)
        return ids

    monkeypatch.setattr(LogWriter, "append", write)
    with suppress(Stop), open_desk(tmp_path) as desk:
        desk.record(make_action(first, "ann", 42))
    monkeypatch.undo()
    with open_desk(tmp_path) as desk:
        desk.complete()
        assert [label["prediction"] for label in read_review_labels(tmp_path)] == [first] * (which > 0)
        desk.record(make_action(second, "ann", 5))
        desk.complete()
    assert [label["prediction"] for label in read_review_labels(tmp_path)] == [*[first] * (which > 0), second]


def test_where_the_label_log_cannot_be_written_the_next_pass_writes_the_label(tmp_path: Path) -> None:
    (case,) = pick_predictions(tmp_path)
    settings = make_review_settings(tmp_path)
    (tmp_path / "labels").mkdir()
    with closing(ReviewDesk(settings, PROBLEM)) as desk:
        desk.complete()
        (tmp_path / "labels").rename(tmp_path / "away")
        (tmp_path / "labels").write_text("in the way")
        with pytest.raises((OSError, sqlite3.Error)):
            desk.record(make_action(case, "ann", 42))
    (tmp_path / "labels").unlink()
    (tmp_path / "away").rename(tmp_path / "labels")
    with open_desk(tmp_path) as desk:
        desk.complete()
        desk.record(make_action(case, "ann", 42))
    assert read_given_delays(tmp_path) == [42]


def test_a_pass_without_anything_new_reads_no_label(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (case,) = pick_predictions(tmp_path)
    with open_desk(tmp_path) as desk:
        desk.record(make_action(case, "ann", 42))
        desk.complete()
        monkeypatch.setattr(ReviewQueue, "read", None)
        desk.complete()


def test_an_answer_that_comes_after_the_default_is_a_label_all_the_same(tmp_path: Path) -> None:
    (case,) = pick_predictions(tmp_path, due=make_moment(60), default=True)
    with open_desk(tmp_path) as desk:
        state = desk.record(make_action(case, "ann", 42, at=30), now=make_moment(90))
    assert state.decided
    assert state.decided.time == make_moment(90)
    assert read_given_delays(tmp_path) == [42]


def test_what_people_decided_in_time_cannot_be_undone_once_it_counts(tmp_path: Path) -> None:
    (case,) = pick_predictions(tmp_path, due=make_moment(60), default=True)
    with open_desk(tmp_path) as desk:
        desk.record(make_action(case, "ann", 42, at=30), now=make_moment(30))
        with pytest.raises(ReviewRefused, match="was decided, and that counts since 2026-03-02 13:00 UTC"):
            desk.record(make_action(case, "ann", kind="undo", at=90), now=make_moment(90))
    assert append_log.list_segments(tmp_path / "labels") != []
    assert read_given_delays(tmp_path) == [42]


def test_a_conflict_that_stood_when_it_was_due_has_defaulted_whatever_is_taken_back_later(tmp_path: Path) -> None:
    due = make_moment(60)
    (case,) = pick_predictions(tmp_path, due=due, default=True)
    with open_desk(tmp_path) as desk:
        desk.record(make_action(case, "ann", 42, at=10), now=make_moment(10))
        desk.record(make_action(case, "bob", 5, at=20), now=make_moment(20))
        state = desk.record(make_action(case, "bob", kind="undo", at=70), now=make_moment(70))
    assert state.status == "decided"
    assert find_deferred_state(due, state, make_moment(71)) == DeferredState("defaulted", due)
    assert read_given_delays(tmp_path) == [42, None, 42]


def test_an_answer_at_the_moment_at_which_the_default_counts_comes_too_late(tmp_path: Path) -> None:
    due = make_moment(60)
    (case,) = pick_predictions(tmp_path, due=due, default=True)
    with open_desk(tmp_path) as desk:
        state = desk.record(make_action(case, "ann", 42, at=60), now=due)
    assert find_deferred_state(due, state, make_moment(61)).status == "defaulted"


def test_what_is_said_after_the_clock_was_put_back_counts_and_is_logged_once(tmp_path: Path) -> None:
    first, second = pick_predictions(tmp_path, flights=2)
    with open_desk(tmp_path) as desk:
        desk.record(make_action(first, "ann", 42), now=make_moment(60))
        desk.record(make_action(first, "ann", kind="undo", at=2), now=make_moment(0))
        desk.record(make_action(first, "ann", 5, at=3), now=make_moment(0))
        for number in range(3):
            desk.record(make_action(second, "bob", kind="skip", at=4 + number), now=make_moment(1))
    assert read_given_delays(tmp_path) == [42, None, 5]
    assert read_joined_delays(tmp_path) == [5, None]


kinds = st.sampled_from(["answer", "adjudicate", "cannot_tell", "skip", "undo"])
steps = st.lists(
    st.tuples(kinds, st.integers(0, 1), st.sampled_from(["ann", "bob", "cy"]), st.sampled_from([5, 42]), st.booleans()),
    max_size=9,
)


@pytest.mark.slow
@settings(max_examples=12)
@given(steps)
def test_whatever_people_do_and_wherever_it_is_killed_each_decision_is_a_label_once(given_steps: Any) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cases = pick_predictions(folder, flights=2, reviewers=2)
        for number, (kind, which, reviewer, minutes, is_killed) in enumerate(given_steps):
            with suppress(ReviewRefused, Stop), open_desk(folder) as desk:
                if is_killed:  # between the two logs
                    desk._labels.append = stop  # type: ignore[method-assign]
                desk.record(make_action(cases[which], reviewer, minutes, kind, at=number))
        with open_desk(folder) as desk:
            desk.complete()
            desk.complete()
        states = ReviewQueue.read(folder / "reviews").states
        for case in cases:
            given_labels = [each["label"] for each in read_review_labels(folder) if each["prediction"] == case]
            assert (given_labels or [{}])[-1] == states[case].label
            assert all(one != next_one for one, next_one in pairwise(given_labels))


def stop(*_: Any) -> Any:
    raise Stop
