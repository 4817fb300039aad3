"""Names of the engine's own columns that stand beside the user's in a frame, a file or a report.

They begin with a prefix that no name of the user's may have, so the two can't meet. `find_illegal_names` is what a
problem's names are checked with when it is loaded.
"""

import re
from collections.abc import Iterable, Iterator

import polars as pl

RESERVED_PREFIX = "penumbra."
ESCAPED_CHARACTERS = re.compile(r'["\\\x00-\x1f\ud800-\udfff]')

ROW_NUMBER_COLUMN = "penumbra.row"
BATCH_COLUMN = "penumbra.batch"
BROKEN_RULES_COLUMN = "penumbra.broken"
INPUTS_COLUMN = "penumbra.inputs"
LABEL_COLUMN = "penumbra.label"
PREDICTION_COLUMN = "penumbra.prediction"
DECISION_COLUMN = "penumbra.decision"
MODEL_COLUMN = "penumbra.model"
LOSS_COLUMN = "penumbra.loss"
DAY_COLUMN = "penumbra.day"
ADDED_AT_COLUMN = "penumbra.when"
ID_COLUMN = "penumbra.id"
EVENT_COLUMN = "penumbra.event"
LINE_NUMBER_COLUMN = "penumbra.line"
OUTPUT_COLUMN = "penumbra.output"
CANDIDATE_OUTPUT_COLUMN = "penumbra.candidate"
VALUE_COLUMN = "penumbra.value"
SHARE_COLUMN = "penumbra.share"
COUNT_COLUMN = "penumbra.count"
MOMENTS_COLUMN = "penumbra.moments"
FOUND_COLUMN = "penumbra.found"
SPREAD_COLUMN = "penumbra.spread"
WEIGHT_COLUMN = "penumbra.weight"
PROBABILITY_COLUMN = "penumbra.probability"
ORIGIN_COLUMN = "penumbra.origin"
SURENESS_COLUMN = "penumbra.sureness"
SELECTED_COLUMN = "penumbra.selected"
FLYWHEEL_COLUMN = "penumbra.flywheel"
LOW_COLUMN = "penumbra.low"
HIGH_COLUMN = "penumbra.high"
UNKNOWN_FIELD = "penumbra.unknown"  # stands for every name of a client's that is none of the contract's


def name_class_column(label: str) -> str:
    """Return the name of the column with the probabilities of the class `label`."""
    return f"penumbra.class.{label}"


def name_member_column(label: str) -> str:
    """Return the name of the column that says whether the class `label` is in a row's prediction set."""
    return f"penumbra.set.{label}"


def name_loss_column(model: str) -> str:
    """Return the name of the column with the losses of `model`, such as "live", beside the slices of their rows."""
    return f"{LOSS_COLUMN}.{model}"


def find_illegal_names(kind: str, names: Iterable[str]) -> Iterator[str]:
    """Find names of the user's that can't be columns.

    Args:
        kind: What has the names, as the subject and verb of a sentence, such as "Row has".
        names: The names.

    Yields:
        A sentence for each name that begins with the reserved prefix; that polars takes for a pattern (`pl.col("*")` is
        every column, and `pl.col("^…$")` each whose name matches the regular expression); or that JSON has to escape,
        which the readers of logs and requests don't take.
    """
    for name in names:
        if name.startswith(RESERVED_PREFIX):
            yield f"{kind} {name!r}: expected a name that doesn't begin with {RESERVED_PREFIX!r}, which the engine's do"
        elif name == "*" or (name.startswith("^") and name.endswith("$")):
            yield f"{kind} {name!r}, which polars takes for a pattern of names: expected another name"
        elif ESCAPED_CHARACTERS.search(name):
            yield f"{kind} {name!r}: expected no quotation mark, backslash or control character, which JSON escapes"


def add_missing_prefix(rows: pl.DataFrame, names: Iterable[str]) -> pl.DataFrame:
    """Give the engine's columns in a file of release 0.1 their prefix.

    Args:
        rows: The file's rows.
        names: The engine's columns that the file should have.

    Returns:
        The rows with these columns; unchanged where they have one of them.
    """
    missing = {name.removeprefix(RESERVED_PREFIX): name for name in names}
    return rows if set(missing.values()) & set(rows.columns) else rows.rename(missing)
