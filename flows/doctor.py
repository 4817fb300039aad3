"""`python -m flows.doctor`: examine data, contract and features. Exits with 1 where there is something to repair."""

import dataclasses
import sys
from collections.abc import Callable, Iterator
from functools import partial

import polars as pl

import problem
import problem.features
import problem.schema
import problem.source
import settings
from flows import skew
from problem.features import FEATURES
from stores import code, versions
from stores.data import BatchRefused, DataStore
from stores.receipts import Receipts
from training import doctor, leakage, sums
from training.doctor import Finding
from training.prepare import with_outcome
from training.summary import span

CONTRACT = list(problem.schema.Row.columns())
LABELS = [column for column in problem.schema.Labelled.columns() if column not in CONTRACT]
CODE = ["problem/*.py", "training/doctor.py", "training/leakage.py", "training/sums.py", "kinds.py", "inputs.py"]
KEY, TIME = problem.schema.Row.primary_key(), problem.schema.TIME
NUMBERS = [kind.name for kind in FEATURES if not kind.categorical]
READ = sorted({column for kind in FEATURES for column in kind.expr().meta.root_names()})


class Examined:
    """The admitted batches, each part as the checks want it."""

    def __init__(self, store: DataStore) -> None:
        target, self.batches = problem.schema.target(), store.batches()
        self.rows = pl.concat([store.rows(batch) for batch in self.batches])
        rejected = [store.quarantine(batch) for batch in self.batches]
        self.rejected = pl.concat(rejected, how="diagonal_relaxed")
        self.features = self.rows["inputs"].struct.unnest()
        self.columns = self.rows.select(READ).with_columns(self.features)
        self.has_outcome = self.rows.select(target.is_not_null()).to_series()
        self.times = {batch: self.rows.filter(pl.col("batch") == batch)[TIME] for batch in self.batches}
        labelled = with_outcome(self.rows, target).sort(TIME)
        self.label = labelled["label"].alias("the target")
        self.inputs = labelled["inputs"].struct.unnest()
        numeric = pl.selectors.numeric() | pl.selectors.boolean()
        self.outcomes = labelled.select(*LABELS, self.label).select(numeric.cast(pl.Float64))

    def __str__(self) -> str:
        size = f"{self.rows.height:,} rows ({self.label.len():,} with an outcome)"
        return f"{len(FEATURES)} features and {size} of {span(self.batches)}"


def main() -> None:
    """Report a line for each check that finds nothing, a block for each finding."""
    try:
        chosen = settings.load()
        store = DataStore(chosen.data, problem)
        if not store.batches():
            sys.exit(f"There is no data in {chosen.data.folder}/ to examine: run `make ingest` first.")
        found = _show("every feature reads only what a request has", _keeps_contract)
        data = Examined(store)
    except (settings.SettingsError, BatchRefused, OSError, pl.exceptions.PolarsError) as error:
        sys.exit(f"The data can't be examined: {error}")
    found += [finding for title, check in _checks(data) for finding in _show(title, check)]
    _keep(chosen, found)
    found += _show("the service gives training's predictions", partial(skew.examine, data.rows, chosen.registry))
    for price in doctor.prices(FEATURES):
        print(f"  note     {price}")
    if faults := [finding for finding in found if finding.column not in chosen.gate.accept]:
        advice = "Repair it, accept it (gate.accept), or train all the same: `DOCTOR=off make train`."
        sys.exit(f"\n{len(faults)} found in {data}. {advice}")
    print(f"\nNothing to repair in {data}.")


def findings(chosen: settings.Settings) -> list[str]:
    """What is wrong with the data under this code and isn't accepted by the settings, each in a sentence; train/serve
    skew isn't looked for. Examined once for each data version and code."""
    receipts = Receipts(chosen.training.folder)
    if receipts.facts(_key(chosen)) is None:
        data = Examined(DataStore(chosen.data, problem))
        _keep(chosen, _keeps_contract() + [each for _, check in _checks(data) for each in check()])
    found = receipts.facts(_key(chosen))
    return [f"{each['column']}: {each['evidence']}" for each in found if each["column"] not in chosen.gate.accept]


def _keep(chosen: settings.Settings, found: list[Finding]) -> None:
    Receipts(chosen.training.folder).keep_facts(_key(chosen), [dataclasses.asdict(each) for each in found])


def _key(chosen: settings.Settings) -> str:
    return code.fingerprint(settings.ROOT, CODE, versions.current(chosen.data))


def _checks(data: Examined) -> Iterator[tuple[str, Callable[[], list[Finding]]]]:
    """What holds where all is well, and the check that finds where it doesn't."""
    together = partial(leakage.missing_together, data.columns, data.has_outcome)
    yield "no feature is missing just where the outcome is", together
    yield "the target tells rows apart", partial(doctor.one_sided, data.label)
    yield "no feature alone predicts the target", partial(leakage.predicts_alone, data.inputs, data.label)
    yield "no features add up to the target", partial(sums.adds_up, data.inputs.select(NUMBERS), data.outcomes)
    yield "no feature is constant or nearly empty", partial(doctor.lifeless, data.features, data.rows["batch"])
    yield "every key is unique across batches", partial(doctor.repeated_keys, data.rows, KEY)
    yield "every batch lies after the one before", partial(doctor.out_of_order, data.times)
    yield "every label has a key", partial(doctor.keyless_labels, data.rejected, KEY, LABELS)


def _keeps_contract() -> list[Finding]:
    return leakage.not_in_contract(FEATURES, problem.schema.target(), CONTRACT)


def _show(title: str, check: Callable[[], list[Finding]]) -> list[Finding]:
    """Print what came of a check; return what it found."""
    try:
        found = check()
    except skew.Skipped as reason:
        print(f"  skipped  {title}: {reason}", flush=True)
        return []
    print(f"  {'FOUND' if found else 'ok':<7}  {title}{':' if found else ''}", flush=True)
    for finding in found:
        print(f"           {finding.column}\n             evidence  {finding.evidence}\n"
              f"             remedy    {finding.remedy}", flush=True)  # fmt: skip
    return found


if __name__ == "__main__":
    main()
