"""What a column has in rows of one class alone (a value, any value, or none), as what comes with the outcome does."""

from dataclasses import dataclass

import polars as pl

from penumbra.core.text.quoting import quote_value

MAX_CHANCE = 1e-6  # that rows drawn at random would all be of one class
MAX_VALUES = 200  # of a column of which each value is looked at


@dataclass(frozen=True)
class OneClassValue:
    """What a column has in rows of one class alone.

    Attributes:
        state: What it has, such as "is missing" or "is 'phone'".
        outcome: The class.
        rows: How many rows are so.
    """

    state: str
    outcome: str
    rows: int

    def __str__(self) -> str:
        """The end of a sentence that begins with the column."""
        target = quote_value(self.outcome)
        return f"{self.state} only where the target is {target} ({self.rows:,} of the rows looked at)"


def find_one_class_value(values: pl.Series, classes: pl.Series) -> OneClassValue | None:
    """Find what a column has in rows of one class alone, and in too many of them for chance.

    A single value counts in a rarer class only: rows of one product may well all be of the commonest.

    Args:
        values: The column, [n], null or NaN for missing.
        classes: The class of each row, String [n], without nulls.

    Returns:
        Whether it has a value, else whether it is missing, else the commonest single value of that kind; None for
        none of them.
    """
    plain = values.fill_nan(None) if values.dtype.is_float() else values
    plain = plain.cast(pl.String) if values.dtype == pl.Boolean else plain
    rows = pl.DataFrame({"value": plain, "class": classes})
    shares = dict(rows["class"].value_counts(sort=True, normalize=True, name="share").iter_rows())
    is_given = _find_pure_groups(rows, pl.col("value").is_not_null()).sort("group", descending=True)
    for has_value, outcome, count in is_given.iter_rows():
        if shares[outcome] < 1 and shares[outcome] ** count <= MAX_CHANCE:
            return OneClassValue("has a value" if has_value else "is missing", outcome, count)
    known = rows.drop_nulls("value")
    if (different := known["value"].n_unique()) > MAX_VALUES:
        return None
    commonest = next(iter(shares), "")
    pure = _find_pure_groups(known, pl.col("value")).filter(pl.col("outcome") != commonest)
    for value, outcome, count in pure.sort("rows", "group", descending=[True, False]).iter_rows():
        if shares[outcome] ** count * different <= MAX_CHANCE:
            return OneClassValue(f"is {quote_value(value)}", outcome, count)
    return None


def _find_pure_groups(rows: pl.DataFrame, group: pl.Expr) -> pl.DataFrame:
    """Groups of rows that are all of one class: the group, the class as `outcome`, and the number of `rows`."""
    classes = pl.col("class")
    groups = rows.group_by(group.alias("group")).agg(
        classes.n_unique().alias("classes"), classes.first().alias("outcome"), pl.len().alias("rows")
    )
    return groups.filter(pl.col("classes") == 1).drop("classes")
