"""What a column has in rows of one class alone, beyond chance."""

import polars as pl
import pytest

from penumbra.training.doctor.notes import note_one_class_values
from penumbra.training.doctor.one_class_values import find_one_class_value

LATE = pl.Series([n % 4 == 0 for n in range(400)])
CLASSES = LATE.cast(pl.String)


def fill(where_late, elsewhere):
    """A column whose rows have these values in turn, by whether they are late."""
    return pl.Series("complaint", [(where_late if n % 4 == 0 else elsewhere)[n // 4 % 2] for n in range(400)])


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (fill(["phone", None], [None, None]), "has a value only where the target is 'true' (50 of the rows looked at)"),
        (fill([None, 2.5], [1.5, 2.5]), "is missing only where the target is 'true' (50 of the rows looked at)"),
        (
            fill([float("nan"), 2.5], [1.5, 2.5]),
            "is missing only where the target is 'true' (50 of the rows looked at)",
        ),
        (
            fill(["refund", "none"], ["none", "none"]),
            "is 'refund' only where the target is 'true' (50 of the rows looked at)",
        ),
        (fill([9, 0], [0, 1]), "is 9 only where the target is 'true' (50 of the rows looked at)"),
    ],
)
def test_a_state_in_rows_of_one_class_alone_is_found(values, words):
    assert str(find_one_class_value(values, CLASSES)) == words


@pytest.mark.parametrize(
    "values",
    [
        fill(["phone", None], ["phone", None]),
        fill(["none", "none"], ["none", "gift"]),
        pl.Series(["x"] + [None] * 399),
        pl.Series([f"customer {n}" for n in range(400)]),
    ],
    ids=["in both", "a single value in the commonest", "too few for chance", "another in each row"],
)
def test_what_both_classes_have_or_chance_may_give_is_not(values):
    assert find_one_class_value(values, CLASSES) is None


def test_one_class_alone_tells_nothing():
    assert find_one_class_value(fill(["a", None], ["b", None]), pl.Series(["yes"] * 400)) is None


def test_the_doctor_notes_it_with_the_remedy():
    features = pl.DataFrame([fill(["phone", None], [None, None])])
    assert list(note_one_class_values(features, LATE)) == [
        "complaint has a value only where the target is 'true' (50 of the rows looked at): ask whether complaint is "
        "known when the prediction is made; if not, take it out of problem/features.py (where that is left out, out of "
        "Row in problem/schema.py)"
    ]
    assert list(note_one_class_values(features, pl.Series(range(400)))) == []
