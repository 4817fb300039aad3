"""Counts of things in sentences."""


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
