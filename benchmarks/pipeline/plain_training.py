"""The same experiment as the training flow, as a plain script that records nothing: the fits one after the other, or
side by side with joblib where several workers are asked for."""

import sys

import joblib
import polars as pl

import problem.features
import problem.schema
import problem.source
from penumbra.core.columns import BATCH_COLUMN, LABEL_COLUMN
from penumbra.core.loading.problem_loading import load_problem
from penumbra.core.settings import load_settings
from penumbra.core.task import Task
from penumbra.data.batches import DataStore
from penumbra.patterns.candidate import Candidate
from penumbra.training.evaluation.evaluate import TrialJob, format_score_table, run_trial
from penumbra.training.fit import TrainingSet, build_matrix, extract_labels, select_labelled_rows
from penumbra.training.split import split_batches
from problem.candidates import CANDIDATES, baseline

PLAIN_RECIPES = {**CANDIDATES, "baseline": Candidate(baseline)}


def main(workers: int) -> None:
    settings = load_settings()
    store, task = DataStore(settings.data, load_problem()), Task.from_schema(problem.schema)
    parts = split_batches(store.batches(), settings.training.validation_batches, settings.training.test_batches)
    rows = select_labelled_rows(pl.concat([store.rows(batch) for batch in parts.all]), problem.schema.target())
    inputs, columns = build_matrix(rows, problem.features.FEATURES)
    labels = extract_labels(rows[LABEL_COLUMN], task)

    def part(batches, y=labels):
        mask = rows[BATCH_COLUMN].is_in(batches).to_numpy()
        return inputs[mask], y[mask]

    def scores(name, learn, judge):
        recipe = PLAIN_RECIPES[name]
        y = labels if recipe.learns is None else rows.select(recipe.learns.cast(pl.Float64)).to_series().to_numpy()
        lesson = TrainingSet(*part(learn[-recipe.window :] if recipe.window else learn, y))
        return run_trial(TrialJob(name), task, recipe.make(columns), lesson, part(judge))[0].scores

    names = [*settings.training.candidates, "baseline"]
    with joblib.Parallel(n_jobs=workers) as side_by_side:
        tried = side_by_side(joblib.delayed(scores)(name, parts.train, parts.validation) for name in names)
        winner = min(zip(names, tried, strict=True), key=lambda pair: pair[1]["log_loss"])[0]
        learnt = parts.train + parts.validation
        finals = side_by_side(joblib.delayed(scores)(name, learnt, parts.test) for name in (winner, "baseline"))
    PLAIN_RECIPES[winner].make(columns).fit(inputs, labels)
    print(format_score_table(list(zip((winner, "baseline"), finals, strict=True))))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
