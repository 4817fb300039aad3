"""What rows of flywheel batches stand for, by the chance with which they were picked or explored."""

import pytest

from penumbra.core.columns import (
    ORIGIN_COLUMN,
    PROBABILITY_COLUMN,
    SELECTED_COLUMN,
    SURENESS_COLUMN,
    WEIGHT_COLUMN,
)
from tests.helpers.problems.fed_orders import (
    BATCH,
    NEXT,
    REFUSED_LOANS,
    feed,
    log_answer,
    log_order,
    log_outcome,
    on_day,
    open_fed_project,
    open_store,
    pick_order,
    read_manifest,
)


def test_a_row_stands_for_so_many_as_its_chance_of_being_picked_says_and_an_outcome_for_itself(tmp_path):
    settings, problem = open_fed_project(tmp_path)
    names = [log_order(tmp_path, number) for number in (1, 2, 3)]
    log_answer(tmp_path, names[0], churned=True, probability=0.05, sureness="likely")
    log_answer(tmp_path, names[1], churned=True, probability=1.0)
    log_outcome(tmp_path, 3, churned=False)
    feed(settings, problem)
    columns = [ORIGIN_COLUMN, PROBABILITY_COLUMN, WEIGHT_COLUMN, SURENESS_COLUMN, SELECTED_COLUMN]
    assert open_store(settings, problem).rows(BATCH, [*columns]).sort(ORIGIN_COLUMN, WEIGHT_COLUMN).rows() == [
        ("outcome", 1.0, 1.0, "", False),
        ("people", 1.0, 1.0, "sure", False),
        ("people", 0.05, 20.0, "likely", False),
    ]


@pytest.mark.slow
def test_all_batches_are_read_with_their_weights_by_reading_each_key_once(tmp_path, monkeypatch):
    settings, problem = open_fed_project(tmp_path, settings={"flywheel__period": "day"})
    for number in range(1, 9):
        log_order(tmp_path, number, day=number)
        log_outcome(tmp_path, number, churned=True, day=number)
    feed(settings, problem)
    store, read = open_store(settings, problem), []
    ensure = store._ensure_partition
    monkeypatch.setattr(store, "_ensure_partition", lambda batch: read.append(batch) or ensure(batch))
    found = [store.weighted_rows(batch).height for batch in store.flywheel_batches()]
    assert found == [1] * 8
    assert len(read) == 2 * 8 + len(store.source_batches())


@pytest.mark.slow
def test_of_rows_that_a_decision_prevents_the_share_is_said_and_the_others_are_marked_as_selected(tmp_path):
    settings, problem = open_fed_project(tmp_path, rules=REFUSED_LOANS)
    for number in range(1, 5):
        log_order(tmp_path, number, decision=number > 1)
    log_outcome(tmp_path, 1, churned=True)
    (line,) = feed(settings, problem)
    store = open_store(settings, problem)
    assert store.rows(BATCH, [SELECTED_COLUMN, WEIGHT_COLUMN]).rows() == [(True, 1.0)]
    assert read_manifest(store).prevented == 3
    assert "75.0% of the rows have no outcome because of what was decided, so the batch is selected" in line


def test_a_row_that_was_explored_stands_for_those_that_were_not(tmp_path):
    settings, problem = open_fed_project(tmp_path, rules=REFUSED_LOANS)
    log_order(tmp_path, 1)
    log_order(tmp_path, 2, explored=True, explore_share=0.1)
    log_order(tmp_path, 3, decision=True, explore_share=0.1)
    for number in (1, 2):
        log_outcome(tmp_path, number, churned=True)
    feed(settings, problem)
    store = open_store(settings, problem)
    found = store.rows(BATCH, ["order_id", SELECTED_COLUMN, PROBABILITY_COLUMN, WEIGHT_COLUMN]).sort("order_id").rows()
    assert found == [(1, True, 1.0, 1.0), (2, False, 0.1, 10.0)]
    assert (read_manifest(store).prevented, read_manifest(store).explored) == (1, 1)


@pytest.mark.slow
def test_rows_that_were_picked_for_people_stand_for_themselves_where_others_are_explored_early_or_late(tmp_path):
    settings, problem = open_fed_project(tmp_path, rules=REFUSED_LOANS)
    explored = [log_order(tmp_path, number, explored=True, explore_share=0.1) for number in (1, 2, 3)]
    refused = log_order(tmp_path, 4, decision=True, explore_share=0.1)
    for name in (*explored[:2], refused):
        pick_order(tmp_path, name)
    log_answer(tmp_path, explored[0], churned=True, probability=0.01)
    log_outcome(tmp_path, 2, churned=True)
    log_outcome(tmp_path, 3, churned=True)
    feed(settings, problem)
    log_answer(tmp_path, refused, churned=True, day=35)
    feed(on_day(settings, "2024-07-02"), problem)
    store, columns = open_store(settings, problem), ["order_id", PROBABILITY_COLUMN, WEIGHT_COLUMN]
    found = store.rows(BATCH, columns).sort("order_id").rows()
    assert found == [(1, 0.01, 1.0), (2, 0.1, 1.0), (3, 0.1, 10.0)]
    assert store.rows(NEXT, columns).rows() == [(4, 0.25, 1.0)]


def test_a_row_that_was_asked_about_again_was_picked_if_one_of_its_predictions_was(tmp_path):
    settings, problem = open_fed_project(tmp_path, rules=REFUSED_LOANS)
    pick_order(tmp_path, log_order(tmp_path, 1, explored=True, explore_share=0.1))
    log_order(tmp_path, 1, day=2, explored=True, explore_share=0.1)
    log_outcome(tmp_path, 1, churned=True, day=3)
    feed(settings, problem)
    assert open_store(settings, problem).rows(BATCH, [WEIGHT_COLUMN]).rows() == [(1.0,)]


def test_in_a_fit_rows_that_were_picked_count_by_the_root_of_what_they_stand_for_with_the_same_sum(tmp_path):
    settings, problem = open_fed_project(tmp_path, rules=REFUSED_LOANS)
    for number, probability in ((1, 1.0), (2, 0.04)):
        log_answer(tmp_path, log_order(tmp_path, number), churned=True, probability=probability)
    log_order(tmp_path, 3, explored=True, explore_share=0.1)
    log_outcome(tmp_path, 3, churned=True)
    asked = log_order(tmp_path, 4, decision=True, explore_share=0.1)
    log_answer(tmp_path, asked, churned=True, probability=0.04)
    feed(settings, problem)
    found = open_store(settings, problem).weighted_rows(BATCH).sort("order_id")[WEIGHT_COLUMN].to_list()
    assert found == pytest.approx([26 / 6, 5 * 26 / 6, 10, 1])


def test_rows_that_were_picked_with_one_chance_count_as_they_stand_for(tmp_path):
    settings, problem = open_fed_project(tmp_path)
    for number in (1, 2, 3):
        log_answer(tmp_path, log_order(tmp_path, number), churned=True, probability=0.3)
    feed(settings, problem)
    found = open_store(settings, problem).weighted_rows(BATCH)[WEIGHT_COLUMN]
    assert (found.n_unique(), found[0]) == (1, pytest.approx(1 / 0.3))


@pytest.mark.slow
def test_an_outcome_that_comes_after_what_people_said_makes_the_row_stand_for_itself(tmp_path):
    settings, problem = open_fed_project(tmp_path)
    log_answer(tmp_path, log_order(tmp_path, 1), churned=True)
    feed(settings, problem)
    log_outcome(tmp_path, 1, churned=True, day=35)
    july = on_day(settings, "2024-07-02")
    feed(july, problem)
    store, columns = open_store(july, problem), [ORIGIN_COLUMN, WEIGHT_COLUMN]
    assert (store.rows(BATCH, columns).rows(), store.rows(NEXT, columns).rows()) == ([], [("outcome", 1.0)])


def test_where_nothing_is_prevented_no_share_is_said(tmp_path):
    settings, problem = open_fed_project(tmp_path, rules=REFUSED_LOANS)
    log_order(tmp_path, 1, explored=True, explore_share=0.5)
    log_outcome(tmp_path, 1, churned=True)
    (line,) = feed(settings, problem)
    assert line.splitlines()[2:] == ["1 row was decided otherwise by chance, to stand for such rows"]
