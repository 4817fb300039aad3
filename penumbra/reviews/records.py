"""Records of the review log: which rows were picked, and what people did with them.

The log lies in the folder of the setting `review.folder`, an append-only log like the others
(penumbra/logs/append_log.py). A case is a row of the prediction log that was picked; its name is the prediction's id.
What people answer is a `ReviewAction` here first, and becomes a label in the label log once the case is decided
(`LabelEntry` in penumbra/logs/schema.py).
"""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import msgspec

ActionKind = Literal["answer", "cannot_tell", "skip", "undo", "adjudicate"]
DECIDING_KINDS = ("answer", "adjudicate")  # of actions that have a label
MICROSECOND = dt.timedelta(microseconds=1)
Sureness = Literal["", "sure", "likely", "guess"]


class ReviewCase(msgspec.Struct, tag_field="is", tag="case", omit_defaults=True):
    """One row that was picked.

    One that was drawn counts once the `ReviewBlock` after it is in the log, too; one that a rule deferred to people,
    which is picked at once and for certain, counts as it is.

    Attributes:
        prediction: The id of the prediction, which is the case's name.
        reasons: Why: "rule NAME", "close call", "wide set", "disagreement", "slice NAME VALUE", "unseen COLUMN";
            "chance" alone where none of these holds.
        probability: The chance that the row had of being picked, above 0 and at most 1.
        reviewers: How many people are asked, 1 or 2.
        due: When a case that decides a pending answer is decided by its default (UTC); None for all others.
        default: The decision that counts from then on; None for all others.
        picked: When a deferred row was picked (UTC); None for one that was drawn.
    """

    prediction: str
    reasons: Sequence[str]
    probability: float
    reviewers: int = 1
    due: dt.datetime | None = None
    default: Any = None
    picked: dt.datetime | None = None


class ReviewBlock(msgspec.Struct, tag_field="is", tag="block"):
    """The line after a block's cases, which makes them count: they were drawn among the rows of these spans.

    Attributes:
        time: When they were picked (UTC).
        spans: By name of a segment of the prediction log, the bytes at which the block's span begins and ends.
        rows: How many rows took part: those of the spans that had no label, and weren't deferred.
        picked: How many of them were picked.
        budget: How many were to be picked.
        reasons: How many of the block's rows have which reason to be picked; "chance" stands for all others.
        deferred: How many cases that a rule deferred to people have been taken off this budget.
        number: How many blocks were drawn before, as clocks can be put back.
        labelled: How many rows of the spans had a label already, and so took no part.
    """

    time: dt.datetime
    spans: Mapping[str, tuple[int, int]]
    rows: int
    picked: int
    budget: float
    reasons: Mapping[str, int]
    deferred: int = 0
    number: int = 0
    labelled: int = 0


class ReviewAction(msgspec.Struct, tag_field="is", tag="action", omit_defaults=True):
    """What one person did with one case.

    Attributes:
        case: The case, named by its prediction's id.
        reviewer: Who.
        kind: "answer" and "adjudicate" have a label; "undo" takes back the same person's last action on the case.
        time: When (UTC).
        label: The contract's outcome columns with their values; empty without an answer.
        sureness: How sure the person is; "" where they weren't asked.
        note: What they wrote beside it.
        via: Where it was done: "page", "label studio", "replay".
        token: Made by who sends the action, so that one that is sent twice counts once; "" without.
        seconds: How long the person took; 0 where that isn't known.
        target: What the label makes of the contract's target, as the desk computed it; None where that is nothing.
    """

    case: str
    reviewer: str
    kind: ActionKind
    time: dt.datetime
    label: Mapping[str, Any] = {}
    sureness: Sureness = ""
    note: str = ""
    via: str = "page"
    token: str = ""
    seconds: float = 0.0
    target: Any = None

    def is_same_answer(self, other: "ReviewAction") -> bool:
        """Return whether this says the same as `other`, whenever and wherever it was done."""
        return all(getattr(self, name) == getattr(other, name) for name in ("kind", "label", "sureness", "note"))

    def agrees_with(self, other: "ReviewAction") -> bool:
        """Return whether the target is that of `other`; whether the labels are the same where one has no target."""
        if self.target is None or other.target is None:
            return self.label == other.label
        return bool(self.target == other.target)


class ReviewClosure(msgspec.Struct, tag_field="is", tag="closure"):
    """The outcome of a case's row has arrived by feedback or a batch, so that nobody needs to be asked any more.

    Attributes:
        case: The case, named by its prediction's id.
        time: When that was found (UTC).
    """

    case: str
    time: dt.datetime


class ReviewNotice(msgspec.Struct, tag_field="is", tag="notice"):
    """The webhook has been told what became of a deferred answer.

    Attributes:
        case: The case, named by its prediction's id.
        status: What it was told: "decided" or "defaulted".
        time: When (UTC).
    """

    case: str
    status: str
    time: dt.datetime


def put_time_after(time: dt.datetime, earlier: Iterable[dt.datetime]) -> dt.datetime:
    """Return a time for a record that follows on others, as clocks can be put back.

    Args:
        time: What the clock says (UTC).
        earlier: The times of the records that it follows on.

    Returns:
        `time`, or a microsecond after the last of them where that is later.
    """
    return max([time, *(each + MICROSECOND for each in earlier)])
