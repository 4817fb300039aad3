"""The rules of `problem/rules.py` as they apply to one loaded model version, and the marks that they leave."""

import logging
from collections.abc import Callable, Sequence
from typing import Any, Literal

from penumbra.features import Record
from penumbra.rules import DecideFunction, DecisionValue, ModelPriors, Prediction, Refuse, Rule
from service.http import metrics
from service.http.refusals import MAX_DETAILS, Fault, RequestRefused

OnError = Literal["model", "review", "baseline"]
RuledPrediction = tuple[Prediction, DecisionValue, dict[str, Any]]

NO_MARKS: dict[str, Any] = {}
NO_RULE_DECIDED: tuple[None, tuple[str, ...]] = (None, ())

logger = logging.getLogger("service.inference.rule_engine")


class RefusedByRule(Exception):
    """The record is not to be answered."""

    def __init__(self, rule: Rule) -> None:
        super().__init__(rule.name)
        self.rule = rule


class RuleEngine:
    """Rules made ready for one version. Marks are what an answer and its entry in the log say besides the usual:
    `rules` (names, in the order in which they fired), `review` (true), `failed_rules` (names); none where nothing was.

    May be used by several threads at once.
    """

    def __init__(self, rules: Sequence[Rule], known: ModelPriors, decide: DecideFunction, on_error: OnError) -> None:
        tests = [(rule, rule.when.test(known)) for rule in rules]
        self._before = [(rule, test) for rule, test in tests if rule.stage == "before"]
        self._after = [(rule, test) for rule, test in tests if rule.stage == "after"]
        self._known = known
        self._decide = decide
        self._on_error = on_error
        self._reported: set[str] = set()

    def apply_before(self, record: Record) -> tuple[RuledPrediction | None, Sequence[str]]:
        """What a rule says without the model, or None; and the names of rules that failed. Raises RefusedByRule."""
        failed: list[str] = []
        for rule, test in self._before:
            try:
                if test(record, None):
                    return self._answered(rule, failed), failed
            except RefusedByRule:
                raise
            except Exception as error:
                failed.append(self._failed(rule, error))
        return (None, failed) if failed else NO_RULE_DECIDED

    def apply_after(self, record: Record, prediction: Prediction, failed: Sequence[str] = ()) -> RuledPrediction:
        """What is said in the end, the model having said `prediction`; `failed` are those that `first` found."""
        decision = self._decide(prediction)
        fired: list[Rule] = []
        failed_here: list[str] = []
        for rule, test in self._after:
            try:
                if test(record, prediction):
                    prediction, decision = rule.then.change(prediction, decision, self._decide)  # type: ignore[union-attr]
                    fired.append(rule)
            except Exception as error:
                failed_here.append(self._failed(rule, error))
        if not (fired or failed or failed_here):
            return prediction, decision, NO_MARKS
        return self._marked(prediction, decision, fired, [*failed, *failed_here])

    def _answered(self, rule: Rule, failed: Sequence[str]) -> RuledPrediction:
        if isinstance(rule.then, Refuse):
            metrics.rules_fired.labels(rule.name).inc()
            raise RefusedByRule(rule)
        prediction, decision = rule.then.answer(self._known, self._decide)  # type: ignore[union-attr]
        return self._marked(prediction, decision, [rule], failed)

    def _marked(
        self, prediction: Prediction, decision: DecisionValue, fired: Sequence[Rule], failed: Sequence[str]
    ) -> RuledPrediction:
        review = any(rule.then.review for rule in fired)
        if failed and self._on_error == "baseline" and self._known.baseline is not None:
            prediction, decision = self._known.baseline, self._decide(self._known.baseline)
        elif failed and self._on_error != "model":
            review = True
        for rule in fired:
            metrics.rules_fired.labels(rule.name).inc()
        marks = {"rules": [rule.name for rule in fired], "review": review, "failed_rules": list(failed)}
        return prediction, decision, {name: mark for name, mark in marks.items() if mark}

    def _failed(self, rule: Rule, error: Exception) -> str:
        """Count it, and report the first time; return the rule's name."""
        metrics.rule_failures.labels(rule.name).inc()
        if rule.name not in self._reported:
            self._reported.add(rule.name)
            logger.error("rule %s fails, see penumbra_rule_failures for how often: %r", rule.name, error)
        return rule.name


RuleEngineFactory = Callable[[ModelPriors, DecideFunction], RuleEngine]


def make_rule_engine_factory(rules: Sequence[Rule], on_error: OnError) -> RuleEngineFactory:
    """A function that makes these rules ready for a version."""
    return lambda known, decide: RuleEngine(rules, known, decide, on_error)


make_empty_rule_engine = make_rule_engine_factory((), "model")


def build_rule_refusal(refused: Sequence[tuple[int | None, Rule]], total: int) -> RequestRefused:
    """What to tell the client about records that rules refuse: (index in the list or None, the rule)."""
    index, rule = refused[0]
    whose = "the record is" if index is None else f"{len(refused)} of {total} records are"
    details = [_fault(*each) for each in refused]
    return RequestRefused(
        422, f"{whose} refused ({rule.name}: {rule.reason}), nothing was predicted", details[:MAX_DETAILS]
    )


def _fault(index: int | None, rule: Rule) -> Fault:
    position: Any = {} if index is None else {"index": index}
    return {**position, "rule": rule.name, "expected": f"not that {rule.when.words}: {rule.reason}"}
