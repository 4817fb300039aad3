"""Agreement between reviewers over the cases that at least two of them answered, each for themselves.

Krippendorff's alpha takes any number of reviewers, of whom each answers some cases only. It is 1 where all agree, 0
where they agree as often as by chance, and below 0 where they agree less often than that.
"""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from penumbra.core.task import TaskKind
from penumbra.core.text.counts import format_count

MIN_AGREEMENT_CASES = 20  # with fewer, intervals cover the truth too seldom
MAX_AGREEMENT_CASES = 1000  # the latest; alpha's time grows with the square of the numbers that differ
MAX_GROUPS = 25
GROUPING_SEED = 2013

AnsweredCases = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Agreement:
    """How far reviewers agree.

    Attributes:
        cases: Number of cases that at least two people answered.
        differing: In how many of them two answers differ.
        alpha: Krippendorff's alpha; None where it is undefined.
        interval: Its 95 % confidence limits; None where there are too few cases to tell.
        undefined: Why there is no alpha, or no interval; "" where there are both.
    """

    cases: int
    differing: int
    alpha: float | None = None
    interval: tuple[float, float] | None = None
    undefined: str = ""

    def __str__(self) -> str:
        """Such as "alpha 0.82 [0.70, 0.91] over 120 cases, of which 9 have answers that differ"."""
        counts = (
            f"{format_count(self.cases, 'case')}, of which "
            f"{format_count(self.differing, 'has answers that differ', 'have answers that differ')}"
        )
        if self.alpha is None:
            return f"{counts}: no alpha, as {self.undefined}"
        if self.interval is None:
            return f"alpha {self.alpha:.2f} over {counts}: no interval, as {self.undefined}"
        return f"alpha {self.alpha:.2f} [{self.interval[0]:.2f}, {self.interval[1]:.2f}] over {counts}"


def measure_agreement(cases: AnsweredCases, kind: TaskKind) -> Agreement:
    """Measure the agreement of reviewers by Krippendorff's alpha.

    Args:
        cases: Of each case the target by reviewer, as they answered each for themselves: a bool, the name of a class,
            or a number; None where the answer has no target. Cases with fewer than two targets don't count, and of the
            others the last 1,000 do.
        kind: The task's kind: two different numbers disagree by the square of their distance, all others wholly.

    Returns:
        Alpha with its interval, or in words why there is none.

    Source:
        Krippendorff, "Content Analysis", 1980. The interval: the jackknife over at most 25 groups of cases, of
        log(1 - alpha), which has no limit above 1 (Efron & Tibshirani, "An Introduction to the Bootstrap", 1993).
    """
    given = [{reviewer: answer for reviewer, answer in case.items() if answer is not None} for case in cases]
    shared = [case for case in given if len(case) > 1][-MAX_AGREEMENT_CASES:]
    differing = sum(len(set(case.values())) > 1 for case in shared)
    if len({answer for case in shared for answer in case.values()}) < 2:
        return Agreement(len(shared), 0, undefined="all answers are the same" if shared else "no case has two answers")
    alpha = _compute_alpha(shared, kind)
    if len(shared) < MIN_AGREEMENT_CASES:
        too_few = f"that takes {MIN_AGREEMENT_CASES} cases with two answers"
        return Agreement(len(shared), differing, alpha, undefined=too_few)
    left_out = _compute_without_groups(shared, kind)
    if max(left_out) == 1:
        return Agreement(len(shared), differing, alpha, undefined="too few answers differ")
    return Agreement(len(shared), differing, alpha, _compute_interval(alpha, left_out))


def _compute_alpha(cases: AnsweredCases, kind: TaskKind) -> float:
    from nltk.metrics.agreement import AnnotationTask
    from nltk.metrics.distance import binary_distance, interval_distance

    answers = [(reviewer, n, answer) for n, case in enumerate(cases) for reviewer, answer in case.items()]
    return float(AnnotationTask(answers, interval_distance if kind == "regression" else binary_distance).alpha())


def _compute_without_groups(cases: AnsweredCases, kind: TaskKind) -> list[float]:
    """Alpha without each of the groups into which the cases are drawn."""
    shuffled = random.Random(GROUPING_SEED).sample(cases, len(cases))
    groups = min(len(cases), MAX_GROUPS)
    return [
        _compute_alpha([case for n, case in enumerate(shuffled) if n % groups != out], kind) for out in range(groups)
    ]


def _compute_interval(alpha: float, left_out: Sequence[float]) -> tuple[float, float]:
    from scipy.special import stdtrit

    groups, logs = len(left_out), [math.log(1 - each) for each in left_out]
    error = math.sqrt((groups - 1) / groups * sum((each - sum(logs) / groups) ** 2 for each in logs))
    factor = math.exp(stdtrit(groups - 1, 0.975) * error)
    return 1 - (1 - alpha) * factor, 1 - (1 - alpha) / factor
