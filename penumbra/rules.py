"""The building blocks of business rules, for `problem/rules.py`: conditions and actions.

The action says when a rule is tried. `Refuse` and `Answer` are tried before the model predicts, and the first rule that
holds is the only one that is applied. `Override`, `Clamp`, `Review` and `Defer` are tried after it, and every rule that
holds is applied, in their order. The records of a list get the decisions that each would get alone, and a condition is
asked at most once of a record, which it can't change.

A prediction is what penumbra/core/task.py calls so, for one row: a float, or the list of probabilities of the classes.
"""

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from math import isnan
from typing import Any, Protocol

Prediction = Any
DecisionValue = bool | str | float
RuleTest = Callable[[Mapping[str, Any], Prediction], bool]
DecideFunction = Callable[[Prediction], DecisionValue]


@dataclass(frozen=True)
class ModelPriors:
    """What rules may know of a model version.

    Attributes:
        threshold: The probability from which on it decides True; NaN but for binary tasks.
        counts: By category: from how many rows each value was learnt, by the value as text.
        baseline: What it would predict without looking at the record; None where its bundle doesn't say.
        readers: By category: a function from a record to its value as text, None for missing.
    """

    threshold: float
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    baseline: Prediction = None
    readers: Mapping[str, Callable[[Mapping[str, Any]], str | None]] = field(default_factory=dict)


class Condition(Protocol):
    """When a rule holds."""

    @property
    def words(self) -> str:
        """Words that complete "when …"."""

    def test(self, known: ModelPriors) -> RuleTest:
        """Prepare the condition for a model version.

        Args:
            known: What rules may know of the version.

        Returns:
            A function of a copy of the record, and a prediction, which is None before the model has predicted.
        """


@dataclass(frozen=True)
class FewRows:
    """The value of a column that is a `Category` among the features is in fewer than `below` of the rows that the model
    was fitted on; never for a missing value, nor with a model that doesn't have this category."""

    column: str
    below: int

    @property
    def words(self) -> str:
        """The words that complete a sentence about the rule."""
        if self.below == 1:
            return f"the model has never met the {self.column}"
        return f"the model met the {self.column} in fewer than {self.below} rows"

    def test(self, known: ModelPriors) -> RuleTest:
        """Prepare the condition for a model version: see `Condition.test`.

        Args:
            known: What rules may know of the version.

        Returns:
            A function of a record and a prediction.
        """
        counts, read = known.counts.get(self.column), known.readers.get(self.column)
        if counts is None or read is None:
            return lambda record, _: False
        enough = frozenset([None, *(value for value, count in counts.items() if count >= self.below)])
        return lambda record, _: read(record) not in enough


@dataclass(frozen=True)
class OneOf:
    """The column has one of these values."""

    column: str
    values: Sequence[Any]

    @property
    def words(self) -> str:
        """The words that complete a sentence about the rule."""
        values = sorted(map(str, self.values)) if isinstance(self.values, Set) else map(str, self.values)
        return f"{self.column} is {' or '.join(values)}"

    def test(self, known: ModelPriors) -> RuleTest:
        """Prepare the condition for a model version: see `Condition.test`.

        Args:
            known: What rules may know of the version.

        Returns:
            A function of a record and a prediction.
        """
        column, values = self.column, frozenset(self.values)
        return lambda record, _: record[column] in values


@dataclass(frozen=True)
class Between:
    """The column's value is in the closed interval; never for a missing value."""

    column: str
    low: Any
    high: Any

    @property
    def words(self) -> str:
        """The words that complete a sentence about the rule."""
        return f"{self.column} is between {self.low} and {self.high}"

    def test(self, known: ModelPriors) -> RuleTest:
        """Prepare the condition for a model version: see `Condition.test`.

        Args:
            known: What rules may know of the version.

        Returns:
            A function of a record and a prediction.
        """
        column, low, high = self.column, self.low, self.high
        return lambda record, _: (value := record[column]) is not None and low <= value <= high


@dataclass(frozen=True)
class CloseCall:
    """It takes less than `margin` to decide otherwise: from the threshold (binary), or between the two most probable
    classes. A number has neither: a rule that asks that is refused when it is loaded."""

    margin: float

    @property
    def words(self) -> str:
        """The words that complete a sentence about the rule."""
        return f"the decision hangs by less than {self.margin:g}"

    def test(self, known: ModelPriors) -> RuleTest:
        """Prepare the condition for a model version: see `Condition.test`.

        Args:
            known: What rules may know of the version.

        Returns:
            A function of a record and a prediction.
        """
        margin, threshold = self.margin, known.threshold
        if not isnan(threshold):
            return lambda _, probability: abs(probability - threshold) < margin
        return lambda _, probabilities: _top_two_margin(probabilities) < margin


@dataclass(frozen=True)
class Outside:
    """The prediction, the probability of True or a number, is outside the closed interval."""

    low: float
    high: float

    @property
    def words(self) -> str:
        """The words that complete a sentence about the rule."""
        return f"the prediction is outside {self.low:g} to {self.high:g}"

    def test(self, known: ModelPriors) -> RuleTest:
        """Prepare the condition for a model version: see `Condition.test`.

        Args:
            known: What rules may know of the version.

        Returns:
            A function of a record and a prediction.
        """
        low, high = self.low, self.high
        return lambda _, prediction: not low <= prediction <= high


@dataclass(frozen=True)
class Refuse:
    """Refuse the request with the rule's reason (422); a list is refused as a whole."""

    words = "refuse"
    review = False


@dataclass(frozen=True)
class Answer:
    """Answer without the model: by default with the baseline, and decide by that.

    The prediction is the probability of True, a list of probabilities of all classes, or a number.
    """

    prediction: Prediction = None
    decision: DecisionValue | None = None
    review = False

    @property
    def words(self) -> str:
        """The words that complete a sentence about the rule."""
        answer = "the baseline" if self.prediction is None else self.prediction
        return f"answer {answer}" + ("" if self.decision is None else f", {self.decision}")

    def answer(self, known: ModelPriors, decide: DecideFunction) -> tuple[Prediction, DecisionValue]:
        """Answer instead of the model.

        Args:
            known: What rules may know of the model version.
            decide: A function from a prediction to the decision.

        Returns:
            The prediction and the decision.

        Raises:
            ValueError: The answer is the baseline, and the model's bundle has none.
        """
        prediction = known.baseline if self.prediction is None else self.prediction
        if prediction is None:
            raise ValueError("the model's bundle has no baseline to answer with")
        return prediction, decide(prediction) if self.decision is None else self.decision


@dataclass(frozen=True)
class Override:
    """Decide this, True or False, a class or a number, whatever the model predicts. Probabilities stay unchanged."""

    decision: DecisionValue
    review = False

    @property
    def words(self) -> str:
        """The words that complete a sentence about the rule."""
        return f"decide {self.decision}"

    def change(
        self, prediction: Prediction, decision: DecisionValue, decide: DecideFunction
    ) -> tuple[Prediction, DecisionValue]:
        """Change what the model said.

        Args:
            prediction: What the model, or the rule before, predicted.
            decision: What follows from that.
            decide: A function from a prediction to the decision.

        Returns:
            The prediction and the decision from now on.
        """
        return (prediction if isinstance(self.decision, bool | str) else self.decision), self.decision


@dataclass(frozen=True)
class Clamp:
    """Bring the prediction, the probability of True or a number, into the closed interval, and decide by that."""

    low: float
    high: float
    review = False

    @property
    def words(self) -> str:
        """The words that complete a sentence about the rule."""
        return f"clamp to {self.low:g} to {self.high:g}"

    def change(
        self, prediction: Prediction, decision: DecisionValue, decide: DecideFunction
    ) -> tuple[Prediction, DecisionValue]:
        """Change what the model said.

        Args:
            prediction: What the model, or the rule before, predicted.
            decision: What follows from that.
            decide: A function from a prediction to the decision.

        Returns:
            The prediction and the decision from now on.
        """
        clamped = float(min(max(prediction, self.low), self.high))
        return clamped, decide(clamped)


@dataclass(frozen=True)
class Review:
    """Answer as decided, and put the row where people look at it."""

    words = "review"
    review = True


@dataclass(frozen=True)
class Defer:
    """Answer as decided, marked as pending, and let people decide within so many hours. If they haven't by then, the
    default counts: this decision, or the answer's own where it is None."""

    hours: float
    default: DecisionValue | None = None
    review = True

    @property
    def words(self) -> str:
        """The words that complete a sentence about the rule."""
        default = "what was answered" if self.default is None else self.default
        return f"let people decide within {self.hours:g} h, or else {default}"


PreModelAction = Refuse | Answer
PostModelAction = Override | Clamp | Review | Defer


@dataclass(frozen=True)
class Rule:
    """`name` stands in answers, in the log and in metrics; `reason` is for people."""

    name: str
    reason: str
    when: Condition
    then: PreModelAction | PostModelAction

    def __post_init__(self) -> None:
        if self.stage == "before" and isinstance(self.when, CloseCall | Outside):
            raise ValueError(
                f"rule {self.name}: {self.then.words} is before the model, when {self.when.words} is after"
            )

    @property
    def stage(self) -> str:
        """When the rule is tried: "before" the model predicts, or "after"."""
        return "before" if isinstance(self.then, Refuse | Answer) else "after"


def _top_two_margin(probabilities: Sequence[float]) -> float:
    *_, second, first = sorted(probabilities)
    return first - second
