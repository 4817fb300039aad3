"""Intervals as text."""

import math

import pytest

from penumbra.core.text.intervals import format_limits, format_signed


@pytest.mark.parametrize(
    ("limits", "text"),
    [
        ((0.47, 0.499), "[0.4700, 0.4990]"),
        ((0.0, 1834.2), "[0.0000, 1,834.2]"),
        ((-math.inf, math.inf), "(no interval)"),
        ((None, None), "(no interval)"),
        ((math.nan, math.nan), "(no interval)"),
        ((-math.inf, 0.499), "[no limit, 0.4990]"),
        ((0.47, None), "[0.4700, no limit]"),
    ],
)
def test_a_limit_that_is_not_known_is_said_in_words(limits: tuple[float | None, float | None], text: str) -> None:
    assert format_limits(*limits) == text


def test_the_limits_of_a_difference_have_signs() -> None:
    assert format_limits(-0.01, 0.02, format_signed) == "[-0.0100, +0.0200]"
