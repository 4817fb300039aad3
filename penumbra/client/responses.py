"""What the service answers, as types. A field that a service of another task or release lacks has its default."""

import datetime as dt
from typing import Any

import msgspec

DecisionResponse = bool | str | float


class UncertaintyResponse(msgspec.Struct, frozen=True, kw_only=True):
    """How sure an answer is.

    Attributes:
        coverage: The share of cases in which set or interval hold the truth.
        set: The classes, or of True and False those, that it may be; None of a number.
        interval: The ends between which the number is, None for one that isn't bounded; None of classes.
    """

    coverage: float
    set: tuple[DecisionResponse, ...] | None = None
    interval: tuple[float | None, float | None] | None = None


class FeatureAttribution(msgspec.Struct, frozen=True, kw_only=True):
    """How far a feature has moved the score.

    Attributes:
        feature: Its name.
        value: Its value as the model was given it, None where it is missing or training never saw it.
        attribution: The difference.
    """

    feature: str
    value: float | str | bool | None
    attribution: float


class ExplanationResponse(msgspec.Struct, frozen=True, kw_only=True):
    """Why an answer is as it is.

    Attributes:
        scale: What the score is, such as "log-odds".
        expected: The score without knowing any feature.
        score: The score, which is `expected` and all attributions together.
        attributions: The attribution of each feature, the largest first.
        explained_class: Of several classes the one that the score is of.
    """

    scale: str
    expected: float
    score: float
    attributions: tuple[FeatureAttribution, ...]
    explained_class: str | None = None


class PredictResponse(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to one record.

    Attributes:
        prediction_id: Its id in the prediction log.
        model_version: The version that answered.
        decision: True or False (binary), or a class; None of a number.
        probability: The probability of True (binary).
        probabilities: The probability of each class.
        value: The predicted number.
        logged: False where the prediction log couldn't be written: the id then finds nothing.
        rules: The business rules that fired.
        review: True where people will look at it.
        failed_rules: The business rules that couldn't be applied.
        fallback: "live", "previous" or "baseline" where that answered, as the live model or the canary failed; or "".
        pending: True where people decide: see `Client.review`.
        due: When `default` is the decision, unless people have decided until then.
        default: The decision from then on.
        explore_share: The chance with which the decision was to be replaced, to see its outcome.
        explored: True where it was.
        explanation: Why it is so, with the option `explain`; None where no model was asked.
        uncertainty: How sure it is, with the option `uncertainty`; None where no model was asked.
    """

    prediction_id: str
    model_version: str
    decision: DecisionResponse | None = None
    probability: float | None = None
    probabilities: dict[str, float] | None = None
    value: float | None = None
    logged: bool = True
    rules: tuple[str, ...] = ()
    review: bool = False
    failed_rules: tuple[str, ...] = ()
    fallback: str = ""
    pending: bool = False
    due: dt.datetime | None = None
    default: DecisionResponse | None = None
    explore_share: float = 0.0
    explored: bool = False
    explanation: ExplanationResponse | None = None
    uncertainty: UncertaintyResponse | None = None


class FeedbackResponse(msgspec.Struct, frozen=True, kw_only=True):
    """A label is in the label log, under this id; `outcome` is "accepted"."""

    label_id: str
    outcome: str


class ReviewResponse(msgspec.Struct, frozen=True, kw_only=True):
    """What has become of an answer that people decide.

    Attributes:
        prediction_id: The answer's id.
        status: "pending", "decided" by people, or "defaulted" where they hadn't until `due`.
        due: Until when they could.
        default: The decision where they don't.
        decision: What was decided; None while that is pending, or where people say that there was no outcome.
        decided_at: Since when it counts.
        label: What people say that the outcome is.
        reviewers: The people.
    """

    prediction_id: str
    status: str
    due: dt.datetime
    default: DecisionResponse
    decision: DecisionResponse | None = None
    decided_at: dt.datetime | None = None
    label: dict[str, Any] | None = None
    reviewers: tuple[str, ...] = ()


class ReadinessResponse(msgspec.Struct, frozen=True, kw_only=True):
    """Whether requests can be answered and logged: `model_version` says by which model, or `reason` why they can't."""

    ready: bool
    model_version: str = ""
    reason: str = ""
    canary: str = ""


class ProblemDetail(msgspec.Struct, frozen=True, kw_only=True):
    """One fault of a refused request.

    Attributes:
        expected: What was expected.
        field: The column, option or field.
        value: The value, cut to 100 characters.
        index: The record's position in the list that it came in.
        rule: The business rule that refuses the record.
    """

    expected: str
    field: str = ""
    value: str = ""
    index: int | None = None
    rule: str = ""


class ProblemBody(msgspec.Struct, frozen=True, kw_only=True):
    """The body of every refusal."""

    error: str
    details: tuple[ProblemDetail, ...]
