"""Which batches are for training, validation and test, in the order of time; and which rows are held out as failures.

The rows on which a live model failed are kept out of what candidates are fitted on, and every candidate is scored on
them beside the usual validation. They are the live model's failures and nobody else's: the live model looks bad on them
by construction, so that scores on them compare candidates with each other, never a candidate with the live model. And
they are unlike the rest: only a few in a thousand are taken, so that the rows left to fit on don't become much easier
than the world.

Source:
    Kiela et al., "Dynabench: rethinking benchmarking in NLP", 2021 (validation that grows with the failures).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from penumbra.core.columns import DAY_COLUMN, LOSS_COLUMN, VALUE_COLUMN
from penumbra.core.text.counts import format_count

SHOWN_SPANS = 5  # of batches that follow each other
SPLIT_PARTS = ("train", "validation", "test", "release_only")  # of a split, as a bundle's facts name them


@dataclass(frozen=True)
class Split:
    """The batches by purpose, oldest first.

    Args:
        train: Names of the batches that candidates are fitted on.
        validation: Names of the batches on which one of them is chosen.
        test: Names of the batches that give its score.
        release_only: Names of batches that only the released model learns from: they are as new as those that
            candidates are judged on, and none is judged on them.
    """

    train: list[str]
    validation: list[str]
    test: list[str]
    release_only: list[str] = field(default_factory=list)

    @property
    def before_test(self) -> list[str]:
        """The batches for training and validation."""
        return self.train + self.validation

    @property
    def all(self) -> list[str]:
        """All batches: those of the released model."""
        return self.train + self.validation + self.test + self.release_only


def split_batches(batches: Sequence[str], validation: int, test: int, unjudged: Collection[str] = ()) -> Split:
    """Split batches by time: the last ones for the test, those before for validation, the rest for training.

    Args:
        batches: Names that sort by time.
        validation: Number of batches for validation.
        test: Number of batches for the test.
        unjudged: Names among `batches` of those that can be learnt from, but that nothing is judged on. Candidates
            learn from those before the batches for validation.

    Returns:
        The split.

    Raises:
        ValueError: If no batch is left for training.
    """
    ordered, others = sorted(set(batches) - set(unjudged)), sorted(set(batches) & set(unjudged))
    first_test = len(ordered) - test
    first_validation = first_test - validation
    if first_validation < 1:
        raise ValueError(
            f"training needs at least {validation + test + 1} batches (1 to train on, {validation} for validation, "
            f"{test} for the test) and there are {len(ordered)}: {', '.join(ordered) or 'none'}; "
            "ingest more (data.today) or lower training.validation_batches or training.test_batches"
        )
    train, judged = ordered[:first_validation], ordered[first_validation:]
    older, newer = ([name for name in others if (name < judged[0]) is is_older] for is_older in (True, False))
    return Split(sorted([*train, *older]), judged[:validation], judged[validation:], newer)


def format_batch_range(batches: Sequence[str]) -> str:
    """Name the first and the last of some batches.

    Args:
        batches: At least one name, oldest first.

    Returns:
        Such as "2024-01 to 2024-03", or the only name.
    """
    return batches[0] if len(batches) == 1 else f"{batches[0]} to {batches[-1]}"


def format_batch_spans(batches: Sequence[str], known: Sequence[str]) -> str:
    """Name some batches, those that follow each other as one span.

    Args:
        batches: At least one name, oldest first.
        known: All batches, oldest first.

    Returns:
        Such as "3 batches, 2023-10, 2024-01 to 2024-02"; of more than five spans the first and the last batch.
    """
    if len(batches) == 1:
        return batches[0]
    place = {batch: number for number, batch in enumerate(known)}
    spans: list[list[str]] = []
    for batch in batches:
        if not spans or place[batch] != place[spans[-1][-1]] + 1:
            spans.append([])
        spans[-1].append(batch)
    if len(spans) > SHOWN_SPANS:
        return f"{format_count(len(batches), 'batch', 'batches')} between {batches[0]} and {batches[-1]}"
    return f"{format_count(len(batches), 'batch', 'batches')}, {', '.join(map(format_batch_range, spans))}"


def select_worst_failures(rows: pl.DataFrame, share: float = 0.004, most: int = 200) -> pl.DataFrame:
    """Select the rows with the largest losses.

    On a day of chaos everything fails: no day gives more than a fifth of the rows.

    Args:
        rows: Rows with the column `penumbra.loss` and, where days are to be limited, `penumbra.day`.
        share: The share of the rows to select, rounded down.
        most: The largest number of rows to select.

    Returns:
        Those rows, the largest loss first.
    """
    count = min(int(len(rows) * share), most)
    worst = rows.sort(LOSS_COLUMN, descending=True, maintain_order=True)
    if DAY_COLUMN in rows.columns:
        worst = worst.filter(pl.int_range(pl.len()).over(DAY_COLUMN) < max(1, count // 5))
    return worst.head(count)


def mask_matching_rows(rows: pl.DataFrame, failures: pl.DataFrame, key: Sequence[str]) -> np.ndarray:
    """Mark the rows that are among the failures.

    Args:
        rows: Rows with the key's columns.
        failures: Rows with the key's columns.
        key: The columns that identify a row; without any, no row can be found among the failures.

    Returns:
        bool [n], True for rows whose key is among the failures.
    """
    if not key:
        return np.zeros(rows.height, bool)
    marked = failures.select(key).unique().with_columns(pl.lit(value=True).alias(VALUE_COLUMN))
    return (
        rows.select(key).join(marked, on=key, how="left", maintain_order="left")[VALUE_COLUMN].is_not_null().to_numpy()
    )


def pick_evenly_spaced(count: int, most: int) -> np.ndarray:
    """Pick positions spread evenly over rows.

    Args:
        count: Number of rows.
        most: The largest number of positions.

    Returns:
        int64, ascending.
    """
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(int))
