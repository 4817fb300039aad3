import pytest

from penumbra.core.text.counts import format_count


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
