"""Intervals as text: the same words in every table, card and sentence, where a limit isn't known too."""

import math
from collections.abc import Callable

from penumbra.core.text.tables import format_number

NO_INTERVAL, NO_LIMIT = "(no interval)", "no limit"


def format_limits(low: float | None, high: float | None, format_limit: Callable[[float], str] = format_number) -> str:
    """Format the limits of an interval, to stand behind its value.

    Args:
        low: Lower limit; None, infinite or NaN where there is none.
        high: Upper limit, likewise.
        format_limit: Formats a limit.

    Returns:
        Such as "[0.4700, 0.4990]"; "[no limit, 0.4990]" where one is unknown, "(no interval)" where both are.
    """
    shown = [None if each is None or not math.isfinite(each) else format_limit(each) for each in (low, high)]
    return f"[{', '.join(each or NO_LIMIT for each in shown)}]" if any(shown) else NO_INTERVAL


def format_signed(value: float) -> str:
    """Format a difference: a number with its sign.

    Args:
        value: The number.

    Returns:
        As `format_number` has it, such as "+0.0123"; "-" for NaN.
    """
    return format_number(value, "+")
