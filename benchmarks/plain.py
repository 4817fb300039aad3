"""The same experiment as the training flow, as one plain script: one process, one thread, nothing recorded."""

import sys

import polars as pl

import problem.features
import problem.schema
import problem.source
import settings
from problem.candidates import CANDIDATES, baseline
from stores.data import DataStore
from training import summary, trial
from training.prepare import matrices, with_outcome
from training.split import split


def main() -> None:
    chosen = settings.load()
    store = DataStore(chosen.data, problem)
    parts = split(store.batches(), chosen.training.validation_batches, chosen.training.test_batches)
    rows = with_outcome(pl.concat([store.rows(batch) for batch in parts.all]), problem.schema.target())
    inputs, labels, columns = matrices(rows, problem.features.FEATURES)
    batch = rows["batch"]

    def part(batches: list[str]) -> trial.Rows:
        mask = batch.is_in(batches).to_numpy()
        return inputs[mask], labels[mask]

    def scores(name: str, learn: list[str], judge: list[str]) -> dict[str, float]:
        return trial.run(name, recipes[name](columns), part(learn), part(judge))[0].scores

    recipes = {name: each.make for name, each in CANDIDATES.items()} | {"baseline": baseline}
    tried = {name: scores(name, parts.train, parts.validation) for name in recipes}
    winner = min(CANDIDATES, key=lambda name: tried[name]["log_loss"])
    finals = [(name, scores(name, parts.train + parts.validation, parts.test)) for name in (winner, "baseline")]
    CANDIDATES[winner].make(columns).fit(inputs, labels)
    print(summary.table(finals))


if __name__ == "__main__":
    sys.exit(main())
