"""What the doctor notes of the days of a model's reference, which the monitor judges its windows by."""

from collections.abc import Iterator

import polars as pl

from flows.steps.train.exclusions.excluded_days import MIN_EARLIER_DAYS
from penumbra.core.columns import BATCH_COLUMN, DAY_COLUMN
from penumbra.core.settings import Settings
from penumbra.core.text.counts import format_count


def note_short_reference(
    batches: pl.Series, days: pl.Series, has_outcome: pl.Series, settings: Settings
) -> Iterator[str]:
    """Note that the batches for validation and test have too few days to say what is normal.

    Args:
        batches: The batch of each row, String [n].
        days: Its day, Date [n].
        has_outcome: Whether it has an outcome, Boolean [n].
        settings: Section [training] is read: the numbers of batches.

    Yields:
        A sentence, or none.
    """
    rows = pl.DataFrame({BATCH_COLUMN: batches, DAY_COLUMN: days}).filter(has_outcome)
    held_out = (
        rows[BATCH_COLUMN].unique().sort().tail(settings.training.validation_batches + settings.training.test_batches)
    )
    known = rows.filter(pl.col(BATCH_COLUMN).is_in(held_out.implode()))[DAY_COLUMN].n_unique()
    if known < MIN_EARLIER_DAYS:
        yield (
            f"the last {format_count(len(held_out), 'batch', 'batches')} with outcomes "
            f"(training.validation_batches + training.test_batches) have {format_count(known, 'day')}, of which a "
            "model's reference is made: the monitor judges drift, loss and data faults by it, and takes "
            f"{MIN_EARLIER_DAYS} days to know what is normal on which day of the week"
        )
