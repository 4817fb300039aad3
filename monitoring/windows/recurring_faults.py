"""Faults of a window in words, each once, however many of its days have it."""

import datetime as dt
from collections.abc import Sequence

from monitoring.windows.window_records import DayFault


def describe_faults(faults: Sequence[DayFault]) -> dict[tuple[str, str], str]:
    """Describe the faults of a window.

    Args:
        faults: The faults of its days.

    Returns:
        By kind and column, in the order of the days on which they began, the first one and the last day that has one of
        the kind, such as "2024-04-02: 61% of price are missing (…), and the like until 2024-04-05".
    """
    found: dict[tuple[str, str], list[DayFault]] = {}
    for fault in sorted(faults, key=lambda each: (each.day, each.column)):
        found.setdefault((fault.what, fault.column), []).append(fault)
    return {key: _describe_fault(same[0], max(each.last for each in same)) for key, same in found.items()}


def _describe_fault(first: DayFault, last: dt.date) -> str:
    goes_on = f", and the like until {last}" if last > first.last else ""
    return f"{first.span}: {first.text} ({first.cause}){goes_on}"
