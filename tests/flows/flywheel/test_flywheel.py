"""What was answered and labelled becomes a batch of training data: which rows, and once."""

import datetime as dt

import pytest

from flows.steps.ingest import recorded_version
from penumbra.core.columns import (
    ID_COLUMN,
    ORIGIN_COLUMN,
)
from penumbra.data.batches import DataStore
from penumbra.data.failure_set import FailureSet
from tests.helpers.files import make_dvc_repository
from tests.helpers.problems.fed_orders import (
    BATCH,
    NEXT,
    feed,
    log_answer,
    log_order,
    log_outcome,
    on_day,
    open_fed_project,
    open_index,
    open_store,
    read_manifest,
    take_back_answer,
)


def numbers(store, batch=BATCH):
    return sorted(store.rows(batch, ["order_id"])["order_id"].to_list())


@pytest.mark.slow
def test_a_month_that_was_answered_and_labelled_becomes_a_batch_once_its_labels_are_mature(tmp_path):
    settings, problem = open_fed_project(tmp_path)
    for number, day in ((1, 1), (2, 31)):
        log_order(tmp_path, number, day)
        log_outcome(tmp_path, number, churned=True, day=day)
    log_order(tmp_path, 3)
    assert feed(on_day(settings, "2024-06-01"), problem) == []
    feed(settings, problem)
    store = open_store(settings, problem)
    assert store.batches()[-1] == BATCH > store.source_batches()[-1] == "2024-04"
    assert numbers(store) == [1, 2]
    assert store.rows(BATCH).columns == store.rows("2024-04").columns
    assert feed(settings, problem) == []


def test_the_manifest_says_what_a_batch_was_made_of(tmp_path):
    settings, problem = open_fed_project(tmp_path)
    first, second = log_order(tmp_path, 1), log_order(tmp_path, 2, day=3)
    log_order(tmp_path, 3)
    log_outcome(tmp_path, 1, churned=False)
    log_answer(tmp_path, second, churned=True)
    (line,) = feed(settings, problem)
    manifest = read_manifest(open_store(settings, problem))
    assert (manifest.begin, manifest.end, manifest.predictions) == (None, dt.date(2024, 6, 1), 3)
    assert (manifest.first, manifest.last) == tuple(sorted([first, second]))
    assert (manifest.models, manifest.origins) == ({"3": 2}, {"outcome": 1, "people": 1})
    assert line.endswith(f"{BATCH}: of 3 answered rows 1 labelled by outcome, 1 labelled by people")


def test_a_later_label_of_a_model_doesnt_replace_what_people_said(tmp_path):
    settings, problem = open_fed_project(tmp_path)
    name = log_order(tmp_path, 1)
    log_answer(tmp_path, name, churned=True)
    log_answer(tmp_path, name, churned=False, source="model 3")
    feed(settings, problem)
    assert open_store(settings, problem).rows(BATCH, ["churned", ORIGIN_COLUMN]).rows() == [(True, "people")]


def test_an_outcome_counts_instead_of_what_people_said_before(tmp_path):
    settings, problem = open_fed_project(tmp_path)
    log_answer(tmp_path, log_order(tmp_path, 1), churned=True)
    log_outcome(tmp_path, 1, churned=False, day=5)
    feed(settings, problem)
    assert open_store(settings, problem).rows(BATCH, ["churned", ORIGIN_COLUMN]).rows() == [(False, "outcome")]


@pytest.mark.slow
@pytest.mark.parametrize(
    "label",
    [
        {"source": "model 3", "reviewers": ["ann"]},
        {"source": "label studio"},
        {"source": "review", "reviewers": []},
        {"source": "prediction"},
    ],
)
def test_a_label_that_neither_an_outcome_nor_people_gave_never_counts_as_truth(tmp_path, label):
    settings, problem = open_fed_project(tmp_path)
    log_answer(tmp_path, log_order(tmp_path, 1), churned=True, **label)
    assert feed(settings, problem) == []
    log_order(tmp_path, 2)
    log_outcome(tmp_path, 2, churned=True)
    feed(settings, problem)
    store = open_store(settings, problem)
    assert (numbers(store), read_manifest(store).unsigned) == ([2], label["source"] == "review")


@pytest.mark.slow
def test_a_row_that_the_source_has_is_the_sources(tmp_path):
    settings, problem = open_fed_project(tmp_path)
    there = open_store(settings, problem).rows("2024-04").row(0, named=True)
    log_order(tmp_path, there["order_id"])
    log_outcome(tmp_path, there["order_id"], churned=not there["churned"])
    log_order(tmp_path, 1)
    log_outcome(tmp_path, 1, churned=True)
    feed(settings, problem)
    store = open_store(settings, problem)
    assert (numbers(store), read_manifest(store).of_source) == ([1], 1)


@pytest.mark.slow
def test_what_arrives_later_from_the_source_wins_without_counting_twice(tmp_path):
    settings, problem = open_fed_project(tmp_path)
    for number in (1, 2):
        log_order(tmp_path, number)
        log_outcome(tmp_path, number, churned=True)
    feed(settings, problem)
    store = open_store(settings, problem)
    line = b"2,2024-05-01T12:00:00,west,20.0,40,true,false\n"
    store.stage("2024-05", {"orders.csv": b"order_id,at,region,amount,age,member,churned\n" + line})
    store.admit(["2024-05"])
    assert numbers(store) == [1]
    assert store.rows("2024-05", ["order_id", "churned"]).rows() == [(2, False)]


@pytest.mark.slow
def test_a_label_that_came_late_or_was_corrected_is_in_the_next_batch_and_counts_once(tmp_path):
    settings, problem = open_fed_project(tmp_path)
    for number in (1, 2):
        log_order(tmp_path, number)
    log_order(tmp_path, 3)
    log_outcome(tmp_path, 1, churned=True)
    log_outcome(tmp_path, 3, churned=True)
    feed(settings, problem)
    log_outcome(tmp_path, 1, churned=False, day=35)
    log_outcome(tmp_path, 2, churned=True, day=35)
    log_outcome(tmp_path, 3, churned=True, day=35)
    july = on_day(settings, "2024-07-02")
    feed(july, problem)
    store = open_store(july, problem)
    assert (numbers(store), numbers(store, NEXT)) == ([3], [1, 2])
    assert read_manifest(store, NEXT).late == 2


def test_a_row_that_breaks_the_contract_is_quarantined_as_it_was_logged(tmp_path):
    settings, problem = open_fed_project(tmp_path, settings={"data__bad_row_share": "0.5"})
    for number in (1, 2, 3):
        log_order(tmp_path, number, **({"age": 7} if number == 2 else {}))
        log_outcome(tmp_path, number, churned=True)
    feed(settings, problem)
    store = open_store(settings, problem)
    assert numbers(store) == [1, 3]
    assert store.quarantine(BATCH).select("order_id", "age", "penumbra.broken").rows() == [(2, 7, ["age|min"])]
    assert store.rows(BATCH, ["order_id", ID_COLUMN])[ID_COLUMN].n_unique() == 2


def test_a_batch_that_is_refused_as_a_whole_is_said_so_and_the_rest_of_the_ingest_goes_on(tmp_path):
    settings, problem = open_fed_project(tmp_path)
    log_order(tmp_path, 1, age=7)
    log_outcome(tmp_path, 1, churned=True)
    (line,) = feed(settings, problem)
    assert line.startswith(f"batch {BATCH} refused: 100.0% of its rows break the contract")
    assert open_store(settings, problem).flywheel_batches() == []


@pytest.mark.slow
def test_a_refused_period_is_checked_again_only_once_something_has_changed(tmp_path, monkeypatch):
    settings, problem = open_fed_project(tmp_path)
    log_order(tmp_path, 1, age=7)
    log_outcome(tmp_path, 1, churned=True)
    refused = feed(settings, problem)
    with monkeypatch.context() as patches:
        patches.setattr(DataStore, "stage", None)
        assert feed(settings, problem) == refused
    lenient = settings.data.model_copy(update={"bad_row_share": 0.5})
    for number in (2, 3):
        log_order(tmp_path, number)
        log_outcome(tmp_path, number, churned=True)
    feed(settings.model_copy(update={"data": lenient}), problem)
    assert numbers(open_store(settings, problem)) == [2, 3]


@pytest.mark.slow
@pytest.mark.parametrize("is_admitted", [False, True])
def test_a_pass_that_is_killed_as_it_admits_a_batch_loses_no_failure_and_adds_none_twice(
    tmp_path, monkeypatch, is_admitted
):
    settings, problem = open_fed_project(tmp_path)
    for number in range(1, 301):
        log_order(tmp_path, number)
        log_outcome(tmp_path, number, churned=number == 7)
    admit = DataStore.admit

    def be_killed(store, batches):
        if is_admitted:
            admit(store, batches)
        raise KeyboardInterrupt

    with monkeypatch.context() as patches:
        patches.setattr(DataStore, "admit", be_killed)
        with pytest.raises(KeyboardInterrupt):
            feed(settings, problem)
    feed(settings, problem)
    failures = FailureSet(settings.training.failures, problem.schema.Row).read()
    assert failures.select("order_id", "penumbra.batch").rows() == [(7, BATCH)]
    assert len(numbers(open_store(settings, problem))) == 300


def test_by_hand_one_batch_is_made_until_the_last_day_whose_labels_are_mature(tmp_path):
    settings, problem = open_fed_project(tmp_path, today="2024-05-05", settings={"flywheel__period": ""})
    for number, day in ((1, 1), (2, 4)):
        log_order(tmp_path, number, day)
        log_outcome(tmp_path, number, churned=True)
    assert feed(settings, problem) == []
    feed(settings, problem, "once")
    store = open_store(settings, problem)
    assert store.flywheel_batches() == ["2024-04+flywheel-2024-05-04"]
    assert numbers(store, "2024-04+flywheel-2024-05-04") == [1]
    said = feed(settings, problem, "once")
    assert said == [
        "no flywheel batch: no answered row has a label that is mature and new; of 2 answered rows 2 are labelled, "
        "those of 2024-05-04 are mature from 2024-05-06 on (labels.delay_hours)"
    ]


def test_where_rows_were_answered_after_today_as_it_is_set_the_clock_is_named(tmp_path):
    settings, problem = open_fed_project(tmp_path, today="2024-04-30")
    log_order(tmp_path, 1)
    log_outcome(tmp_path, 1, churned=True)
    assert feed(settings, problem, "once") == [
        "no flywheel batch: no answered row has a label that is mature and new on data.today = 2024-04-30; 1 row was "
        "answered since then; of 1 answered row 1 is labelled, those of 2024-05-01 are mature from 2024-05-03 on "
        "(labels.delay_hours)"
    ]


@pytest.mark.parametrize("at", ["9999-12-31T00:00:00", "9999-12-31T23:59:59.999999"])
def test_rows_of_the_last_day_there_is_wait_for_it(tmp_path, at):
    settings, problem = open_fed_project(tmp_path)
    log_order(tmp_path, 1, at=at)
    log_outcome(tmp_path, 1, churned=True)
    (said,) = feed(settings, problem, "once")
    assert said.endswith("those of 9999-12-31 are mature from 9999-12-31 on (labels.delay_hours)")


@pytest.mark.parametrize(
    ("period", "ends"),
    [
        ("day", ["2024-05-29", "2024-05-30", "2024-05-31", "2024-06-01"]),
        ("week", ["2024-06-03", "2024-06-10"]),
        ("month", ["2024-06-01", "2024-07-01"]),
    ],
)
def test_each_period_that_is_over_has_a_batch_of_its_own(tmp_path, period, ends):
    from flows.steps.flywheel.batch_making import list_due_ends

    settings, problem = open_fed_project(tmp_path, today="2024-07-02", settings={"flywheel__period": period})
    log_order(tmp_path, 1, day=28)
    index = open_index(settings, problem)
    index.catch_up()
    due = [str(end) for end in list_due_ends(settings, index, open_store(settings, problem))]
    assert due[: len(ends)] == ends


@pytest.mark.slow
def test_a_label_that_people_took_back_is_learnt_no_more(tmp_path):
    settings, problem = open_fed_project(tmp_path)
    names = [log_order(tmp_path, number) for number in (1, 2, 3)]
    log_answer(tmp_path, names[0], churned=True)
    log_answer(tmp_path, names[1], churned=True)
    feed(settings, problem)
    take_back_answer(tmp_path, names[0])
    take_back_answer(tmp_path, names[2])
    july = on_day(settings, "2024-07-02")
    feed(july, problem)
    store = open_store(july, problem)
    assert (numbers(store), store.rows(NEXT, ["order_id", "churned"]).rows()) == ([2], [(1, None)])
    assert feed(on_day(settings, "2024-08-02"), problem) == []


def test_the_labels_of_a_flywheel_batch_are_not_reported_as_outcomes_again(tmp_path):
    settings, problem = open_fed_project(tmp_path)
    log_answer(tmp_path, log_order(tmp_path, 1), churned=True)
    feed(settings, problem)
    store = open_store(settings, problem)
    index = open_index(settings, problem)
    index.attach_labels(store.rows(batch) for batch in store.source_batches())
    with index.open() as db:
        sources = {source for (source,) in db.execute("SELECT DISTINCT source FROM labels")}
    assert sources == {"review", *(f"batch {batch}" for batch in store.source_batches())}


def test_an_ingest_records_flywheel_batches_and_names_the_sources(tmp_path, monkeypatch):
    settings, problem = open_fed_project(tmp_path)
    make_dvc_repository(tmp_path)
    log_order(tmp_path, 1)
    log_outcome(tmp_path, 1, churned=True)
    feed(settings, problem)
    line = recorded_version.report_data_version(open_store(settings, problem)).splitlines()[0]
    assert line.endswith(f": 5 batches, 2024-01 to {BATCH}")


@pytest.mark.slow
def test_rows_on_which_the_service_was_far_off_are_held_out_from_then_on(tmp_path):
    settings, problem = open_fed_project(tmp_path)
    names = [log_order(tmp_path, number) for number in range(1, 301)]
    for number, name in enumerate(names, start=1):
        if number == 7:
            log_answer(tmp_path, name, churned=True)
        else:
            log_outcome(tmp_path, number, churned=False)
    feed(settings, problem)
    failures = FailureSet(settings.training.failures, problem.schema.Row).read()
    assert failures.select("order_id", "penumbra.batch", "penumbra.model").rows() == [(7, BATCH, "3")]


@pytest.mark.slow
def test_rows_that_were_answered_while_the_task_was_another_are_learnt_from(tmp_path):
    settings, problem = open_fed_project(tmp_path)
    log_order(tmp_path, 1, output=[0.2, 0.5, 0.3], decision="late")
    log_order(tmp_path, 2)
    for number in (1, 2):
        log_outcome(tmp_path, number, churned=True)
    feed(settings, problem)
    assert numbers(open_store(settings, problem)) == [1, 2]


def test_without_a_primary_key_no_batch_is_made_and_the_reason_is_said(tmp_path):
    settings, problem = open_fed_project(tmp_path, schema=[("primary_key=True, min=1", "nullable=False, min=1")])
    reason = "no flywheel batch: Row of problem/schema.py has no primary key to tell its rows from the source's by"
    assert feed(settings, problem, "once") == [reason]
