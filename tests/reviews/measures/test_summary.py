"""The review queue at a glance."""

import datetime as dt

from penumbra.logs.append_log import LogWriter, encode_json
from penumbra.logs.schema import LabelEntry
from penumbra.reviews.measures.summary import ReviewSummary, read_independent_targets, summarise_reviews
from penumbra.reviews.queue import ReviewQueue
from penumbra.reviews.records import ReviewAction, ReviewBlock, ReviewCase
from tests.helpers.logs.prediction_logs import (
    log_labels,
    log_predictions,
    make_index,
    make_prediction,
    make_updated_index,
)

NOW = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
LATE, EARLY = {"arr_delay": 40}, {"arr_delay": 0}


def at(minutes):
    return NOW + dt.timedelta(minutes=minutes)


def act(case, reviewer, kind, label, minutes):
    return ReviewAction(case, reviewer, kind, at(minutes), label)


def write(folder, *entries):
    writer = LogWriter(folder / "reviews")
    writer.append([encode_json(entry) for entry in entries])
    writer.close()


def read_queue(folder):
    return ReviewQueue.read(folder / "reviews", at(600))


def block(minutes, picked):
    return ReviewBlock(at(minutes), {}, picked, picked, picked, {})


def test_what_waits_and_what_the_answers_say_of_all_rows(tmp_path):
    old, right, wrong, apart = log_predictions(tmp_path, *(make_prediction(flight) for flight in (1, 2, 3, 4)))
    write(tmp_path, ReviewCase(old, ["chance"], 0.5), block(-100, 1))
    recent = (*(ReviewCase(name, ["chance"], 0.5) for name in (right, wrong)), ReviewCase(apart, [], 1, 2))
    write(tmp_path, *recent, block(0, 3), act(apart, "ann", "answer", LATE, 1), act(apart, "bob", "answer", EARLY, 2))
    decision = make_prediction(2).decision
    said = {right: LATE if decision else EARLY, wrong: EARLY if decision else LATE}
    write(tmp_path, *(act(name, "ann", "answer", label, 3) for name, label in said.items()))
    log_labels(tmp_path, *(LabelEntry(at(3), "review", label, prediction=name) for name, label in said.items()))
    found: ReviewSummary = summarise_reviews(read_queue(tmp_path), make_updated_index(tmp_path), at(-50))
    assert (found.open, found.conflicts, found.oldest, found.decided) == (1, 1, at(-100), 2)
    assert (found.error.value, found.error.answered, found.error.picked) == (0.5, 2, 3)
    assert (found.agreement.cases, found.agreement.differing) == (1, 1)


def test_what_one_says_after_seeing_models_or_the_other_s_answer_is_no_answer_for_oneself(tmp_path):
    write(tmp_path, ReviewCase("1-0", [], 1, 2), block(0, 1))
    write(tmp_path, act("1-0", "ann", "answer", EARLY, 1), act("1-0", "ann", "undo", {}, 2))
    write(tmp_path, act("1-0", "ann", "answer", LATE, 3), act("1-0", "bob", "answer", EARLY, 4))
    write(tmp_path, act("1-0", "bob", "undo", {}, 5), act("1-0", "bob", "answer", LATE, 6))
    spec = make_index(tmp_path).label_spec
    assert read_independent_targets(spec, [*read_queue(tmp_path).states.values()]) == [{"ann": False, "bob": False}]
