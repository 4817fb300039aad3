import pytest

from penumbra.core.text.counts import format_count, format_share


@pytest.mark.parametrize(
    ("number", "words", "text"),
    [
        (0, ["row"], "0 rows"),
        (1, ["row"], "1 row"),
        (1204, ["row"], "1,204 rows"),
        (1, ["batch", "batches"], "1 batch"),
        (2, ["row is", "rows are"], "2 rows are"),
        (0.9, ["day"], "1 day"),
        (float("nan"), ["day"], "nan days"),
    ],
)
def test_one_thing_is_told_in_the_singular(number: float, words: list[str], text: str) -> None:
    assert format_count(number, *words) == text


@pytest.mark.parametrize(
    ("share", "digits", "text"),
    [
        (0.25, 1, "25.0%"),
        (0, 1, "0.0%"),
        (1, 1, "100.0%"),
        (1 / 2_600, 1, "<0.1%"),
        (1 - 1 / 2_600, 1, ">99.9%"),
        (0.0006, 1, "0.1%"),
        (0.004, 0, "<1%"),
        (0.997, 0, ">99%"),
        (0.1 + 0.2 + 0.7, 0, "100%"),
        (sum([0.1] * 10), 1, "100.0%"),
        (0.00001, 2, "<0.01%"),
        (float("nan"), 1, "nan%"),
    ],
)
def test_a_few_of_many_are_neither_none_nor_all_of_them(share: float, digits: int, text: str) -> None:
    assert format_share(share, digits) == text
