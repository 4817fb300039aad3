"""The same experiment as the training flow, as a plain script that records nothing: the fits one after the other, or
side by side with joblib where several workers are asked for."""

import sys

import joblib
import polars as pl

import problem.features
import problem.schema
import problem.source
import settings
from patterns.candidate import Candidate
from problem.candidates import CANDIDATES, baseline
from stores.data import DataStore
from task import Task
from training import summary, trial
from training.lesson import Lesson
from training.prepare import labels_of, matrices, with_outcome
from training.split import split

RECIPES = {**CANDIDATES, "baseline": Candidate(baseline)}


def main(workers: int) -> None:
    chosen = settings.load()
    store, task = DataStore(chosen.data, problem), Task.of(problem.schema)
    parts = split(store.batches(), chosen.training.validation_batches, chosen.training.test_batches)
    rows = with_outcome(pl.concat([store.rows(batch) for batch in parts.all]), problem.schema.target())
    inputs, columns = matrices(rows, problem.features.FEATURES)
    labels = labels_of(rows, task)

    def part(batches, y=labels):
        mask = rows["batch"].is_in(batches).to_numpy()
        return inputs[mask], y[mask]

    def scores(name, learn, judge):
        recipe = RECIPES[name]
        y = labels if recipe.learns is None else rows.select(recipe.learns.cast(pl.Float64)).to_series().to_numpy()
        lesson = Lesson(*part(learn[-recipe.window :] if recipe.window else learn, y))
        return trial.run(trial.Job(name), task, recipe.make(columns), lesson, part(judge))[0].scores

    names = [*chosen.training.candidates, "baseline"]
    with joblib.Parallel(n_jobs=workers) as side_by_side:
        tried = side_by_side(joblib.delayed(scores)(name, parts.train, parts.validation) for name in names)
        winner = min(zip(names, tried, strict=True), key=lambda pair: pair[1]["log_loss"])[0]
        learnt = parts.train + parts.validation
        finals = side_by_side(joblib.delayed(scores)(name, learnt, parts.test) for name in (winner, "baseline"))
    RECIPES[winner].make(columns).fit(inputs, labels)
    print(summary.table(list(zip((winner, "baseline"), finals, strict=True))))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
