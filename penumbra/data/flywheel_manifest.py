"""The name and the manifest of a flywheel batch: what it was made of, in a file beside its rows, and in words."""

import datetime as dt
from collections.abc import Mapping

import msgspec

from penumbra.core.text.counts import format_count, format_share
from penumbra.core.text.quoting import escape_text

BATCHES_FOLDER = "batches"  # of raw batches, in the data folder
MANIFEST_FILE = "manifest.json"
FLYWHEEL_MARK = "+flywheel-"  # in the names of batches that are made of the logs


class FlywheelManifest(msgspec.Struct, forbid_unknown_fields=True):
    """What a flywheel batch was made of.

    Attributes:
        begin: The first day (UTC) of its period, at which rows of earlier ones were taken in; None where it is the
            first.
        end: The day after the last.
        predictions: How many different rows the service answered in the period.
        first: The id of the first of the batch's predictions, which names segment and position in the log.
        last: The id of the last.
        labels: Likewise the ids of the first and the last of its labels.
        models: How many of its rows each version answered.
        origins: How many of its rows have a label of each origin.
        late: How many of its rows are of earlier periods: labelled, or labelled anew, since.
        of_source: How many labelled rows were left out, as the source has them.
        unsigned: How many were left out, as the people who labelled them aren't named.
        prevented: How many rows of the period have no label because of what was decided.
        explored: How many rows were decided otherwise by chance, so that their outcome could be seen.
        reviewers: How many of its rows each person labelled, alone or with others.
        largest_count: The most answered rows that one of its rows stands for.
    """

    begin: dt.date | None
    end: dt.date
    predictions: int
    first: str
    last: str
    labels: tuple[str, str]
    models: Mapping[str, int]
    origins: Mapping[str, int]
    late: int
    of_source: int
    unsigned: int
    prevented: int
    explored: int
    reviewers: Mapping[str, int] = {}
    largest_count: float = 1.0


def name_flywheel_batch(before: str, end: dt.date) -> str:
    """Return the name of the batch of the period that ends at `end`, which follows the source's batch `before`."""
    return f"{before}{FLYWHEEL_MARK}{end.isoformat()}"


def is_flywheel_batch(batch: str) -> bool:
    """Return whether the name `batch` is that of a flywheel batch."""
    return FLYWHEEL_MARK in batch


def read_period_end(batch: str) -> dt.date:
    """Return the day after the last of the period of a flywheel `batch`."""
    return dt.date.fromisoformat(batch.partition(FLYWHEEL_MARK)[2])


def read_manifest_file(files: Mapping[str, bytes]) -> FlywheelManifest:
    """Read the manifest of a flywheel batch.

    Args:
        files: The content of its raw files by name.

    Returns:
        The manifest.

    Raises:
        KeyError: There is none.
        msgspec.ValidationError: It isn't one.
    """
    return msgspec.json.decode(files[MANIFEST_FILE], type=FlywheelManifest)


def describe_manifest(batch: str, manifest: FlywheelManifest) -> str:
    """Describe a flywheel batch in words: whose labels its rows have, and what the labels don't say.

    Args:
        batch: Its name.
        manifest: Its manifest.

    Returns:
        A line; with a second one where decisions prevent outcomes.
    """
    origins = ", ".join(f"{count:,} labelled by {origin}" for origin, count in manifest.origins.items())
    others = [
        f"{count:,} {words}"
        for count, words in (
            (manifest.late, "of earlier periods"),
            (manifest.of_source, "left out as the source has them"),
            (manifest.unsigned, "left out as the people who labelled them aren't named"),
        )
        if count
    ]
    line = f"{batch}: of {format_count(manifest.predictions, 'answered row')} {', '.join([origins, *others])}"
    share = manifest.prevented / max(manifest.predictions, 1)
    prevented = (
        f"{format_share(share)} of the rows have no outcome because of what was decided, so the batch is selected"
    )
    explored = (
        f"{format_count(manifest.explored, 'row was', 'rows were')} decided otherwise by chance, to stand for such rows"
    )
    said = [prevented] * (manifest.prevented > 0) + [explored] * (manifest.explored > 0)
    return "\n".join([line, *(["; ".join(said)] if said else [])])


def describe_labelling(manifest: FlywheelManifest) -> str:
    """Describe who labelled the rows of a flywheel batch, and what they count.

    Args:
        manifest: Its manifest.

    Returns:
        A clause; "" where each row has an outcome and stands for itself.
    """
    people = ", ".join(f"{escape_text(name)} {count:,}" for name, count in manifest.reviewers.items())
    most = f"a row stands for up to {manifest.largest_count:,.0f}" if manifest.largest_count > 1 else ""
    return "; ".join(filter(None, [f"people: {people}" if people else "", most]))
