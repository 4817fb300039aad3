"""What the analysis of data finds and the writing of `problem/` reads: columns, target, source, and why each is so."""

import datetime as dt
import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import polars as pl

ColumnRole = Literal["time", "key", "feature", "outcome", "unused"]
FeatureKind = Literal["number", "category", "clock", "hour", "weekday", "month"]
CALENDAR_KINDS: tuple[FeatureKind, ...] = ("hour", "weekday", "month")  # which count in a time zone
DraftTask = Literal["binary", "classes", "number"]
ChoiceOption = Literal["--time", "--key"]


NO_OUTCOME = ""  # in the place of a class, of rows without an outcome
ANY_NUMBER = "a number"  # in the place of a class, where a number is predicted


class Unsaid(enum.Enum):
    """Stands for a choice that the user leaves to the analysis, where None is a choice, too."""

    UNSAID = "unsaid"


class DraftRefused(ValueError):
    """No problem can be drafted from the data as it is; the sentence says why, and what to do."""


class DraftQuestion(DraftRefused):
    """The data can't tell which column it is: the user has to say.

    Attributes:
        option: The option of the command that says it.
        candidates: The columns that it could be, the likeliest first; none where nothing fits.
    """

    def __init__(self, sentence: str, option: ChoiceOption, candidates: Sequence[str]) -> None:
        """Take the sentence and what it asks for.

        Args:
            sentence: What can't be told, and what to pass.
            option: The option that says it.
            candidates: The columns that it could be.
        """
        super().__init__(sentence)
        self.option = option
        self.candidates = tuple(candidates)


@dataclass(frozen=True)
class NumberFormat:
    """How the numbers of a text column are spelled, where the contract doesn't read them by itself.

    Attributes:
        decimal: The decimal sign.
        thousands: What separates thousands; empty for nothing.
        signs: Currencies, percent signs and units to take away.
    """

    decimal: str = "."
    thousands: str = ""
    signs: tuple[str, ...] = ()


@dataclass(frozen=True)
class DraftColumn:
    """A column of the data and what becomes of it.

    Attributes:
        name: The name in the data, any text.
        attribute: The name as a Python attribute, different for each column; where it isn't `name`, `alias` is.
        dtype: The contract's dtype: Boolean, Int8 to Int64, UInt64, Float64, String, Enum, Date, Datetime or Time.
        role: "time", "key" (nothing but a part of the key), "feature", "outcome" (only `Labelled` has it) or "unused"
            (no schema has it).
        is_key: Whether it is a part of the key, whatever else it is.
        nullable: Whether the value may be missing.
        minimum: The least value that is allowed, of the dtype's Python type; None for no bound.
        maximum: The greatest one.
        categories: The values of an Enum, in their order; empty for other dtypes.
        max_length: The most characters of a String; None for other dtypes.
        time_format: The `form` of `penumbra.sources.conversions.read_times`; None where the contract reads the values
            by itself, and of the time column, which the source reads.
        time_zone: The zone of a Datetime as the source gives it, "UTC"; None for one without.
        number_format: How numbers are spelled; None where the contract reads them by itself.
        features: The kinds of the features that read the column; none where none does.
        example: The value of the example as JSON has it; None where it is missing there.
        reason: Why it is so, as a phrase without a full stop, worth a comment; empty where it is plain.
    """

    name: str
    attribute: str
    dtype: pl.DataType
    role: ColumnRole
    is_key: bool = False
    nullable: bool = False
    minimum: Any = None
    maximum: Any = None
    categories: tuple[str, ...] = ()
    max_length: int | None = None
    time_format: str | None = None
    time_zone: str | None = None
    number_format: NumberFormat | None = None
    features: tuple[FeatureKind, ...] = ()
    example: Any = None
    reason: str = ""


@dataclass(frozen=True)
class DraftTarget:
    """What is predicted.

    Attributes:
        task: "binary", "classes" or "number".
        column: The name of the outcome's column.
        positive: Of a binary target the value that means yes, of the column's dtype (True, 1, "churned"); else None.
        reason: Why it is so, as a phrase without a full stop.
    """

    task: DraftTask
    column: str
    positive: Any = None
    reason: str = ""


@dataclass(frozen=True)
class DraftSource:
    """Where batches come from.

    Attributes:
        kind: "files" for `TableFiles`, "sql" for `SqlQuery`.
        location: The path, glob or URL of files; the URL of a database.
        query: The query of a database; empty for files.
        time: The column that batches are cut by; where the rows have no time, the one that the source makes up.
        period: "day", "week", "month", "quarter" or "year".
        options: More keyword arguments of the class, those that differ from its defaults, such as `separator`.
    """

    kind: Literal["files", "sql"]
    location: str
    query: str
    time: str
    period: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ProblemDraft:
    """All that a first `problem/` is written from.

    Attributes:
        columns: Every column of the data in its order, those of the outcome last and the target's first of them; a time
            that the source makes up is first of all.
        target: What is predicted.
        source: Where batches come from.
        first_day: The day of the first row.
        last_day: The day of the last row; where only names of files tell it, the last that the newest tells.
        rows: How many rows were read.
        days: How many days have rows.
        notes: Sentences to tell the user, the most important first.
        accepted: What the doctor will find and the notes tell already, as `gate.accept` names it.
        ordered: The columns that go with the order of the rows, where days are made up from it; `monitor.accept` names
            them.
        day_rows: By day in order, the rows of each class, with `NO_OUTCOME` and `ANY_NUMBER` among them; empty where
            days aren't counted.
    """

    columns: tuple[DraftColumn, ...]
    target: DraftTarget
    source: DraftSource
    first_day: dt.date
    last_day: dt.date
    rows: int
    days: int
    notes: tuple[str, ...] = ()
    accepted: tuple[str, ...] = ()
    ordered: tuple[str, ...] = ()
    day_rows: Mapping[dt.date, Mapping[str, int]] = field(default_factory=dict)

    @property
    def has_made_up_days(self) -> bool:
        """Whether the rows have no time, so that the source deals them to days."""
        return "rows_per_day" in self.source.options

    def count_outcomes(self) -> pl.DataFrame:
        """Count the rows and the outcomes of each day.

        Returns:
            The days in order: `day` (Date), the number of `rows`, and of those `known`, with an outcome.
        """
        counts = [
            (day, sum(classes.values()), sum(classes.values()) - classes.get(NO_OUTCOME, 0))
            for day, classes in self.day_rows.items()
        ]
        return pl.DataFrame(counts, {"day": pl.Date, "rows": pl.Int64, "known": pl.Int64}, orient="row")
