"""`make bench-patterns`: each pattern beside its plain counterpart on the later months of 2013. For every month from
May on, both learn from all months before it and are scored on it; differences of log-loss come with 95 % intervals
from a bootstrap over days. Of the cascade also who answers, and how fast."""

import json
import os
import statistics
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

import problem.schema
import problem.source
import settings
from flows.experiments import matrices, plan
from flows.experiments.matrices import Matrices
from problem.augment import outage
from problem.slices import DAY
from settings import Settings
from stores.bundle import session
from stores.data import DataStore
from stores.measure import single_row_us
from training import bootstrap, evaluate
from training.compile import compile_model
from training.lesson import teach
from training.trial import Job, predictions

PLAIN = "gradient_boosting"
FITS = [
    *("cascade", "hard_negatives", "reframed_boosting", "augmented_boosting", "recent_boosting"),
    *("logistic_regression", "recent_logistic"),
]
PAIRS = {  # what is compared: (the pattern's predictions, those of its plain counterpart)
    "reframing": ("reframed_boosting", PLAIN),
    "cascade": ("cascade", "cascade/expensive"),
    "hard negatives": ("hard_negatives", PLAIN),
    "augmentation": ("augmented_boosting", PLAIN),
    "  30 % without weather": ("augmented_boosting/outage", f"{PLAIN}/outage"),
    "window, boosting": ("recent_boosting", PLAIN),
    "window, linear": ("recent_logistic", "logistic_regression"),
}
FIRST, WINDOW, OUTAGE, ROUNDS = 4, 3, 0.3, 5
Said = dict[str, np.ndarray]


def main() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as folder:
        made, batches = prepare(settings.load(), Path(folder))
        later = range(FIRST, len(batches))
        with ProcessPoolExecutor(2) as pool:
            plain = {month: pool.submit(fit, made, PLAIN, batches, month) for month in later}
            live = [
                np.full(len(made.judged(batches[:FIRST])[1]), np.nan),
                *(plain[m].result()[0][PLAIN] for m in later),
            ]
            known = {month: np.concatenate(live[: month - FIRST + 1]) for month in later}
            others = [
                pool.submit(fit, made, name, batches, month, known[month]) for month in reversed(later) for name in FITS
            ]
            results = [each.result() for each in (*plain.values(), *others)]
        said, reports = gather(results, later)
        told = compare(made, batches, said)
        stages = cascade(made, batches, said, reports)
    print(json.dumps({"patterns": told, "cascade": stages}))


def prepare(chosen: Settings, root: Path) -> tuple[Matrices, list[str]]:
    """The year's matrices, from a data store of its own; the batches' names."""
    data = chosen.data.model_copy(update={"folder": root / "data", "derived": root / "derived"})
    store, names = DataStore(data, problem), [batch.name for batch in problem.source.batches()]
    for name in names:
        store.stage(name, problem.source.fetch(name))
    store.admit(names)
    own = chosen.model_copy(update={"data": data})
    made = matrices.write(own, names, root / "arrays")
    made.arrays.write("days", plan.rows(own, names).select(DAY.dt.epoch("d")).to_series().to_numpy())
    return made, names


def fit(
    made: Matrices, name: str, batches: list[str], month: int, live: np.ndarray | None = None
) -> tuple[Said, int, dict[str, float]]:
    """Learn from the batches before a month; what is said of the month's rows, by the name of who says it."""
    taught = batches[month - WINDOW : month] if name == "recent_logistic" else batches[:month]
    recipe = name.replace("recent_logistic", "logistic_regression")
    estimator, inputs = made.estimator(Job(recipe)), made.judged([batches[month]])[0]
    teach(estimator, replace(made.lesson(recipe, taught), live=live))
    said = {name: predictions(made.task, estimator, inputs)}
    if name in (PLAIN, "augmented_boosting"):
        said[f"{name}/outage"] = predictions(made.task, estimator, broken(inputs, made, month))
    if name == "cascade":
        said["cascade/sure"] = estimator.sure(inputs)
        said["cascade/cheap"] = predictions(made.task, estimator.cheap_, inputs)
        said["cascade/expensive"] = predictions(made.task, estimator.expensive_, inputs)
    return said, month, dict(getattr(estimator, "report_", {}))


def broken(inputs: np.ndarray, made: Matrices, month: int) -> np.ndarray:
    return outage(np.array(inputs), SimpleNamespace(**made.columns), np.random.default_rng(month), OUTAGE)


def gather(results: list[tuple[Said, int, dict[str, float]]], later: range) -> tuple[Said, dict[str, list[Any]]]:
    """All that each has said, months in order; and the reports of each, by the name of the first that it says."""
    results = sorted(results, key=lambda result: result[1])
    said: dict[str, list[np.ndarray]] = {}
    reports: dict[str, list[Any]] = {}
    for parts, _, report in results:
        reports.setdefault(next(iter(parts)), []).append(report)
        for name, values in parts.items():
            said.setdefault(name, []).append(values)
    return {name: np.concatenate(values) for name, values in said.items()}, reports


def compare(made: Matrices, batches: list[str], said: Said) -> dict[str, Any]:
    """Print and return each pattern's difference: over all months with its interval, and month by month."""
    months = batches[FIRST:]
    labels, days = made.judged(months)[1], made.arrays.part(months, "days")
    ends = np.cumsum([made.arrays.sizes[batch] for batch in months])[:-1]
    losses = {name: evaluate.losses(made.task, labels, values) for name, values in said.items() if "sure" not in name}
    print(
        f"{len(labels):,} flights from {months[0]} to {months[-1]}; log-loss, and by how much the pattern's is higher"
    )
    print(f"{'':<24}{'plain':>8}{'pattern':>9}   difference [95 % interval]     " + "  ".join(m[5:] for m in months))
    told = {}
    for title, (pattern, plain) in PAIRS.items():
        found = bootstrap.paired(losses[pattern], losses[plain], days)
        monthly = [float(part.mean()) for part in np.split(losses[pattern] - losses[plain], ends)]
        told[title.strip()] = {"plain": losses[plain].mean(), "difference": found.value, "low": found.low}
        told[title.strip()] |= {"high": found.high, "monthly": [round(value, 4) for value in monthly]}
        print(
            f"{title:<24}{losses[plain].mean():>8.4f}{losses[pattern].mean():>9.4f}"
            f"   {found.value:+.4f} [{found.low:+.4f}, {found.high:+.4f}]  "
            + " ".join(f"{1000 * value:+4.0f}" for value in monthly)
        )
    print("(the months' differences in thousandths)")
    return {
        name: {k: round(v, 5) if isinstance(v, float) else v for k, v in each.items()} for name, each in told.items()
    }


def cascade(made: Matrices, batches: list[str], said: Said, reports: dict[str, list[Any]]) -> dict[str, Any]:
    """Print and return who answers, and the microseconds of one compiled answer: medians of rounds in turns."""
    estimator, inputs = made.estimator(Job("cascade")), made.judged([batches[FIRST]])[0]
    teach(estimator, made.lesson("cascade", batches[:FIRST]))
    middle = float(np.median(predictions(made.task, estimator.cheap_, inputs)))
    estimator.report_.update(low=middle, high=1.0)  # where thresholds lie makes no difference to the time of an answer
    sure, share = estimator.sure(inputs), float(said["cascade/sure"].mean())
    stages = {"cascade": estimator, "cheap": estimator.cheap_, "expensive": estimator.expensive_}
    compiled = {name: session(compile_model(each, inputs.shape[1])) for name, each in stages.items()}
    asked = {
        "cascade, the cheap model answers": ("cascade", inputs[sure]),
        "cascade, the expensive model answers": ("cascade", inputs[~sure]),
        "cheap model alone": ("cheap", inputs[sure]),
        "expensive model alone": ("expensive", inputs[~sure]),
    }
    rounds = [
        {title: single_row_us(compiled[who], rows) for title, (who, rows) in asked.items()} for _ in range(ROUNDS)
    ]
    took = {title: statistics.median(each[title] for each in rounds) for title in asked}
    took["both, always"] = took["cheap model alone"] + took["expensive model alone"]
    first, second, *_ = took.values()
    took["cascade, on average"] = share * first + (1 - share) * second
    hoped = statistics.mean(report["cheap_share"] for report in reports["cascade"])
    print(f"\nThe cheap model answers {share:.0%} of the later rows ({hoped:.0%} of those that chose the thresholds)")
    print("\n".join(f"{title:<38}{microseconds:>7.1f} µs" for title, microseconds in took.items()))
    return {"cheap_share": round(share, 3), "us": {title: round(value, 1) for title, value in took.items()}}


if __name__ == "__main__":
    main()
