"""The explanation of a window as it is kept in the window's record. Plain JSON (`msgspec`)."""

import datetime as dt
from dataclasses import dataclass, field


@dataclass(frozen=True)
class ChangeDay:
    """The estimated first day of a lasting change, with a 95 % interval.

    Attributes:
        day: The most likely first day.
        low: The first day of the interval.
        high: The last day of the interval.
        is_open: Whether the interval begins with the first day that was looked at: the change may be older.
    """

    day: dt.date
    low: dt.date
    high: dt.date
    is_open: bool = False


@dataclass(frozen=True)
class ColumnShift:
    """The shift of a column that is beyond its threshold.

    Attributes:
        column: The column, or "the predictions".
        ratio: Its distance from the reference, in thresholds.
        shift: What is different, in words.
        since: Since when; None where that can't be told.
        days: Over how many of the latest days; None for the window's own.
    """

    column: str
    ratio: float
    shift: str
    since: ChangeDay | None = None
    days: int | None = None


@dataclass(frozen=True)
class LossPart:
    """A part of the rise of the mean loss, with a 95 % interval whose unit is the day.

    Attributes:
        name: The column, or "column is value" of a slice.
        amount: How much of the mean loss it adds.
        low: The lower end of the interval.
        high: The upper end of the interval.
    """

    name: str
    amount: float
    low: float
    high: float

    @property
    def is_rise(self) -> bool:
        """Whether the whole interval is above 0."""
        return self.low > 0

    @property
    def is_fall(self) -> bool:
        """Whether the whole interval is below 0."""
        return self.high < 0


@dataclass(frozen=True)
class LossRise:
    """The rise of the mean loss above the reference's, and its parts: `rise` is `inputs` plus `relation`.

    Attributes:
        usual: The mean loss of the reference.
        labels: The number of labels; 0 where too few are known, and only `inputs` and its parts can be told.
        rise: The mean loss minus `usual`.
        inputs: What the shift of the inputs explains: other rows, each as hard as it was on the reference.
        relation: The rest: the same rows are harder than they were.
        columns: The parts of `inputs` by column, which add up to it, the largest first; the last one is all others.
        slices: What the slices whose loss has risen add to the rise; they overlap.
        unseen: By column the share of rows with a value that the reference never had, where it is 1 % or more.
        days: Over how many of the latest days; None for the window's own.
    """

    usual: float
    labels: int
    rise: LossPart | None
    inputs: LossPart
    relation: LossPart | None
    columns: list[LossPart]
    slices: list[LossPart] = field(default_factory=list)
    unseen: dict[str, float] = field(default_factory=dict)
    days: int | None = None


@dataclass(frozen=True)
class Explanation:
    """The explanation of a window.

    Attributes:
        shifts: The columns beyond their threshold, the furthest first.
        loss: The rise of the loss and its parts; None where it can't be told.
        since: Since when the loss is higher; None where it isn't, or that can't be told.
        limits: What can't be said, and why, a sentence each.
    """

    shifts: list[ColumnShift] = field(default_factory=list)
    loss: LossRise | None = None
    since: ChangeDay | None = None
    limits: list[str] = field(default_factory=list)
