"""Faults of a window in words."""

import datetime as dt

from monitoring.windows.recurring_faults import describe_faults
from monitoring.windows.window_records import DayFault


def make_fault(day, column, text, days=1):
    return DayFault(dt.date(2024, 4, day), "vanished", column, text, "a part fell away", days)


def test_a_fault_of_several_days_is_described_once_by_its_first_day_and_with_its_last():
    faults = [make_fault(4, "shop", "no west"), make_fault(2, "shop", "no east"), make_fault(3, "size", "no large")]
    assert describe_faults(faults) == {
        ("vanished", "shop"): "2024-04-02: no east (a part fell away), and the like until 2024-04-04",
        ("vanished", "size"): "2024-04-03: no large (a part fell away)",
    }


def test_days_that_were_judged_together_are_named_as_such():
    assert describe_faults([make_fault(2, "shop", "no east", 3), make_fault(3, "shop", "no west")]) == {
        ("vanished", "shop"): "2024-04-02 to 2024-04-04: no east (a part fell away)"
    }
