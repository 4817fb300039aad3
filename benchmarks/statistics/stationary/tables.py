"""The tables of all problems: false alarms, and what is seen."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context

import numpy as np

from benchmarks.statistics.stationary.changes import STANDARD_CHANGES
from benchmarks.statistics.stationary.made_problems import MADE_PROBLEMS
from benchmarks.statistics.stationary.measures import (
    CALM_WEEKS,
    CHANGED_WEEKS,
    FalseAlarms,
    judge_real_order,
    measure_change_detection,
    measure_stationary_alarms,
)
from benchmarks.statistics.stationary.real_series import REAL_SERIES
from benchmarks.statistics.stationary.real_tables import REAL_TABLES
from flows.steps.processes import parallel

PROBLEMS = {**MADE_PROBLEMS, **REAL_TABLES, **REAL_SERIES}
FROZEN_SEED = 2_000_000  # of the published worlds, which nothing was chosen on; development has seeds below
WINDOWS, CHANGED_WORLDS = 1000, 10
CHANGED_SEEDS, AGAIN_SEEDS = 100_000, 200_000  # from the first seed on
PROMISED_RATE, PROMISED_BOUND, AGAIN_TIMES = 0.01, 0.02, 4


@dataclass(frozen=True)
class ProblemResult:
    """What was measured of a problem.

    Attributes:
        name: Its name.
        alarms: Its false alarms.
        again: Those of four times as many windows of other models, where the first ones leave a doubt: more than 1 %
            alarm, or the upper bound is above 2 %. These count then: that they were measured doesn't depend on them.
        seen: By change the weeks in which it is seen.
        in_order: Of a series whether each week in their real order alarms, bool [weeks, 3].
    """

    name: str
    alarms: FalseAlarms
    again: FalseAlarms | None
    seen: dict[str, list[float]]
    in_order: np.ndarray | None

    @property
    def counted(self) -> FalseAlarms:
        """The false alarms that count."""
        return self.again or self.alarms


def measure_problems(
    names: Sequence[str] = (), first_seed: int = FROZEN_SEED, windows: int = WINDOWS, worlds: int = CHANGED_WORLDS
) -> list[ProblemResult]:
    """Measure problems, as many at once as there are cores, and print their tables.

    Args:
        names: The problems; none: all.
        first_seed: The seed of each problem's first world.
        windows: At least so many windows without a change are judged of each.
        worlds: The number of worlds with changes of each.

    Returns:
        The results in the order of the names.
    """
    os.environ.update(parallel.SINGLE_THREAD_ENVIRONMENT, POLARS_MAX_THREADS="1")
    measure = partial(_measure_problem, first_seed=first_seed, windows=windows, worlds=worlds)
    with ProcessPoolExecutor(parallel.count_parallel_tasks(), get_context("spawn")) as pool:
        results = list(_print_alarms(pool.map(measure, names or PROBLEMS)))
    _print_detection(results)
    _print_real_order(results)
    return results


def _measure_problem(name: str, first_seed: int, windows: int, worlds: int) -> ProblemResult:
    problem = PROBLEMS[name]()
    alarms = measure_stationary_alarms(problem, first_seed, windows)
    doubtful = alarms.rate > PROMISED_RATE or alarms.bound > PROMISED_BOUND
    again = measure_stationary_alarms(problem, first_seed + AGAIN_SEEDS, AGAIN_TIMES * windows) if doubtful else None
    seen = measure_change_detection(problem, first_seed + CHANGED_SEEDS, worlds)
    return ProblemResult(name, alarms, again, seen, judge_real_order(problem) if name in REAL_SERIES else None)


def _print_alarms(results: Iterator[ProblemResult]) -> Iterator[ProblemResult]:
    print("Windows that raise an alarm though nothing changes: by columns, predictions and loss")
    print(f"{'':<44}{'models':>7}{'windows':>9}{'columns':>9}{'scores':>8}{'loss':>8}{'any':>8}{'upper 95 %':>12}")
    for result in results:
        _print_rates(result.name, result.alarms)
        if result.again:
            _print_rates("  again, with other models", result.again)
        yield result


def _print_rates(name: str, found: FalseAlarms) -> None:
    shares = "".join(f"{share:>8.3f}" for share in (*found.shares, found.rate))
    print(f"{name:<44}{found.models:>7}{found.windows:>9,} {shares}{found.bound:>12.3f}", flush=True)


def _print_detection(results: Sequence[ProblemResult]) -> None:
    print(
        f"\nChanges from week {CALM_WEEKS + 1} in production on: seen in their first week, and within {CHANGED_WEEKS};"
    )
    print("median week in which they are seen")
    print(f"{'':<44}{''.join(f'{name:>18}' for name in STANDARD_CHANGES)}")
    for result in results:
        print(f"{result.name:<44}{''.join(map(_format_weeks, result.seen.values()))}")


def _format_weeks(weeks: list[float]) -> str:
    if not weeks:
        return f"{'-':>18}"
    found = np.array(weeks)
    median = np.median(found)
    words = f"{median:.0f}" if np.isfinite(median) else "-"
    return f"{(found <= 1).mean():>8.1f}{np.isfinite(found).mean():>5.1f}{words:>5}"


def _print_real_order(results: Sequence[ProblemResult]) -> None:
    print("\nSeries in the real order of their days, the model never renewed: weeks that alarm")
    print(f"{'':<44}{'weeks':>7}{'columns':>9}{'scores':>8}{'loss':>8}")
    for result in results:
        if result.in_order is not None:
            shares = "".join(f"{share:>8.2f}" for share in result.in_order.mean(axis=0))
            print(f"{result.name:<44}{len(result.in_order):>7} {shares}")
