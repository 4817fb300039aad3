"""`penumbra bench patterns`: score each pattern beside its plain counterpart on the later months of 2013.

For every month from May on, both learn from all months before it and are scored on it; differences of log-loss come
with 95 % intervals from a bootstrap over days. Of the cascade also who answers, and how fast.
"""

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
from flows.steps.train import matrix_writing, plan
from flows.steps.train.matrices import Matrices
from penumbra.core.loading.problem_loading import load_problem
from penumbra.core.metrics.losses import compute_row_losses
from penumbra.core.settings import Settings, load_settings
from penumbra.data.batches import DataStore
from penumbra.registry.bundles.bundle import open_onnx_session
from penumbra.registry.bundles.serving_cost import measure_single_row_us
from penumbra.training.evaluation import bootstrap
from penumbra.training.evaluation.evaluate import TrialJob, predict_for_task
from penumbra.training.fit import fit_estimator
from penumbra.training.onnx.compile import compile_model
from problem.augment import outage
from problem.slices import DAY

PROBLEM = load_problem()

PLAIN_CANDIDATE = "gradient_boosting"
FITTED_CANDIDATES = [
    *("cascade", "hard_negatives", "reframed_boosting", "augmented_boosting", "recent_boosting"),
    *("logistic_regression", "recent_logistic"),
]
COMPARED_PAIRS = {  # what is compared: (the pattern's predictions, those of its plain counterpart)
    "reframing": ("reframed_boosting", PLAIN_CANDIDATE),
    "cascade": ("cascade", "cascade/expensive"),
    "hard negatives": ("hard_negatives", PLAIN_CANDIDATE),
    "augmentation": ("augmented_boosting", PLAIN_CANDIDATE),
    "  30 % without weather": ("augmented_boosting/outage", f"{PLAIN_CANDIDATE}/outage"),
    "window, boosting": ("recent_boosting", PLAIN_CANDIDATE),
    "window, linear": ("recent_logistic", "logistic_regression"),
}
FIRST_MONTH_INDEX, WINDOW_MONTHS, OUTAGE_SHARE, ROUNDS = 4, 3, 0.3, 5
PredictionsByName = dict[str, np.ndarray]


def main() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as folder:
        made, batches = prepare_matrices(load_settings(), Path(folder))
        later = range(FIRST_MONTH_INDEX, len(batches))
        with ProcessPoolExecutor(2) as pool:
            plain = {month: pool.submit(fit_month, made, PLAIN_CANDIDATE, batches, month) for month in later}
            live = [
                np.full(len(made.read_evaluation_set(batches[:FIRST_MONTH_INDEX])[1]), np.nan),
                *(plain[m].result()[0][PLAIN_CANDIDATE] for m in later),
            ]
            known = {month: np.concatenate(live[: month - FIRST_MONTH_INDEX + 1]) for month in later}
            others = [
                pool.submit(fit_month, made, name, batches, month, known[month])
                for month in reversed(later)
                for name in FITTED_CANDIDATES
            ]
            results = [each.result() for each in (*plain.values(), *others)]
        said, reports = gather_predictions(results, later)
        told = compare_patterns(made, batches, said)
        stages = measure_cascade(made, batches, said, reports)
    print(json.dumps({"patterns": told, "cascade": stages}))


def prepare_matrices(settings: Settings, root: Path) -> tuple[Matrices, list[str]]:
    """The year's matrices, from a data store of its own; the batches' names."""
    data = settings.data.model_copy(update={"folder": root / "data", "derived": root / "derived"})
    store, names = DataStore(data, PROBLEM), [batch.name for batch in problem.source.batches()]
    for name in names:
        store.stage(name, problem.source.fetch(name))
    store.admit(names)
    own = settings.model_copy(update={"data": data})
    made = matrix_writing.write_matrices(own, PROBLEM, names, root / "arrays")
    made.arrays.write(
        "days", plan.read_training_rows(own, PROBLEM, names).select(DAY.dt.epoch("d")).to_series().to_numpy()
    )
    return made, names


def fit_month(
    made: Matrices, name: str, batches: list[str], month: int, live: np.ndarray | None = None
) -> tuple[PredictionsByName, int, dict[str, float]]:
    """Learn from the batches before a month; what is said of the month's rows, by the name of who says it."""
    taught = batches[month - WINDOW_MONTHS : month] if name == "recent_logistic" else batches[:month]
    recipe = name.replace("recent_logistic", "logistic_regression")
    estimator, inputs = made.make_estimator(TrialJob(recipe)), made.read_evaluation_set([batches[month]])[0]
    fit_estimator(estimator, replace(made.build_training_set(recipe, taught), live=live))
    said = {name: predict_for_task(made.task, estimator, inputs)}
    if name in (PLAIN_CANDIDATE, "augmented_boosting"):
        said[f"{name}/outage"] = predict_for_task(made.task, estimator, simulate_outage(inputs, made, month))
    if name == "cascade":
        said["cascade/sure"] = estimator.mask_cheap_rows(inputs)
        said["cascade/cheap"] = predict_for_task(made.task, estimator.cheap_, inputs)
        said["cascade/expensive"] = predict_for_task(made.task, estimator.expensive_, inputs)
    return said, month, dict(getattr(estimator, "report_", {}))


def simulate_outage(inputs: np.ndarray, made: Matrices, month: int) -> np.ndarray:
    """Return `inputs` (float64 [n, k], columns as in `made`) of a `month` after an outage of the weather feed."""
    return outage(np.array(inputs), SimpleNamespace(**made.columns), np.random.default_rng(month), OUTAGE_SHARE)


def gather_predictions(
    results: list[tuple[PredictionsByName, int, dict[str, float]]], later: range
) -> tuple[PredictionsByName, dict[str, list[Any]]]:
    """All that each has said, months in order; and the reports of each, by the name of the first that it says."""
    results = sorted(results, key=lambda result: result[1])
    said: dict[str, list[np.ndarray]] = {}
    reports: dict[str, list[Any]] = {}
    for parts, _, report in results:
        reports.setdefault(next(iter(parts)), []).append(report)
        for name, values in parts.items():
            said.setdefault(name, []).append(values)
    return {name: np.concatenate(values) for name, values in said.items()}, reports


def compare_patterns(made: Matrices, batches: list[str], said: PredictionsByName) -> dict[str, Any]:
    """Print and return each pattern's difference: over all months with its interval, and month by month."""
    months = batches[FIRST_MONTH_INDEX:]
    labels, days = made.read_evaluation_set(months)[1], made.arrays.part(months, "days")
    ends = np.cumsum([made.arrays.sizes[batch] for batch in months])[:-1]
    losses = {
        name: compute_row_losses(made.task, labels, values) for name, values in said.items() if "sure" not in name
    }
    print(
        f"{len(labels):,} flights from {months[0]} to {months[-1]}; log-loss, and by how much the pattern's is higher"
    )
    print(f"{'':<24}{'plain':>8}{'pattern':>9}   difference [95 % interval]     " + "  ".join(m[5:] for m in months))
    told = {}
    for title, (pattern, plain) in COMPARED_PAIRS.items():
        found = bootstrap.compare_paired_losses(losses[pattern], losses[plain], days)
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


def measure_cascade(
    made: Matrices, batches: list[str], said: PredictionsByName, reports: dict[str, list[Any]]
) -> dict[str, Any]:
    """Print and return who answers, and the microseconds of one compiled answer: medians of rounds in turns."""
    estimator, inputs = (
        made.make_estimator(TrialJob("cascade")),
        made.read_evaluation_set([batches[FIRST_MONTH_INDEX]])[0],
    )
    fit_estimator(estimator, made.build_training_set("cascade", batches[:FIRST_MONTH_INDEX]))
    middle = float(np.median(predict_for_task(made.task, estimator.cheap_, inputs)))
    estimator.report_.update(low=middle, high=1.0)  # where thresholds lie makes no difference to the time of an answer
    sure, share = estimator.mask_cheap_rows(inputs), float(said["cascade/sure"].mean())
    stages = {"cascade": estimator, "cheap": estimator.cheap_, "expensive": estimator.expensive_}
    compiled = {name: open_onnx_session(compile_model(each, inputs.shape[1])) for name, each in stages.items()}
    asked = {
        "cascade, the cheap model answers": ("cascade", inputs[sure]),
        "cascade, the expensive model answers": ("cascade", inputs[~sure]),
        "cheap model alone": ("cheap", inputs[sure]),
        "expensive model alone": ("expensive", inputs[~sure]),
    }
    rounds = [
        {title: measure_single_row_us(compiled[who], rows) for title, (who, rows) in asked.items()}
        for _ in range(ROUNDS)
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
