"""Batches in the words of a training: their range, and whether their days are made up."""

from collections.abc import Sequence

from penumbra.core.problem import Problem
from penumbra.sources.row_reading import find_row_reading
from penumbra.training.split import format_batch_range


def describe_batches(problem: Problem, batches: Sequence[str]) -> str:
    """Name the first and the last of some batches.

    Args:
        problem: The problem, with its source.
        batches: At least one name, oldest first.

    Returns:
        Such as "2024-01 to 2024-03", or "2000-12 (made-up days)".
    """
    named = format_batch_range(batches)
    return f"{named} (made-up days)" if find_row_reading(problem).has_made_up_days else named
