"""`penumbra bench estimate`: the error of the loss estimated without labels, and how often its band holds the real one.

Judged are weeks of made problems with known shifts (shifted_inputs.py), whose seeds no rule was chosen on, and the
flights from April on, for a model that learnt from the months before. Beside it: calibrated scores alone (CBPE), and
the reference's loss. `WORLDS=50` makes more than 12 worlds of each made problem.
"""

import json
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.statistics.estimate import estimated_flights
from benchmarks.statistics.estimate.shifted_inputs import (
    CHANGED_RELATIONS,
    INPUT_SHIFTS,
    MODELS,
    MadeRows,
    make_problems,
)
from monitoring.estimation.expected_losses import compute_expected_losses
from monitoring.estimation.loss_estimator import LossEstimator
from penumbra.core.metrics.losses import compute_clipped_losses
from penumbra.core.task import Task

WORLDS, ROWS_PER_DAY, FIRST_SEED = int(os.environ.get("WORLDS", 12)), 150, 20_000
CEILING = 10  # times the mean loss of the reference
WORDS = {"binary": "two classes", "multiclass": "three classes", "regression": "numbers"}


@dataclass(frozen=True)
class JudgedWeek:
    """Of a week, as shares of the reference's loss: how far the estimate, CBPE (NaN for numbers) and no change are from
    the realised loss; whether the band holds it; half the width of the band; whether the reference was weighted."""

    ours: float
    scores: float
    unchanged: float
    inside: bool
    reach: float
    weighted: bool


def main() -> None:
    made = measure_made_problems(range(FIRST_SEED, FIRST_SEED + WORLDS))
    flights = measure_flights()
    print(json.dumps({"made": made, **flights}))


def measure_made_problems(
    seeds: Sequence[int], rows: int = ROWS_PER_DAY, models: tuple[str, ...] = MODELS
) -> dict[str, Any]:
    """Print the table of made problems drawn from `seeds`, with `rows` a day; return its summary."""
    found: dict[tuple[str, str], list[JudgedWeek]] = defaultdict(list)
    for seed in seeds:
        for problem in make_problems(seed, rows, INPUT_SHIFTS + CHANGED_RELATIONS, models):
            estimator = make_estimator(problem.task, problem.reference)
            for shift, week in problem.weeks.items():
                found[f"{WORDS[problem.task.kind]}, {problem.model}", shift.name].append(judge_week(estimator, week))
    print(f"Made problems, {len(seeds)} worlds each; 60 days of reference, {rows} rows a day")
    _print_head("")
    for name in dict.fromkeys(name for name, _ in found):
        print(name)
        for shift in (*INPUT_SHIFTS, *CHANGED_RELATIONS):
            _print_weeks(f"  {shift.name}", found[name, shift.name])
    shifted = [each for (_, name), weeks in found.items() for each in weeks if name in _list_names(INPUT_SHIFTS)]
    changed = [each for (_, name), weeks in found.items() for each in weeks if name in _list_names(CHANGED_RELATIONS)]
    return {"inputs_shift": _summarise(shifted), "relation_changes": _summarise(changed)}


def measure_flights() -> dict[str, Any]:
    """Print the table of flights, by month; return its summary for each task."""
    summaries = {}
    for task, reference, weeks in estimated_flights.read_weeks():
        estimator, judged = make_estimator(task, reference), defaultdict(list)
        for month, week in weeks:
            judged[month].append(judge_week(estimator, week))
        print(f"\nFlights, {WORDS[task.kind]}: weeks of each month; the model learnt from January to March")
        _print_head("")
        for month, each in judged.items():
            _print_weeks(month, each)
        every = [week for each in judged.values() for week in each]
        _print_weeks("all weeks", every)
        summaries[f"flights_{task.kind}"] = _summarise(every)
    return summaries


def make_estimator(task: Task, reference: MadeRows) -> LossEstimator:
    """Make an estimator from a reference with labels, with a ceiling of ten times its mean loss."""
    losses = compute_clipped_losses(task, reference.labels, reference.scored.predictions, "auto", np.inf)
    ceiling = CEILING * float(losses.mean())
    return LossEstimator.from_reference(task, "auto", ceiling, reference.scored, reference.labels)


def judge_week(known: LossEstimator, week: MadeRows) -> JudgedWeek:
    """Judge the estimate of a week by its labels."""
    said, reference = week.scored.predictions, known.reference.predictions
    realised, usual = (
        float(compute_clipped_losses(known.task, labels, predictions, known.loss, known.ceiling).mean())
        for labels, predictions in ((week.labels, said), (known.labels, reference))
    )
    scores = np.nan
    if known.task.kind != "regression":
        expected = compute_expected_losses(known.task, said, reference, known.labels, known.loss, known.ceiling)
        scores = abs(float(expected.mean()) - realised) / usual
    found = known.estimate_window(week.scored)
    if found is None:
        raise ValueError("a made week without an estimate")
    return JudgedWeek(
        abs(found.mean - realised) / usual,
        scores,
        abs(usual - realised) / usual,
        found.low <= realised <= found.high,
        (found.high - found.low) / 2 / usual,
        found.weights is not None,
    )


def _list_names(shifts: Sequence[Any]) -> list[str]:
    return [shift.name for shift in shifts]


def _print_head(name: str) -> None:
    print("mean distance from the realised loss, in per cent of the reference's; the band's half width likewise")
    print(f"{name:<38}{'weeks':>7}{'ours':>8}{'CBPE':>8}{'no change':>11}{'in band':>9}{'width':>8}{'weighted':>10}")


def _print_weeks(name: str, weeks: Sequence[JudgedWeek]) -> None:
    ours, scores, unchanged, inside, reach, weighted = _average(weeks)
    cbpe = f"{scores:>8.1%}" if np.isfinite(scores) else f"{'-':>8}"
    print(
        f"{name:<38}{len(weeks):>7}{ours:>8.1%}{cbpe}{unchanged:>11.1%}{inside:>9.2f}{reach:>8.1%}{weighted:>10.2f}",
        flush=True,
    )


def _average(weeks: Sequence[JudgedWeek]) -> Iterator[float]:
    return (float(np.mean([getattr(week, name) for week in weeks])) for name in JudgedWeek.__dataclass_fields__)


def _summarise(weeks: Sequence[JudgedWeek]) -> dict[str, Any]:
    classes = [week for week in weeks if np.isfinite(week.scores)]
    ours, _, unchanged, inside, *_ = _average(weeks)
    found = {"weeks": len(weeks), "error": ours, "no_change": unchanged, "in_band": inside}
    if classes:
        found |= dict(zip(("error_classes", "cbpe_classes"), _average(classes), strict=False))
    return {name: round(value, 4) for name, value in found.items()}


if __name__ == "__main__":
    main()
