"""Columns that tell the target: what can't be known when a prediction is made, or should be looked at."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from penumbra.core.text.quoting import quote_value

MIN_LEAK_ROWS = 100
MIN_VALUE_ROWS = 20  # on average, of each value of a column that is taken for a table of values
MIN_CLASS_ROWS = 10
MIN_SHARED_MISSING, MIN_MISSING_COVERAGE = 0.99, 0.5  # of the rows without a value, and of those without a target
CERTAIN, SUSPICIOUS = 0.999, 0.98  # shares of rows of each class that are told, and likenesses of numbers
MAX_CHANCE = 1e-6  # that rows drawn at random would all be of one class
CERTAIN_AREA = 0.9999  # area under the ROC curve of a single number


@dataclass(frozen=True)
class Leak:
    """A column that tells the target.

    Attributes:
        is_certain: Whether it is next to sure that it is known only afterwards.
        reason: What it tells, as a phrase.
    """

    is_certain: bool
    reason: str


def find_leak(values: pl.Series, target: pl.Series, is_number: bool) -> Leak | None:
    """Find out whether a column tells the target by itself.

    Args:
        values: The column in the sample.
        target: The target in the same rows.
        is_number: Whether the target is predicted as a number.

    Returns:
        What it tells; None where that is no more than a good feature might.
    """
    if leak := _compare_missing(values.is_null(), target.is_null()):
        return leak
    known = target.is_not_null()
    values, target = values.filter(known), target.filter(known)
    if len(target) < MIN_LEAK_ROWS:
        return None
    if is_number:
        return _compare_numbers(values, target) if values.dtype.is_numeric() else None
    classes = target.cast(pl.String)
    if leak := _try_table(values.is_not_null(), classes, "whether it is missing"):
        return leak
    if leak := _find_own_class(values.is_not_null(), classes, "has a value") or _find_own_class(
        values.is_null(), classes, "is missing"
    ):
        return leak
    if values.n_unique() * MIN_VALUE_ROWS <= len(values):
        return _try_table(values, classes, "its value")
    return _try_order(values, classes) if values.dtype.is_numeric() and classes.n_unique() == 2 else None


def _compare_missing(lacks_value: pl.Series, lacks_target: pl.Series) -> Leak | None:
    """What is missing only in rows without an outcome, and in most of them, is measured with it."""
    both = int((lacks_value & lacks_target).sum())
    shares = both / max(int(lacks_value.sum()), 1), both / max(int(lacks_target.sum()), 1)
    if both < MIN_CLASS_ROWS or shares[0] < MIN_SHARED_MISSING or shares[1] < MIN_MISSING_COVERAGE:
        return None
    return Leak(True, f"missing where the target is ({shares[1]:.0%} of those rows) and nowhere else: measured with it")


def _compare_numbers(values: pl.Series, target: pl.Series) -> Leak | None:
    """The correlation of ranks, as a copy may have another unit."""
    both = values.is_not_null()
    if both.sum() < MIN_LEAK_ROWS:
        return None
    ranks = np.array([each.filter(both).rank().to_numpy() for each in (values, target)])
    if np.ptp(ranks, axis=1).min() == 0:
        return None
    return _judge(abs(float(np.corrcoef(ranks)[0, 1])), CERTAIN, "it rises and falls with the target")


def _try_table(values: pl.Series, classes: pl.Series, what: str) -> Leak | None:
    """The mean over classes of the share of their rows whose commonest class by value is theirs."""
    rows = pl.DataFrame({"value": values, "class": classes})
    counts = rows.group_by("class").len(name="rows")
    if counts["rows"].min() < MIN_CLASS_ROWS or values.n_unique() < 2:  # type: ignore[operator]
        return None
    told = rows.group_by("value", "class").len(name="rows").sort("rows", "class", descending=[True, False])
    hits = told.unique("value", keep="first").group_by("class").agg(pl.col("rows").sum().alias("hits"))
    shares = counts.join(hits, on="class", how="left").select(pl.col("hits").fill_null(0) / pl.col("rows"))
    return _judge(float(shares.to_series().mean() or 0), CERTAIN, f"{what} tells the target")  # type: ignore[arg-type]


def _find_own_class(is_so: pl.Series, classes: pl.Series, what: str) -> Leak | None:
    """What is so in rows of one class only, and of too many for chance."""
    of_them = classes.filter(is_so)
    if of_them.n_unique() != 1 or is_so.all():
        return None
    name, rows = of_them[0], len(of_them)
    if float((classes == name).mean() or 0) ** rows > MAX_CHANCE:
        return None
    return Leak(False, f"it {what} only where the target is {quote_value(name)} ({rows:,} rows of the sample)")


def _try_order(values: pl.Series, classes: pl.Series) -> Leak | None:
    """The area under the ROC curve, by ranks."""
    both = values.is_not_null()
    yes = (classes.filter(both) == classes.max()).to_numpy()
    positives, negatives = int(yes.sum()), int((~yes).sum())
    if min(positives, negatives) < MIN_CLASS_ROWS:
        return None
    ranks = values.filter(both).rank().to_numpy()
    area = (ranks[yes].sum() - positives * (positives + 1) / 2) / (positives * negatives)
    return _judge(max(area, 1 - area), CERTAIN_AREA, "its size tells the target")


def _judge(score: float, certain: float, what: str) -> Leak | None:
    if score < SUSPICIOUS:
        return None
    return Leak(score >= certain, f"{what} ({score:.2%} alike): it may be known only afterwards")
