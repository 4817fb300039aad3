"""The rule engine: the rules of `problem/rules.py` with one loaded model version, and the marks that they leave."""

import copy
import logging
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from penumbra.core.predictions import find_finite_rows
from penumbra.core.problem import Problem
from penumbra.core.settings import RuleSettings
from penumbra.core.text.errors import USER_ERRORS
from penumbra.features import Record
from penumbra.logs.labels import LabelSpec
from penumbra.rules import (
    Clamp,
    Condition,
    DecideFunction,
    DecisionValue,
    Defer,
    ModelPriors,
    Override,
    Prediction,
    Refuse,
    Review,
    Rule,
    RuleTest,
)
from service.http import metrics
from service.inference.exploration import ExploreFunction, keep_decision, make_explorer, make_key_draw
from service.inference.rules.frame_rules import FramePredictions, RuledRows, find_rows, is_built_in
from service.inference.rules.rule_marks import make_marks, override_decision

OnError = Literal["model", "review", "baseline"]
RuledPrediction = tuple[Prediction, DecisionValue, dict[str, Any]]
FiredAndFailed = tuple[list[Rule], list[Rule]]

NO_RULE_DECIDED: tuple[None, tuple[str, ...]] = (None, ())

NESTED_TYPES = (list, dict)  # of the values of lists, arrays and structs

logger = logging.getLogger("service.inference.rules.rule_engine")


class RefusedByRule(Exception):
    """A rule refuses to have the record answered."""

    def __init__(self, rule: Rule) -> None:
        super().__init__(rule.name)
        self.rule = rule


class RuleEngine:
    """Rules prepared for one version. May be used by several threads at once.

    Marks are as in rule_marks.py. Those of `explore` are added where no rule has decided, and none failed.
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        priors: ModelPriors,
        decide: DecideFunction,
        on_error: OnError,
        explore: ExploreFunction = keep_decision,
    ) -> None:
        tests = [(rule, _prepare_test(rule.when, priors)) for rule in rules]
        self._before = [(rule, test) for rule, test in tests if rule.stage == "before"]
        self._after = [(rule, test) for rule, test in tests if rule.stage == "after"]
        self._priors = priors
        self._decide = decide
        self._fails_to_baseline = on_error == "baseline" and priors.baseline is not None
        self._reviews_failures = on_error != "model" and not self._fails_to_baseline
        self._explore = explore
        self._reported: set[str] = set()

    def apply_before(self, record: Record) -> tuple[RuledPrediction | None, Sequence[str]]:
        """Apply the rules that come before the model.

        Args:
            record: The record by column.

        Returns:
            The prediction, decision and marks of the first rule that fires, or None; and the names of rules that
            failed.

        Raises:
            RefusedByRule: A rule refuses the record.
        """
        failed: list[str] = []
        for rule, test in self._before:
            try:
                if test(record, None):
                    return self._answer_by_rule(rule, failed), failed
            except RefusedByRule:
                raise
            except USER_ERRORS as error:
                failed.append(self._report_failure(rule, error))
        return (None, failed) if failed else NO_RULE_DECIDED

    def apply_after(self, record: Record, prediction: Prediction, failed: Sequence[str] = ()) -> RuledPrediction:
        """Apply the rules that come after the model.

        Args:
            record: The record by column.
            prediction: The model's output.
            failed: Names of the rules that failed in `apply_before`.

        Returns:
            Final prediction, decision and marks.
        """
        decision = self._decide(prediction)
        fired: list[Rule] = []
        failed_here: list[str] = []
        for rule, test in self._after:
            try:
                if test(record, prediction):
                    if isinstance(rule.then, Override | Clamp):
                        prediction, decision = rule.then.change(prediction, decision, self._decide)
                    fired.append(rule)
            except USER_ERRORS as error:
                failed_here.append(self._report_failure(rule, error))
        if not (fired or failed or failed_here):
            return prediction, *self._explore(record, prediction, decision)
        if failed or failed_here or any(not isinstance(rule.then, Review) for rule in fired):
            return self._add_marks(prediction, decision, fired, [*failed, *failed_here])
        explored, marks = self._explore(record, prediction, decision)
        return prediction, explored, self._add_marks(prediction, decision, fired, ())[2] | marks

    @property
    def can_rule_rows(self) -> bool:
        """Whether rows of a frame can be ruled in columns.

        They can't where decisions are explored, or where a condition that isn't built in, and is to be asked once, may
        change what is predicted, as by the baseline where it fails.
        """
        asked_once = [rule for rule, _ in (*self._before, *self._after) if not is_built_in(rule.when)]
        keep = all(_keeps_prediction(rule) and not self._fails_to_baseline for rule in asked_once)
        return keep and self._explore is keep_decision

    def find_decided_rows(self, rows: FramePredictions) -> np.ndarray:
        """Find the rows of a frame for which a rule decides before the model is asked.

        Args:
            rows: The rows, without outputs, which can be ruled in columns.

        Returns:
            bool [n].
        """
        decided = np.zeros(rows.rows.height, bool)
        for rule, test in self._before:
            decided |= find_rows(rule.when, test, self._priors, rows, ~decided).holding
        return decided

    def may_refuse(self, rows: FramePredictions) -> bool:
        """Check whether a rule that refuses holds for any row of a frame; one before it may decide for that row.

        Args:
            rows: The rows, without outputs, which can be ruled in columns.

        Returns:
            Whether one does.
        """
        everywhere = np.ones(rows.rows.height, bool)
        refusing = [(rule, test) for rule, test in self._before if isinstance(rule.then, Refuse)]
        return any(find_rows(rule.when, test, self._priors, rows, everywhere).holding.any() for rule, test in refusing)

    def rule_rows(self, scored: FramePredictions) -> RuledRows:
        """Apply the rules to the rows of a frame, as far as what the model predicts stays, whatever is decided.

        Args:
            scored: The rows with their outputs.

        Returns:
            The marks of these rows, and what rules decide; a `default` that is None is the row's own decision. All rows
            are concerned where rows can't be ruled in columns, and those always whose output is NaN or infinite.
        """
        concerned = ~find_finite_rows(np.asarray(scored.outputs)) | (not self.can_rule_rows)
        rules = [*self._before, *self._after]
        unscored, codes = scored._replace(outputs=None), np.zeros(len(concerned), np.int64)
        said: list[FiredAndFailed] = [([], [])]  # by code
        errors: dict[str, BaseException] = {}
        for rule, test in () if concerned.all() else sorted(rules, key=lambda each: _keeps_prediction(each[0])):
            given = unscored if rule.stage == "before" else scored
            found = find_rows(rule.when, test, self._priors, given, ~concerned)
            if found.error is not None:
                errors[rule.name] = found.error
                concerned |= found.failing & (self._fails_to_baseline or not _keeps_prediction(rule))
            if not _keeps_prediction(rule):
                concerned |= found.holding
            elif (found.holding | found.failing).any():
                different, codes = _renumber(codes * 3 + found.holding + 2 * found.failing)
                said = [_add_rule(said[code // 3], rule, code % 3) for code in different]
        for (fired, failed), rows in zip(said, np.bincount(codes[~concerned], minlength=len(said)), strict=True):
            for rule in fired:
                metrics.rules_fired.labels(rule.name).inc(int(rows))
            for rule in failed if rows else ():
                self._report_failure(rule, errors[rule.name], int(rows))
        marks = [self._mark_rows(*each) for each in said]
        return RuledRows(concerned, codes, marks, [override_decision(fired) for fired, _ in said])

    def _mark_rows(self, fired: Sequence[Rule], failed: Sequence[Rule]) -> dict[str, Any]:
        """The marks of rows of a frame for which what the model predicts stays."""
        is_doubtful = bool(failed) and self._reviews_failures
        return make_marks(fired, [rule.name for rule in failed], None, is_doubtful)

    def _answer_by_rule(self, rule: Rule, failed: Sequence[str]) -> RuledPrediction:
        if isinstance(rule.then, Refuse):
            metrics.rules_fired.labels(rule.name).inc()
            raise RefusedByRule(rule)
        prediction, decision = rule.then.answer(self._priors, self._decide)  # type: ignore[union-attr]
        return self._add_marks(prediction, decision, [rule], failed)

    def _add_marks(
        self, prediction: Prediction, decision: DecisionValue, fired: Sequence[Rule], failed: Sequence[str]
    ) -> RuledPrediction:
        if failed and self._fails_to_baseline:
            prediction, decision = self._priors.baseline, self._decide(self._priors.baseline)
        for rule in fired:
            metrics.rules_fired.labels(rule.name).inc()
        is_doubtful = bool(failed) and self._reviews_failures
        return prediction, decision, make_marks(fired, failed, decision, is_doubtful)

    def _report_failure(self, rule: Rule, error: BaseException, rows: int = 1) -> str:
        """Count a failed rule for so many `rows`, and log it the first time. Returns the rule's name."""
        metrics.rule_failures.labels(rule.name).inc(rows)
        if rule.name not in self._reported:
            self._reported.add(rule.name)
            logger.error("rule %s fails, see penumbra_rule_failures for how often: %r", rule.name, error)
        return rule.name


def _prepare_test(when: Condition, priors: ModelPriors) -> RuleTest:
    """Prepare a condition; one that isn't built in gets a copy, as other rules, model and log read the record, too.

    One that can't be prepared for this version fails for each record, and keeps no version from being loaded.
    """
    try:
        test = when.test(priors)
    except USER_ERRORS as error:
        return _make_failing_test(error)
    return test if is_built_in(when) else lambda record, prediction: test(_copy_record(record), prediction)


def _make_failing_test(error: BaseException) -> RuleTest:
    def fail(record: Record, prediction: Prediction) -> bool:
        raise error.with_traceback(None)

    return fail


def _copy_record(record: Record) -> dict[str, Any]:
    """Copy a record with the lists and structs in it; several times as fast as `copy.deepcopy` where it has none."""
    copied = dict(record)
    for column, value in record.items():
        if type(value) in NESTED_TYPES:
            copied[column] = copy.deepcopy(value)
    return copied


def _keeps_prediction(rule: Rule) -> bool:
    """Whether an action leaves what the model predicts; a number is that, too, and a subclass does as it likes."""
    then = rule.then
    return type(then) in (Review, Defer) or (type(then) is Override and isinstance(then.decision, bool | str))


def _renumber(codes: np.ndarray) -> tuple[list[int], np.ndarray]:
    """The different ones among small codes, ascending, and the codes as positions among these; int64 [n]. `np.unique`
    sorts all of them."""
    is_there = np.bincount(codes) > 0
    return np.flatnonzero(is_there).tolist(), (np.cumsum(is_there) - 1)[codes]


def _add_rule(said: FiredAndFailed, rule: Rule, how: int) -> FiredAndFailed:
    """Add a rule to those that fired where `how` is 1, and to those that failed where it is 2."""
    fired, failed = said
    return fired + [rule] * (how == 1), failed + [rule] * (how == 2)


RuleEngineFactory = Callable[[ModelPriors, DecideFunction], RuleEngine]


def make_rule_engine_factory(
    rules: Sequence[Rule], on_error: OnError, explore: ExploreFunction = keep_decision
) -> RuleEngineFactory:
    """Return a function that prepares rules for a model version.

    Args:
        rules: The problem's rules.
        on_error: What happens where a rule fails: keep the model's answer, mark it for review, or use the baseline.
        explore: See `service.inference.exploration.make_explorer`.

    Returns:
        A function of the model's priors and its decision function.
    """
    return lambda priors, decide: RuleEngine(rules, priors, decide, on_error, explore)


def make_problem_rule_engines(rules: RuleSettings, problem: Problem, spec: LabelSpec) -> RuleEngineFactory:
    """Return a function that prepares the rules of a problem for a model version, as the settings have them applied.

    Args:
        rules: Section [rules] of the settings.
        problem: The problem, with its rules.
        spec: What the contract says of keys.

    Returns:
        A function of the model's priors and its decision function.
    """
    share = rules.explore_share if rules.apply else 0.0
    explore = make_explorer(spec.task, problem.rules.OBSERVED_DECISIONS, share, make_key_draw(spec.key))
    return make_rule_engine_factory(problem.rules.RULES if rules.apply else (), rules.on_error, explore)


make_empty_rule_engine = make_rule_engine_factory((), "model")
