"""`python -m flows.steps.doctor.examination`: examine data, contract and features. Exits with 1 where there is something to repair."""

import dataclasses
import sys
from collections.abc import Callable, Iterator
from functools import partial

import polars as pl

import problem
import problem.features
import problem.schema
import problem.source
from flows.steps.doctor import skew
from penumbra.core.settings import PROJECT_ROOT, Settings, SettingsError, load_settings
from penumbra.data import versions
from penumbra.data.batches import BatchRefused, DataStore
from penumbra.registry import code_version
from penumbra.storage.receipts import RunReceipts
from penumbra.training.doctor import checks, leakage, linear_leakage
from penumbra.training.doctor.checks import Finding
from penumbra.training.prepare import select_labelled_rows
from penumbra.training.summary import format_batch_range
from problem.features import FEATURES

EXAMINED_COLUMNS = list(problem.schema.Row.columns())
EXAMINED_LABELS = [column for column in problem.schema.Labelled.columns() if column not in EXAMINED_COLUMNS]
DOCTOR_CODE_FILES = [
    "problem/*.py",
    "penumbra/training/doctor/checks.py",
    "penumbra/training/doctor/leakage.py",
    "penumbra/training/doctor/linear_leakage.py",
    "penumbra/features.py",
    "penumbra/core/encoding.py",
]
PRIMARY_KEY, TIME = problem.schema.Row.primary_key(), problem.schema.TIME
NUMERIC_FEATURES = [kind.name for kind in FEATURES if not kind.categorical]
FEATURE_SOURCE_COLUMNS = sorted({column for kind in FEATURES for column in kind.expr().meta.root_names()})


class ExaminedData:
    """The admitted batches, each part as the checks want it."""

    def __init__(self, store: DataStore) -> None:
        target, self.batches = problem.schema.target(), store.batches()
        self.rows = pl.concat([store.rows(batch) for batch in self.batches])
        rejected = [store.quarantine(batch) for batch in self.batches]
        self.rejected = pl.concat(rejected, how="diagonal_relaxed")
        self.features = self.rows["inputs"].struct.unnest()
        self.columns = self.rows.select(FEATURE_SOURCE_COLUMNS).with_columns(self.features)
        self.has_outcome = self.rows.select(target.is_not_null()).to_series()
        self.times = {batch: self.rows.filter(pl.col("batch") == batch)[TIME] for batch in self.batches}
        labelled = select_labelled_rows(self.rows, target).sort(TIME)
        self.label = labelled["label"].alias("the target")
        self.inputs = labelled["inputs"].struct.unnest()
        numeric = pl.selectors.numeric() | pl.selectors.boolean()
        self.outcomes = labelled.select(*EXAMINED_LABELS, self.label).select(numeric.cast(pl.Float64))

    def __str__(self) -> str:
        size = f"{self.rows.height:,} rows ({self.label.len():,} with an outcome)"
        return f"{len(FEATURES)} features and {size} of {format_batch_range(self.batches)}"


def main() -> None:
    """Report a line for each check that finds nothing, a block for each finding."""
    try:
        settings = load_settings()
        store = DataStore(settings.data, problem)
        if not store.batches():
            sys.exit(f"There is no data in {settings.data.folder}/ to examine: run `make ingest` first.")
        found = _run_check("every feature reads only what a request has", _check_feature_columns)
        data = ExaminedData(store)
    except (SettingsError, BatchRefused, OSError, pl.exceptions.PolarsError) as error:
        sys.exit(f"The data can't be examined: {error}")
    found += [finding for title, check in _list_checks(data) for finding in _run_check(title, check)]
    _save_findings(settings, found)
    found += _run_check(
        "the service gives training's predictions", partial(skew.examine_live_skew, data.rows, settings.registry)
    )
    for price in checks.list_slow_features(FEATURES):
        print(f"  note     {price}")
    if faults := [finding for finding in found if finding.column not in settings.gate.accept]:
        advice = "Repair it, accept it (gate.accept), or train all the same: `DOCTOR=off make train`."
        sys.exit(f"\n{len(faults)} found in {data}. {advice}")
    print(f"\nNothing to repair in {data}.")


def list_unaccepted_findings(settings: Settings) -> list[str]:
    """What is wrong with the data under this code and isn't accepted by the settings, each in a sentence; train/serve
    skew isn't looked for. Examined once for each data version and code."""
    receipts = RunReceipts(settings.training.folder)
    if receipts.facts(_findings_key(settings)) is None:
        data = ExaminedData(DataStore(settings.data, problem))
        _save_findings(
            settings, _check_feature_columns() + [each for _, check in _list_checks(data) for each in check()]
        )
    found = receipts.facts(_findings_key(settings))
    return [f"{each['column']}: {each['evidence']}" for each in found if each["column"] not in settings.gate.accept]


def _save_findings(settings: Settings, found: list[Finding]) -> None:
    RunReceipts(settings.training.folder).save_facts(
        _findings_key(settings), [dataclasses.asdict(each) for each in found]
    )


def _findings_key(settings: Settings) -> str:
    return code_version.compute_fingerprint(
        PROJECT_ROOT, DOCTOR_CODE_FILES, versions.compute_data_version(settings.data)
    )


def _list_checks(data: ExaminedData) -> Iterator[tuple[str, Callable[[], list[Finding]]]]:
    """What holds where all is well, and the check that finds where it doesn't."""
    together = partial(leakage.find_shared_missingness, data.columns, data.has_outcome)
    yield "no feature is missing just where the outcome is", together
    yield "the target tells rows apart", partial(checks.find_constant_target, data.label)
    yield "no feature alone predicts the target", partial(leakage.find_single_feature_leaks, data.inputs, data.label)
    yield (
        "no features add up to the target",
        partial(linear_leakage.find_linear_leaks, data.inputs.select(NUMERIC_FEATURES), data.outcomes),
    )
    yield (
        "no feature is constant or nearly empty",
        partial(checks.find_constant_features, data.features, data.rows["batch"]),
    )
    yield "every key is unique across batches", partial(checks.find_repeated_keys, data.rows, PRIMARY_KEY)
    yield "every batch lies after the one before", partial(checks.find_unordered_batches, data.times)
    yield "every label has a key", partial(checks.find_keyless_labels, data.rejected, PRIMARY_KEY, EXAMINED_LABELS)


def _check_feature_columns() -> list[Finding]:
    return leakage.find_unavailable_columns(FEATURES, problem.schema.target(), EXAMINED_COLUMNS)


def _run_check(title: str, check: Callable[[], list[Finding]]) -> list[Finding]:
    """Print what came of a check; return what it found."""
    try:
        found = check()
    except skew.CheckSkipped as reason:
        print(f"  skipped  {title}: {reason}", flush=True)
        return []
    print(f"  {'FOUND' if found else 'ok':<7}  {title}{':' if found else ''}", flush=True)
    for finding in found:
        print(f"           {finding.column}\n             evidence  {finding.evidence}\n"
              f"             remedy    {finding.remedy}", flush=True)  # fmt: skip
    return found


if __name__ == "__main__":
    main()
