"""What is told of the batches that training begins with."""

import datetime as dt
from dataclasses import dataclass, replace

from penumbra.drafting.files.batch_notes import list_batch_notes
from tests.helpers.problems.drafts import draft_orders


@dataclass(frozen=True)
class Month:
    name: str
    complete: dt.date


MONTHS = [Month(f"2024-{month:02}", dt.date(2024, month + 1, 1)) for month in range(1, 6)]


def tell(*rows, now=dt.date(2026, 1, 1), period="month"):
    """The notes on rows by month, from January on."""
    days = {dt.date(2024, month, 15): classes for month, classes in enumerate(rows, start=1)}
    draft = draft_orders("orders.csv", "classes")
    source = replace(draft.source, period=period)
    found = replace(draft, source=source, last_day=max(*days, dt.date(2024, 4, 30)), day_rows=days)
    return [*list_batch_notes(found, MONTHS, now, 1)]


def test_rows_of_a_period_that_is_not_over_are_told_with_a_remedy_where_no_more_may_come():
    assert tell(*[{"large": 9}] * 4) == []
    waiting = "122 rows are of a month that isn't known to be over, so they aren't used yet"
    rows = [*[{"large": 9}] * 4, {"large": 122}]
    assert tell(*rows, now=dt.date(2024, 5, 20)) == [waiting]
    assert tell(*rows) == [
        f"{waiting}: where no more will come, set data.today = 2024-06-01 and ingest, or pass a shorter --period"
    ]
    assert tell(*rows, period="day")[0].endswith("set data.today = 2024-06-01 and ingest")


def test_classes_that_a_part_of_the_batches_lacks_are_told_with_a_remedy():
    both = {"large": 5, "small": 5}
    assert tell(both, both, both, both) == []
    assert tell(both, both, {"large": 5}, both) == [
        "no row in the validation batches has size small: how well they are told isn't measured; join rare "
        "classes in target(), or hold out more batches"
    ]
    assert tell({"large": 5}, {"large": 5}, both, both) == [
        "no row before the held-out batches has size small: nothing can be trained; join rare classes in target(), or "
        "pass another --period"
    ]
    one_more = {**both, "medium": 5}
    assert tell(both, both, one_more, one_more) == [
        "no row before the held-out batches has size medium: scores are those of a model that gives them the "
        "probability 0; the released one learns from all"
    ]


def test_outcomes_that_end_before_the_rows_are_told_and_the_held_out_batches_are_those_that_have_some():
    both, later = {"large": 5, "small": 5}, {"": 10}
    assert tell(both, both, both, later) == [
        "the outcomes end on 2024-03-15, 31 days before the last row, and 10 rows wait for theirs: labels.delay_hours "
        "becomes 744, as if all came so late"
    ]
