"""Counts and shares of things in sentences."""


def format_count(number: float, one: str, many: str = "") -> str:
    """Format a count with what is counted: "1 row", "1,204 rows".

    Args:
        number: The count, which is rounded.
        one: What follows the 1, such as "row" or "row is".
        many: What follows any other number, such as "rows are"; `one` with an s where it is left out.

    Returns:
        The text.
    """
    count = f"{number:,.0f}"
    return f"{count} {one if count == '1' else many or f'{one}s'}"


def format_share(share: float, digits: int = 1) -> str:
    """Format a share in percent, where a few of many are neither none nor all: "25.0%", "<0.1%", ">99.9%".

    Args:
        share: The share, from 0 to 1.
        digits: The digits after the decimal point.

    Returns:
        The text; a share that would be rounded to none or to all stands beside the nearest that isn't.
    """
    step, exact = 10.0**-digits, round(share, 9)  # sums of parts aren't 1 to the last digit
    if 0 < exact < step / 200:
        return f"<{step:.{digits}f}%"
    if 1 - step / 200 < exact < 1:
        return f">{100 - step:.{digits}f}%"
    return f"{share:.{digits}%}"
