"""Which batches teach, which choose and which judge: always in the order of time."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Split:
    """Batch names, oldest first: models learn from `train`, `validation` chooses among them, `test` gives the score."""

    train: list[str]
    validation: list[str]
    test: list[str]

    @property
    def before_test(self) -> list[str]:
        return self.train + self.validation

    @property
    def all(self) -> list[str]:
        return self.train + self.validation + self.test


def split_batches(batches: Sequence[str], validation: int, test: int) -> Split:
    """The last `test` batches, the `validation` ones before them, and the rest. Raises ValueError if none is left."""
    ordered = sorted(batches)
    first_test = len(ordered) - test
    first_validation = first_test - validation
    if first_validation < 1:
        raise ValueError(
            f"training needs at least {validation + test + 1} batches (1 to train on, {validation} for validation, "
            f"{test} for the test) and there are {len(ordered)}: {', '.join(ordered) or 'none'}; "
            "ingest more (data.today) or lower training.validation_batches or training.test_batches"
        )
    return Split(ordered[:first_validation], ordered[first_validation:first_test], ordered[first_test:])
