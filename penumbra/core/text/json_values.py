"""Values as JSON has them."""

import math
from typing import Any


def replace_non_finite(value: Any) -> Any:
    """Replace infinity and NaN, which JSON doesn't have, by None.

    Args:
        value: Dictionaries, lists and tuples of plain values, or one value.

    Returns:
        The same, with lists in place of tuples.
    """
    if isinstance(value, dict):
        return {key: replace_non_finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [replace_non_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
