"""Records of the logs: what each keeps of an entry, and beside it each projection that a reader decodes.

A new column of the prediction log begins here: in `PredictionEntry`, then in the projections whose readers need it.
Every entry is one line of JSON in an append-only log (penumbra/logs/append_log.py), which adds the `id`.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from penumbra.rules import DecisionValue

OutputValue = float | list[float]
FEEDBACK_SOURCE = "feedback"  # of the labels that came by HTTP
REVIEW_SOURCE = "review"  # of the labels that people gave to cases of the review queue
STATUS_OK, STATUS_ERROR, STATUS_TIMEOUT, STATUS_NAN, STATUS_SHAPE, STATUS_SKIPPED = (
    "ok",
    "error",
    "timeout",
    "nan",
    "shape",
    "skipped",
)
BEHIND_REASON = (
    "left out by age, whatever it holds, as the shadow was more than"  # … s behind: how such a reason begins
)


class PredictionEntry(msgspec.Struct, omit_defaults=True):
    """One answered request in the prediction log, without its id.

    |              | `output`                                     | `decision`                         |
    |--------------|----------------------------------------------|------------------------------------|
    | binary       | the probability of True                      | bool: it reached the threshold     |
    | multi-class  | probabilities, in the order of the classes   | the name of the most probable one  |
    | regression   | the value                                    | the value                          |

    Attributes:
        time: When the request arrived (UTC).
        contract: The fingerprint of the contract that validated the record.
        record: The request's features, as validated.
        inputs: What the model was given, in the order of the bundle's features; null where missing, empty where no
            model was asked.
        output: See the table.
        decision: See the table.
        model: The version that answered, or whose baseline did.
        micros: Microseconds from the request's arrival until this was written.
        rules: The names of the business rules that fired.
        review: True where people are to look at the answer.
        failed_rules: The names of the rules that raised an error.
        fallback: "previous" or "baseline" where that answered because the live model failed, "live" where that
            answered because a canary failed; "" otherwise.
        pending: True where a rule defers the decision to people: `decision` is what was answered meanwhile.
        due: When `default` counts, if people haven't decided until then (UTC); None where nothing is pending.
        default: The decision that counts from then on; None where nothing is pending.
        explore_share: The chance with which the decision was to be replaced by one under which an outcome can be seen
            (`rules.explore_share`); 0 where that wasn't in question.
        explored: True where it was replaced.
        request: Digest of the request's idempotency key, a slash, and the record's position; "" without a key.
        job: The name of the scoring job that the row came by; "" for a request over HTTP.
    """

    time: dt.datetime
    contract: str
    record: Mapping[str, Any] | msgspec.Raw
    inputs: Sequence[float]
    output: OutputValue
    decision: DecisionValue
    model: str
    micros: int
    rules: Sequence[str] = ()
    review: bool = False
    failed_rules: Sequence[str] = ()
    fallback: str = ""
    pending: bool = False
    due: dt.datetime | None = None
    default: DecisionValue | None = None
    explore_share: float = 0.0
    explored: bool = False
    request: str = ""
    job: str = ""


class IndexedPrediction(msgspec.Struct, kw_only=True, gc=False):
    """Projection of a prediction for the index, which adds some fields of the record as undecoded JSON."""

    id: str
    time: dt.datetime
    output: OutputValue
    decision: DecisionValue
    model: str
    rules: Sequence[str] = ()
    failed_rules: Sequence[str] = ()
    fallback: str = ""


class ProfiledPrediction(msgspec.Struct, kw_only=True, gc=False):
    """Projection of a prediction for profiles (penumbra/logs/daily/frames.py), which add some fields of the record."""

    time: str
    output: OutputValue
    model: str
    fallback: str = ""


class ArchivedRow(ProfiledPrediction, kw_only=True, gc=False):
    """The same with the archive's columns, so that the archiver decodes a line once."""

    id: str | None = None
    contract: str | None = None
    decision: Any = None


class ArchivedPrediction(msgspec.Struct, gc=False):
    """Projection to the archive's columns beside the whole line (archiving/archive_frames.py); null where absent."""

    id: str | None = None
    time: str | None = None
    contract: str | None = None
    model: str | None = None
    output: Any = None
    decision: Any = None


class LoggedPrediction(msgspec.Struct):
    """Projection for the shadow's backlog: the answer, the live model's own unless ruled, explored or a fallback's."""

    id: str
    time: dt.datetime
    output: Any = None
    decision: Any = None
    model: str = ""
    rules: Sequence[str] = ()
    fallback: str = ""
    explored: bool = False


class TimedEntry(msgspec.Struct):
    """Projection of an entry of any log to its time (UTC)."""

    time: dt.datetime


class LoggedRecord(msgspec.Struct):
    """Projection to the request's record, as undecoded JSON, who answered it, and what chance decided of it."""

    record: msgspec.Raw
    id: str = ""
    model: str = ""
    contract: str = ""
    explored: bool = False
    explore_share: float = 0.0


class RuleMarks(msgspec.Struct):
    """Projection of a prediction, or of a refusal, to what is counted of business rules."""

    id: str
    rules: Sequence[str] = ()
    failed_rules: Sequence[str] = ()
    review: bool = False
    fallback: str = ""
    rule: str = ""


class ReviewedPrediction(msgspec.Struct, kw_only=True, gc=False):
    """Projection to what a row may be picked for review by; fields of the record are added, inputs are undecoded."""

    id: str
    output: OutputValue
    decision: DecisionValue
    model: str
    inputs: msgspec.Raw
    rules: Sequence[str] = ()
    failed_rules: Sequence[str] = ()
    review: bool = False
    pending: bool = False
    explored: bool = False


class DeferredPrediction(msgspec.Struct):
    """Projection of a prediction whose decision a rule defers to people."""

    id: str
    rules: Sequence[str] = ()
    pending: bool = False
    due: dt.datetime | None = None
    default: DecisionValue | None = None


class RefusalEntry(msgspec.Struct):
    """One record in the log of refusals, which the business rule `rule` refused to answer; `model` is the live version.

    Attributes:
        time: When the request arrived (UTC).
        contract: The fingerprint of the contract that validated the record.
        record: The request's features, as validated.
        rule: The name of the rule.
        model: The version that was live.
    """

    time: dt.datetime
    contract: str
    record: Mapping[str, Any]
    rule: str
    model: str


class BrokenCountEntry(msgspec.Struct):
    """Counts of the records that broke the contract during some seconds until `time` (UTC): all, and by column.

    Names that the contract doesn't have are counted together, as `UNKNOWN_FIELD`.
    """

    time: dt.datetime
    records: int
    fields: Mapping[str, int]


class LabelEntry(msgspec.Struct, omit_defaults=True):
    """One label in the label log, without its id.

    Attributes:
        time: When the label arrived (UTC).
        source: "feedback", "review", or "batch" and the batch's name.
        label: The contract's outcome columns with their values; empty where people take their label back.
        key: The key of the row that the label belongs to, in the order of the contract's; empty where `prediction` is
            given.
        prediction: The id of the prediction that the label belongs to; "" where `key` is given.
        reviewers: The people whose answer it is; empty but for labels of source "review", as are the rest.
        reasons: Why the row was picked for review, as in `ReviewCase`.
        probability: The chance that the row had of being picked; 0 for all other sources.
        sureness: How sure the people were: "sure", "likely", "guess"; "" where they weren't asked.
        note: What they wrote beside it.
    """

    time: dt.datetime
    source: str
    label: Mapping[str, Any]
    key: Sequence[Any] = ()
    prediction: str = ""
    reviewers: Sequence[str] = ()
    reasons: Sequence[str] = ()
    probability: float = 0.0
    sureness: str = ""
    note: str = ""


class LoggedLabel(LabelEntry, kw_only=True):
    """Projection of a label to all of it, with its id."""

    id: str


class IndexedLabel(msgspec.Struct, gc=False):
    """Projection of a label for the index; label and key stay undecoded JSON."""

    id: str
    time: dt.datetime
    source: str
    label: msgspec.Raw
    key: msgspec.Raw = msgspec.Raw()
    prediction: str = ""
    probability: float = 0.0


class ShadowRow(msgspec.Struct, tag_field="is", tag="row", omit_defaults=True):
    """One shadow model's answer to one prediction, or why there is none.

    Attributes:
        prediction: The id of the prediction.
        model: The version of the shadow model.
        time: When it was scored (UTC).
        output: As in `PredictionEntry`, None without an answer.
        decision: As in `PredictionEntry`, None without an answer.
        status: `STATUS_OK`, or which of the others it is.
        reason: Why there is no answer; "" where there is one.
    """

    prediction: str
    model: str
    time: dt.datetime
    output: Any = None
    decision: Any = None
    status: str = STATUS_OK
    reason: str = ""


class ShadowBatch(msgspec.Struct, tag_field="is", tag="batch"):
    """The line after a micro-batch's rows, which makes them count: they answer for one span of a segment.

    Attributes:
        model: The version of the shadow model.
        segment: The name of a segment of the prediction log.
        start: The byte at which the span begins.
        end: The byte after the span.
        statuses: How many rows have which status.
        compared: How many rows can be compared with the live model's output.
        difference: The sum of their absolute differences.
        decided: How many rows have a decision to compare.
        differing: How many of those decisions differ.
    """

    model: str
    segment: str
    start: int
    end: int
    statuses: dict[str, int]
    compared: int = 0
    difference: float = 0.0
    decided: int = 0
    differing: int = 0


class ShadowStart(msgspec.Struct, tag_field="is", tag="began"):
    """The line with which the scoring of a model begins.

    Attributes:
        model: The version of the shadow model.
        time: When it began (UTC).
        marks: By name of a segment of the prediction log, its size in bytes at that time.
        outside: The names of the segments that are too old to be scored.
    """

    model: str
    time: dt.datetime
    marks: dict[str, int]
    outside: list[str]


def get_refusals_folder(folder: Path) -> Path:
    """Return the folder of the log of refusals that belongs to the prediction log in `folder`."""
    return folder / "refused"


def get_broken_counts_folder(folder: Path) -> Path:
    """Return the folder of the log of `BrokenCountEntry` that belongs to the prediction log in `folder`."""
    return folder / "broken"
