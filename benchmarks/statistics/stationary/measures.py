"""Two measurements of a problem: how often windows alarm though nothing changes, and how soon changes are seen."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.helpers.rates import compute_alarm_rate
from benchmarks.statistics.stationary.changes import STANDARD_CHANGES, has_changeable_column
from benchmarks.statistics.stationary.judges import WatchedWorld
from benchmarks.statistics.stationary.problems import DAYS_PER_WEEK, StationaryProblem
from benchmarks.statistics.stationary.worlds import RowChange, StationaryWorld, draw_world

CALM_WEEKS, CHANGED_WEEKS = 9, 8
NEVER_SEEN = math.inf


def judge_real_order(problem: StationaryProblem) -> np.ndarray:
    """Judge the weeks of a series in the real order of its days.

    Args:
        problem: The problem, whose source is a series.

    Returns:
        Whether each week alarms by columns, predictions and loss: bool [weeks, 3].
    """
    ordered = replace(problem, source=replace(problem.source, ordered=True))
    return WatchedWorld(draw_world(ordered, seed=0)).judge_weeks()


@dataclass(frozen=True)
class FalseAlarms:
    """Alarms on windows in which nothing has changed.

    Attributes:
        models: How many models answered.
        windows: How many windows were judged.
        shares: The shares of them that alarm by columns, by predictions and by loss.
        rate: The share that alarms at all.
        bound: Its upper 95 % bound over models.
    """

    models: int
    windows: int
    shares: tuple[float, ...]
    rate: float
    bound: float


def measure_stationary_alarms(problem: StationaryProblem, first_seed: int, windows: int) -> FalseAlarms:
    """Judge windows of a problem on which nothing changes.

    Args:
        problem: The problem.
        first_seed: The seed of the first model's world.
        windows: At least so many windows are judged, over as many models as it takes.

    Returns:
        How many of them alarm.
    """
    models = -(-windows // problem.phases.weeks)
    found = [WatchedWorld(draw_world(problem, first_seed + number)).judge_weeks() for number in range(models)]
    rate, bound = compute_alarm_rate([each.any(axis=1).tolist() for each in found])
    every = np.concatenate(found)
    return FalseAlarms(models, len(every), tuple(every.mean(axis=0).tolist()), rate, bound)


def measure_change_detection(problem: StationaryProblem, first_seed: int, worlds: int) -> dict[str, list[float]]:
    """Measure how soon standard changes are seen that begin after some calm weeks and last.

    Args:
        problem: The problem.
        first_seed: The seed of the first world.
        worlds: The number of worlds, with a model each.

    Returns:
        By the name of the change the week, from 1, in which it is seen in each world: `NEVER_SEEN` where that takes
        more than eight; empty where the problem has no column to change.
    """
    longer = replace(problem, phases=replace(problem.phases, weeks=CALM_WEEKS + CHANGED_WEEKS))
    seen: dict[str, list[float]] = {name: [] for name in STANDARD_CHANGES}
    for number in range(worlds):
        world = draw_world(longer, first_seed + number)
        for name, change in STANDARD_CHANGES.items():
            seen[name] += _find_first_week(world, change)
    return seen


def _find_first_week(world: StationaryWorld, change: RowChange) -> Iterator[float]:
    if has_changeable_column(world, change):
        first = world.problem.phases.shadow + DAYS_PER_WEEK * CALM_WEEKS
        changed = WatchedWorld(world.with_change(change, first))
        weeks = range(CHANGED_WEEKS)
        yield next((week + 1.0 for week in weeks if any(changed.judge_week(CALM_WEEKS + week))), NEVER_SEEN)
