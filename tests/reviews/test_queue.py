import datetime as dt
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penumbra.logs.append_log import LogWriter, encode_json, list_segments
from penumbra.reviews.queue import ReviewQueue
from penumbra.reviews.records import ReviewAction, ReviewBlock, ReviewCase, ReviewClosure, ReviewNotice

START = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
YES, NO = {"late": True}, {"late": False}


def at(minutes):
    return START + dt.timedelta(minutes=minutes)


def block(minutes=0, picked=1):
    return ReviewBlock(at(minutes), {}, picked, picked, picked, {})


def act(reviewer, kind, label=None, minutes=1, case="1-0"):
    return ReviewAction(case, reviewer, kind, at(minutes), label or {})


def write(folder, *entries):
    writer = LogWriter(folder)
    writer.append([encode_json(entry) for entry in entries])
    writer.close()


def read_state(folder, reviewers, *actions, now=None, **fields):
    write(folder, ReviewCase("1-0", ["chance"], 0.5, reviewers, **fields), block(), *actions)
    return ReviewQueue.read(folder, now or at(60)).states["1-0"]


def test_without_a_log_the_queue_is_empty(tmp_path):
    queue = ReviewQueue.read(tmp_path / "reviews")
    assert queue.list_waiting("ann", 1) == []
    assert set(queue.count_statuses().values()) == {0}


def test_a_picked_row_counts_once_its_block_is_in_the_log(tmp_path):
    writer = LogWriter(tmp_path)
    writer.append([encode_json(ReviewCase("1-0", ["chance"], 0.5))])
    assert not ReviewQueue.read(tmp_path).states
    writer.append([encode_json(block())])
    assert ReviewQueue.read(tmp_path).states["1-0"].status == "open"


def test_rows_that_a_killed_process_picked_without_their_block_never_count(tmp_path):
    write(tmp_path, ReviewCase("1-0", ["chance"], 0.5))
    write(tmp_path, ReviewCase("2-0", ["chance"], 0.5), block())
    assert [*ReviewQueue.read(tmp_path).states] == ["2-0"]


def test_one_answer_decides_a_case_that_one_person_is_asked(tmp_path):
    state = read_state(tmp_path, 1, act("ann", "answer", YES))
    assert (state.status, state.label, state.decided.reviewer) == ("decided", YES, "ann")


def test_two_that_agree_decide_a_case_that_two_are_asked(tmp_path):
    state = read_state(tmp_path, 2, act("ann", "answer", YES), act("bob", "answer", YES, 2))
    assert (state.status, state.label, state.decided.reviewer) == ("decided", YES, "bob")


def test_two_whose_labels_differ_but_have_the_same_target_agree_and_the_later_label_counts(tmp_path):
    late, later = (
        ReviewAction("1-0", name, "answer", at(minutes), {"arr_delay": delay}, target=True)
        for name, minutes, delay in (("ann", 1, 40), ("bob", 2, 45))
    )
    state = read_state(tmp_path, 2, late, later)
    assert (state.status, state.label) == ("decided", {"arr_delay": 45})


def test_one_of_two_answers_leaves_a_case_open(tmp_path):
    assert read_state(tmp_path, 2, act("ann", "answer", YES)).status == "open"


def test_two_that_differ_are_a_conflict_until_somebody_adjudicates(tmp_path):
    differing = act("ann", "answer", YES), act("bob", "answer", NO, 2)
    assert read_state(tmp_path / "before", 2, *differing).status == "conflict"
    state = read_state(tmp_path / "after", 2, *differing, act("cy", "adjudicate", NO, 3))
    assert (state.status, state.label, state.decided.reviewer) == ("decided", NO, "cy")


def test_a_conflict_ends_where_one_of_them_takes_an_answer_back_and_agrees(tmp_path):
    actions = [act("ann", "answer", YES), act("bob", "answer", NO, 2)]
    state = read_state(tmp_path, 2, *actions, act("bob", "undo", minutes=3), act("bob", "answer", YES, 4))
    assert (state.status, state.label) == ("decided", YES)


def test_who_cannot_tell_beside_an_answer_is_a_conflict(tmp_path):
    assert read_state(tmp_path, 2, act("ann", "answer", YES), act("bob", "cannot_tell", None, 2)).status == "conflict"


@pytest.mark.parametrize("reviewers", [1, 2])
def test_where_nobody_who_was_asked_can_tell_the_case_says_so(tmp_path, reviewers):
    actions = [act("ann", "cannot_tell"), act("bob", "cannot_tell", None, 2)]
    assert read_state(tmp_path, reviewers, *actions[:reviewers]).status == "cannot tell"


def test_undo_takes_back_the_same_persons_last_action_only(tmp_path):
    state = read_state(
        tmp_path, 2, act("ann", "answer", YES), act("bob", "answer", YES, 2), act("ann", "undo", None, 3)
    )
    assert (state.status, [*state.actions]) == ("open", ["bob"])


def test_a_case_whose_time_ran_out_is_defaulted_unless_people_have_decided(tmp_path):
    due = {"due": at(30), "default": True}
    assert read_state(tmp_path / "early", 1, now=at(29), **due).status == "open"
    assert read_state(tmp_path / "late", 1, now=at(30), **due).status == "defaulted"
    assert read_state(tmp_path / "decided", 1, act("ann", "answer", YES), now=at(31), **due).status == "decided"


@pytest.mark.parametrize(
    "actions",
    [[], [act("ann", "answer", YES)], [act("ann", "answer", YES), act("bob", "answer", NO, 2)]],
    ids=["open", "half answered", "conflict"],
)
def test_nobody_is_asked_about_a_case_whose_outcome_has_arrived(tmp_path, actions):
    state = read_state(tmp_path, 2, *actions, ReviewClosure("1-0", at(5)))
    queue = ReviewQueue.read(tmp_path)
    assert (state.status, state.closed, state.label) == ("outcome arrived", at(5), {})
    assert (queue.list_waiting("cy", 1), queue.list_unfinished(), queue.list_half_answered()) == ([], [], [])
    assert state.judge_until(at(4)).status in ("open", "conflict")


def test_what_people_say_of_a_case_whose_outcome_has_arrived_decides_it_all_the_same(tmp_path):
    closure = ReviewClosure("1-0", at(5))
    assert read_state(tmp_path / "before", 1, act("ann", "answer", YES), closure).status == "decided"
    assert read_state(tmp_path / "after", 1, closure, act("ann", "answer", YES, 6)).status == "decided"


def test_the_next_case_is_the_most_urgent_then_the_oldest_day_and_skipped_ones_come_last(tmp_path):
    write(tmp_path, ReviewCase("1-0", [], 0.5), block(-3000), ReviewCase("2-0", [], 0.5), block(-1500))
    write(tmp_path, ReviewCase("3-0", [], 1, due=at(90)), ReviewCase("4-0", [], 1, due=at(80)), block(picked=2))
    seen = []
    for minutes in range(4):
        seen.append(ReviewQueue.read(tmp_path, at(0)).list_waiting("ann", 1)[0].case.prediction)
        write(tmp_path, act("ann", "skip", None, minutes, seen[-1]))
    assert seen == ["4-0", "3-0", "1-0", "2-0"]
    assert ReviewQueue.read(tmp_path, at(0)).list_waiting("ann", 1)[0].case.prediction == "4-0"


def test_nobody_is_asked_again_what_they_have_answered(tmp_path):
    write(tmp_path, ReviewCase("1-0", [], 0.5, 2), block(), act("ann", "answer", YES))
    queue = ReviewQueue.read(tmp_path)
    assert queue.list_waiting("ann", 1) == []
    assert queue.list_waiting("bob", 1)[0].case.prediction == "1-0"


def test_an_action_that_was_sent_twice_counts_once(tmp_path):
    answer = ReviewAction("1-0", "ann", "answer", at(1), YES, token="a")
    undone = read_state(tmp_path, 1, answer, answer, act("ann", "undo", minutes=2))
    assert (undone.status, [each.token for each in undone.history]) == ("open", ["a", ""])


def test_cases_are_in_the_order_in_which_they_were_picked_whatever_segment_they_are_in(tmp_path):
    write(tmp_path, *(ReviewCase(f"{number}-0", ["chance"], 0.5) for number in range(9, 4, -1)), block(minutes=9))
    write(tmp_path, ReviewCase("1-0", ["chance"], 0.5), block(minutes=3))
    assert [*ReviewQueue.read(tmp_path).states] == ["1-0", "9-0", "8-0", "7-0", "6-0", "5-0"]


def test_two_who_work_at_the_same_time_have_orders_of_their_own(tmp_path):
    write(tmp_path, *(ReviewCase(f"{n}-0", [], 0.5) for n in range(20)), block(picked=20))
    queue = ReviewQueue.read(tmp_path)
    assert len({queue.list_waiting(name, 1)[0].case.prediction for name in ("ann", "bob", "cy", "dee")}) > 1


def test_statuses_are_counted_and_notes_of_the_webhook_are_no_cases(tmp_path):
    write(tmp_path, ReviewCase("1-0", [], 0.5), ReviewCase("2-0", [], 0.5), block(picked=2), act("ann", "answer", YES))
    write(tmp_path, ReviewNotice("1-0", "decided", at(2)))
    counts = ReviewQueue.read(tmp_path).count_statuses()
    others = dict.fromkeys(("conflict", "cannot tell", "defaulted", "outcome arrived"), 0)
    assert counts == {"open": 1, "decided": 1, **others}


def test_a_damaged_line_is_left_out(tmp_path):
    write(tmp_path, ReviewCase("1-0", [], 0.5), block(), act("ann", "answer", YES))
    (path,) = list_segments(tmp_path)
    path.write_bytes(path.read_bytes().replace(b'"reviewer":"ann"', b'"reviewer":"eve"'))
    assert ReviewQueue.read(tmp_path).states["1-0"].status == "open"


def test_a_log_that_was_deleted_and_begun_again_is_read_anew(tmp_path):
    write(tmp_path / "log", ReviewCase("1-0", [], 0.5), block())
    assert [*ReviewQueue.read(tmp_path / "log").states] == ["1-0"]
    shutil.rmtree(tmp_path / "log")
    write(tmp_path / "log", ReviewCase("2-0", [], 0.5), block())
    assert [*ReviewQueue.read(tmp_path / "log").states] == ["2-0"]


KINDS = st.sampled_from(["answer", "cannot_tell", "skip", "undo", "adjudicate"])
ACTS = st.lists(st.tuples(st.sampled_from(["ann", "bob", "cy"]), KINDS, st.sampled_from([YES, NO])), max_size=12)


@given(ACTS, st.integers(1, 2), st.data())
def test_read_piece_by_piece_the_log_says_the_same_as_read_at_once(tmp_path_factory, acts, reviewers, data):
    folder = tmp_path_factory.mktemp("log")
    case = ReviewCase("1-0", ["chance"], 0.5, reviewers)
    entries = [case, block(), *(act(*given, minutes=minute) for minute, given in enumerate(acts))]
    writer = LogWriter(folder / "pieces")
    for entry in entries:
        writer.append([encode_json(entry)])
        if data.draw(st.booleans()):
            piecewise = ReviewQueue.read(folder / "pieces", at(60))
    writer.close()
    piecewise = ReviewQueue.read(folder / "pieces", at(60))
    write(folder / "whole", *entries)
    assert piecewise.states == ReviewQueue.read(folder / "whole", at(60)).states


@given(ACTS, st.integers(1, 2))
def test_a_case_has_a_label_exactly_where_it_is_decided(tmp_path_factory, acts, reviewers):
    actions = [act(*given, minutes=minute) for minute, given in enumerate(acts)]
    state = read_state(tmp_path_factory.mktemp("log"), reviewers, *actions)
    assert (state.status == "decided") == bool(state.label) == (state.decided is not None)
