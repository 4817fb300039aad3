"""What the folder `problem/` must supply, as types: one protocol for each of its files, and `Problem` for all of them.

Everything between the data and the decision takes a `Problem`, or the part of it that it needs, as an argument.
`penumbra.core.loading.problem_loading.load_problem` imports the folder, checks it once, and fills in what is optional.
"""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import dataframely as dy
import polars as pl

from penumbra.core.raw_files import RawContent, RawFiles
from penumbra.core.text.errors import LastingRefusal
from penumbra.features import ColumnCheck, Feature
from penumbra.patterns.candidate import Candidate, Columns
from penumbra.rules import Rule


class ProblemError(LastingRefusal):
    """The folder `problem/` lacks something or has something wrong; names the file, the name and what was expected."""


class ProblemSchema(Protocol):
    """`problem/schema.py`: what a row is, what is reported of it later, and what is predicted."""

    TIME: str
    """Required. The column of `Row` with the time of the event, a `dy.Datetime`; labels, days and windows go by it."""

    Row: type[dy.Schema]
    """Required. The contract of a request: the columns that are known when the prediction is made. Its primary key
    joins labels to predictions; without one they are joined by the prediction's id alone."""

    Labelled: type[dy.Schema]
    """Required. The contract of a batch: the columns of `Row`, and those that tell the outcome."""

    def target(self) -> pl.Expr:
        """Required. The target, computed from the columns that only `Labelled` has; null where it isn't known.

        Each label has its own target, whatever the others are: labels that are reported later come one by one, and
        without the columns of `Row`.

        Returns:
            An expression of dtype Boolean (binary), Enum (multi-class) or a number (regression).
        """

    EXAMPLE: dict[str, Any]
    """Optional; drawn from the contract. A record as a client sends it: JSON values by column of `Row`; columns that
    may be null may be left out. Stands in the HTTP documentation."""

    OUTCOME: dict[str, Any]
    """Optional; nothing. What was reported of the example later: JSON values of the columns that only `Labelled` has.
    Stands in the HTTP documentation."""

    QUESTION: str
    """Optional; "". What people are asked who review a row, with the unit of what they answer. Stands above the answer
    on the review page, and in Label Studio."""

    CHECKS: Sequence[ColumnCheck]
    """Optional; none. Rules between columns that requests have to keep. Batches keep the rules of `Row`: state each
    check there too, as a `dy.rule` that returns its `expr()`."""

    SENSITIVE: Mapping[str, pl.Expr]
    """Optional; none. The groups that models shall treat alike, by the name of what they are groups of: an expression
    of dtype String on columns of `Row` (numbers, text, Enums, Booleans) that cuts numbers into groups. A column that is
    only read here is no feature by default, and requests may leave it out if it may be null."""


class SourceBatch(Protocol):
    """A batch that the source has, or will have.

    It may have a `fingerprint`, any text that is another when its files may have changed: where it is, ingest compares
    an admitted batch with what the source gives now, and says so if the rows are others.
    """

    @property
    def name(self) -> str:
        """The batch's name, the same for ever; names sort by time."""

    @property
    def complete(self) -> dt.date:
        """The first day on which the batch is complete."""


class ProblemSource(Protocol):
    """`problem/source.py`: where raw batches come from, and how they are read.

    The three functions may be the methods of one object called `SOURCE`, such as a `penumbra.sources.TableFiles`.
    """

    def batches(self) -> Sequence[SourceBatch]:
        """Required. List the batches of the source.

        Returns:
            Every batch there is or will be, oldest first. The flows take those that are complete by `data.today`.
        """

    def fetch(self, batch: str) -> Mapping[str, RawContent]:
        """Required. Fetch the raw files of one batch.

        Args:
            batch: The batch's name.

        Returns:
            The content of each file, by file name. It is kept and versioned byte for byte. What is too large for memory
            may be an open binary file or a generator of bytes: it is read piece by piece, and closed.

        Raises:
            OSError: The source can't be read.
        """

    def parse(self, files: RawFiles) -> pl.DataFrame:
        """Required. Read the raw files of one batch.

        Args:
            files: The content of each file that `fetch` returned, by file name, read when it is asked for. The
                attribute `paths` has a path for each, for what is too large for memory.

        Returns:
            A row for each row of the source, with the columns of `Labelled`, as text or of their dtypes. What stands
            for a missing value in the file is null here. A LazyFrame, of which only some rows are in memory at once, or
            a pandas frame will do.

        Raises:
            ValueError: A file or a column is missing or unreadable; the batch is refused with these words.
        """

    CONVERSIONS: Sequence[pl.Expr]
    """Optional; none. Expressions that replace columns whose text isn't read by itself (docs/data.md says what is),
    such as dates in a format of their own. With `strict=False`: a value that they turn into null is quarantined."""


class ProblemFeatures(Protocol):
    """`problem/features.py`, an optional file: the inputs of the model."""

    FEATURES: Sequence[Feature]
    """Optional; all columns of `Row` but its key and `TIME`: numbers as `Number`, text, Enums and Booleans as
    `Category`. The model's inputs in their order, composed of the kinds in `penumbra.features`; each has a name of its
    own and reads columns of `Row`. (One that reads the outcome loads, so that the doctor can say why it must go.)"""


class ProblemCandidates(Protocol):
    """`problem/candidates.py`: the experiments."""

    CANDIDATES: Mapping[str, Candidate]
    """Required. The experiments by name; `training.candidates` in settings.toml says which of them are tried."""

    baseline: Callable[[Columns], Any] | None
    """Optional; the constant that does best by `promotion.loss` (DummyClassifier, DummyRegressor). A function of the
    matrix's columns that makes the model which every candidate has to beat, one that doesn't look at the inputs: an
    unfitted scikit-learn estimator."""


class ProblemSlices(Protocol):
    """`problem/slices.py`, an optional file: where models are looked at more closely."""

    DAY: pl.Expr
    """Optional; the date of `TIME`. The day of a row of `Row`, of dtype Date. Rows of a day aren't independent, so
    intervals are drawn over days."""

    SLICES: Mapping[str, pl.Expr]
    """Optional; none. By name: an expression on rows of `Row`, of dtype String, whose values are the slices."""


class ProblemRules(Protocol):
    """`problem/rules.py`, an optional file: business rules around the model."""

    RULES: Sequence[Rule]
    """Optional; none. The rules in the order in which they are tried, each with a name of its own."""

    OBSERVED_DECISIONS: Sequence[bool | str]
    """Optional; none. The decisions under which an outcome can be seen, where it can't under all: `(False,)` if True
    means that a loan is refused, as nobody learns whether a refused loan would have been paid back. None: outcomes come
    whatever is decided."""


class Problem(Protocol):
    """A loaded and checked `problem/` folder. `load_problem` returns one; parts that weren't asked for are absent."""

    schema: ProblemSchema
    """What a row is and what is predicted."""

    source: ProblemSource
    """Where raw batches come from."""

    features: ProblemFeatures
    """The inputs of the model."""

    candidates: ProblemCandidates
    """The experiments."""

    slices: ProblemSlices
    """Where models are looked at more closely."""

    rules: ProblemRules
    """Business rules around the model."""

    purpose: str
    """The docstring of `problem/__init__.py`: what is predicted and what for, as the card of a version has it; "" for
    none."""

    source_notes: str
    """The docstring of `problem/source.py`: where the data come from; "" for none, or where it isn't loaded."""

    files: Mapping[str, Path]
    """The Python file of each loaded part that has one, by the part's name."""


def build_utc_time(schema: ProblemSchema) -> pl.Expr:
    """Build the expression of a row's time by the clock that logs and windows go by.

    Args:
        schema: The problem's schema.

    Returns:
        The column `TIME`, in UTC if it has a zone; one without zone is taken as UTC.
    """
    zone = getattr(schema.Row.columns()[schema.TIME].dtype, "time_zone", None)
    time = pl.col(schema.TIME)
    return time.dt.convert_time_zone("UTC") if zone else time


def build_utc_date(schema: ProblemSchema) -> pl.Expr:
    """Build the expression of a row's day as logs, windows and monitor count days.

    Args:
        schema: The problem's schema.

    Returns:
        The date (UTC) of the column `TIME`; a time without zone is taken as UTC.
    """
    return build_utc_time(schema).dt.date()


def list_sensitive_columns(schema: ProblemSchema) -> list[str]:
    """List the columns of `Row` that `SENSITIVE` reads.

    Args:
        schema: The problem's schema.

    Returns:
        Their names, in alphabetical order.
    """
    return sorted({column for each in schema.SENSITIVE.values() for column in each.meta.root_names()})


PROBLEM_PARTS: Mapping[str, type] = {
    "schema": ProblemSchema,
    "source": ProblemSource,
    "features": ProblemFeatures,
    "candidates": ProblemCandidates,
    "slices": ProblemSlices,
    "rules": ProblemRules,
}
