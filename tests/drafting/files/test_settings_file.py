"""The settings that another problem changes."""

import datetime as dt
from dataclasses import dataclass, replace

import pytest

from penumbra.core.settings import PROJECT_ROOT, load_settings
from penumbra.drafting.draft import NO_OUTCOME, DraftRefused
from penumbra.drafting.files.settings_file import (
    choose_settings,
    edit_settings,
    list_arrived,
    list_changes,
    list_usable,
)
from tests.helpers.problems.drafts import draft_orders

TEXT = (PROJECT_ROOT / "settings.toml").read_text()


@dataclass(frozen=True)
class Batch:
    name: str
    complete: dt.date


def make_batches(count, days=30, start=dt.date(2024, 1, 1)):
    ends = [start + dt.timedelta(days=days * n) for n in range(1, count + 1)]
    return [Batch(end.isoformat(), end) for end in ends]


def make_draft(count, days=30, rows_per_day=50, period="month"):
    draft = draft_orders("orders.csv")
    last = draft.first_day + dt.timedelta(days=count * days - 1)
    source = replace(draft.source, period=period)
    return replace(draft, source=source, last_day=last, days=count * days, rows=count * days * rows_per_day)


def choose(draft, batches, now=dt.date(2026, 1, 1), min_days=20, name="returned"):
    return choose_settings(draft, batches, min_days, name, now)


def test_where_the_data_have_ended_the_clock_stands_on_the_day_after_so_that_a_torn_batch_is_none():
    draft, batches = make_draft(6), make_batches(6)
    assert choose(draft, batches)["data.today"] == batches[-1].complete
    torn = replace(draft, last_day=draft.last_day - dt.timedelta(days=1))
    assert choose(torn, batches)["data.today"] == batches[-1].complete - dt.timedelta(days=1)


def test_the_last_day_is_no_batch_where_it_may_have_more_rows():
    daily = make_draft(20, 1, period="day")
    assert choose(daily, make_batches(20, 1))["data.today"] == daily.last_day


def test_where_days_are_made_up_the_clock_is_the_real_one_and_age_retrains_nothing():
    month = make_draft(6)
    dealt = replace(month, source=replace(month.source, options={"rows_per_day": 50}))
    chosen = choose(dealt, make_batches(6))
    assert (chosen["data.today"], chosen["monitor.every_days"]) == ("now", 0)
    assert len(list_arrived(dealt, make_batches(6), dt.date(2026, 1, 1))) == 6
    assert "monitor.every_days" not in choose(month, make_batches(6))


def test_where_the_data_reach_up_to_the_present_the_clock_is_the_real_one():
    chosen = choose(make_draft(6), make_batches(6), now=dt.date(2024, 6, 20))
    assert chosen["data.today"] == "now"


def test_only_batches_that_are_complete_count():
    with pytest.raises(
        DraftRefused, match=r"the data fill 2 batches with outcomes by month, and training takes at least 3.*--period"
    ):
        choose(make_draft(3), make_batches(3), now=dt.date(2024, 3, 20))


def count_rows(count, without):
    """Fifty rows on each of so many months' days, of which so many of the last months lack their outcomes."""
    days = [dt.date(2024, 1, 1) + dt.timedelta(days=n) for n in range(30 * count)]
    return {day: {"yes": 50} if n < 30 * (count - without) else {NO_OUTCOME: 50} for n, day in enumerate(days)}


def test_batches_without_outcomes_are_neither_learnt_from_nor_held_out_and_the_label_delay_is_their_age():
    draft = replace(make_draft(12), day_rows=count_rows(12, 8))
    chosen = choose(draft, make_batches(12))
    assert (chosen["training.test_batches"], chosen["labels.delay_hours"]) == (1, 8 * 30 * 24)
    assert [batch.name for batch in list_usable(draft, make_batches(12))] == [
        *("2024-01-31", "2024-03-01", "2024-03-31", "2024-04-30")
    ]
    assert "labels.delay_hours" not in choose(replace(draft, day_rows=count_rows(12, 0)), make_batches(12))
    with pytest.raises(DraftRefused, match="the data fill 2 batches with outcomes by month"):
        choose(replace(draft, day_rows=count_rows(12, 10)), make_batches(12))


@pytest.mark.parametrize(("count", "days", "held_out"), [(6, 30, 1), (26, 7, 3), (180, 1, 20), (20, 1, 5), (3, 1, 1)])
def test_test_and_validation_have_the_days_that_the_gate_wants_but_a_quarter_of_all_at_most(count, days, held_out):
    chosen = choose(make_draft(count, days), make_batches(count, days))
    assert (chosen["training.validation_batches"], chosen["training.test_batches"]) == (held_out, held_out)


def test_a_last_batch_that_is_short_is_held_out_with_the_one_before_it():
    draft = make_draft(12)
    short = {day: classes for day, classes in count_rows(12, 0).items() if day < dt.date(2024, 12, 8)}
    assert choose(replace(draft, day_rows=count_rows(12, 0)), make_batches(12))["training.test_batches"] == 1
    assert choose(replace(draft, day_rows=short), make_batches(12))["training.test_batches"] == 2


def test_with_few_rows_a_day_more_batches_are_held_out():
    assert choose(make_draft(24, 30, 2), make_batches(24))["training.test_batches"] == 4


def test_a_threshold_is_stated_of_a_binary_target_only():
    assert choose(make_draft(6), make_batches(6))["training.threshold"] == 0.5
    number = replace(make_draft(6), target=draft_orders("orders.csv", "number").target)
    assert "training.threshold" not in choose(number, make_batches(6))


def test_the_edited_file_has_the_new_values_and_every_comment(tmp_path):
    edited = edit_settings(TEXT, choose(make_draft(26, 7), make_batches(26, 7)))
    (tmp_path / "settings.toml").write_text(edited)
    settings = load_settings(tmp_path / "settings.toml", environ={})
    assert settings.data.today == dt.date(2024, 7, 1)
    assert settings.training.candidates == ["forest", "boosting", "linear"]
    assert settings.training.test_batches == 3
    assert settings.registry.model == "returned"
    assert settings.replay.candidate == "boosting"
    comments = [line.partition("#")[2].strip() for line in TEXT.splitlines()]
    assert [line.partition("#")[2].strip() for line in edited.splitlines() if "#" in line] == list(
        filter(None, comments)
    )


def test_what_is_told_of_the_key_already_is_accepted():
    draft = replace(make_draft(6), accepted=("order",))
    assert choose(draft, make_batches(6))["gate.accept"] == ["order"]


def test_columns_that_go_with_the_order_of_made_up_days_are_no_faults_of_days():
    draft = replace(make_draft(6), ordered=("region",))
    assert choose(draft, make_batches(6))["monitor.accept"] == ["region"]


def test_comments_stay_in_their_column():
    (line,) = (line for line in edit_settings(TEXT, {"data.today": "now"}).splitlines() if line.startswith("today"))
    (old,) = (line for line in TEXT.splitlines() if line.startswith("today"))
    assert line.startswith('today = "now"')
    assert line.index("#") == old.index("#")


def test_values_that_are_there_already_leave_the_file_as_it_is():
    document = {"data.bad_row_share": 0.05, "gate.accept": []}
    assert edit_settings(TEXT, document) == TEXT
    assert list_changes(TEXT, document) == []


def test_a_second_edit_changes_nothing():
    values = choose(make_draft(6), make_batches(6))
    once = edit_settings(TEXT, values)
    assert edit_settings(once, values) == once
