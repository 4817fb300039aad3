"""Marks: the optional fields of an answer and its log entry that business rules leave.

They are `rules` (names, in the order in which they fired), `review` (true), `failed_rules` (names), and `pending`
(true) with `due` and `default` where the first rule of those that defer the decision to people says so; each is present
only where it isn't empty.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from penumbra.rules import DecisionValue, Defer, Override, Rule

NO_MARKS: dict[str, Any] = {}


def fill_default(marks: Mapping[str, Any], decision: Any) -> dict[str, Any]:
    """Fill in the default of answers that are deferred.

    Args:
        marks: The marks of an answer, or of a column of answers, as `rule_rows` has them.
        decision: What the answer decides, or the answers.

    Returns:
        The marks, with the decision in place of a default that is None.
    """
    return {name: decision if mark is None else mark for name, mark in marks.items()}


def override_decision(fired: Sequence[Rule]) -> DecisionValue | None:
    """Return what the last of the rules that `fired` decides in place of the model; None where none does."""
    return next((rule.then.decision for rule in reversed(fired) if isinstance(rule.then, Override)), None)


def make_marks(
    fired: Sequence[Rule], failed: Sequence[str], decision: DecisionValue | None, is_doubtful: bool = False
) -> dict[str, Any]:
    """Make the marks of an answer.

    Args:
        fired: The rules that fired, in their order.
        failed: The names of the rules that failed.
        decision: What the answer says; it is the default of one that is deferred and says no other.
        is_doubtful: Whether people are to look at the answer whatever fired, as a rule failed.

    Returns:
        The marks that aren't empty, by name.
    """
    review = is_doubtful or any(rule.then.review for rule in fired)
    marks = {"rules": [rule.name for rule in fired], "review": review, "failed_rules": list(failed)}
    return {name: mark for name, mark in marks.items() if mark} | _defer_decision(fired, decision)


def _defer_decision(fired: Sequence[Rule], decision: DecisionValue | None) -> dict[str, Any]:
    deferring = next((rule.then for rule in fired if isinstance(rule.then, Defer)), None)
    if deferring is None:
        return NO_MARKS
    due = dt.datetime.now(dt.UTC).replace(microsecond=0) + dt.timedelta(hours=float(deferring.hours))
    return {"pending": True, "due": due, "default": decision if deferring.default is None else deferring.default}
