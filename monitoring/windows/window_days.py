"""Words for the days of a window."""

import datetime as dt

from penumbra.core.text.counts import format_count


def format_window_days(begin: dt.date, end: dt.date) -> str:
    """Format the days of a window, the last one included.

    Args:
        begin: The first day.
        end: The first day after the window.

    Returns:
        Such as "2024-04-01 to 2024-04-07".
    """
    return f"{begin} to {end - dt.timedelta(days=1)}"


def describe_stretch(days: int | None, window_days: int, shift: str = "") -> str:
    """Describe over which days something has moved, and where to.

    Args:
        days: Over how many of the latest days; None for the window's own.
        window_days: The number of days of the window.
        shift: "higher", "lower" or "".

    Returns:
        Such as ", higher over the last 28 days"; "" for the window's own days without a shift.
    """
    words = [shift, f"over the last {format_count(days, 'day')}" if days and days > window_days else ""]
    return "".join([", ", " ".join(filter(None, words))]) if any(words) else ""


def describe_missing_windows(days: int, today: dt.date) -> str:
    """Describe why a monitor pass has judged no window yet.

    Args:
        days: The settings' `monitor.window_days`.
        today: The settings' `data.today`.

    Returns:
        A sentence.
    """
    return (
        f"No window is over yet: the service has to answer for {format_count(days, 'day')} of events, and "
        f"data.today ({today}) to be "
        "after them."
    )
