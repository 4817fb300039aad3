"""`python -m flows.steps.doctor.examination`: examine data, contract and features.

Exits with 3 if there is something to repair, with 1 if the data can't be examined.
"""

import dataclasses
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial

import polars as pl

from flows.steps.doctor import raw_files, reference_days, skew
from flows.steps.processes.flow_locks import hold_flow_locks
from flows.steps.shared import shared_data
from penumbra.core.columns import BATCH_COLUMN, INPUTS_COLUMN, LABEL_COLUMN
from penumbra.core.loading.project_loading import load_project
from penumbra.core.metrics.group_metrics import select_groups
from penumbra.core.problem import Problem, ProblemError
from penumbra.core.settings import PROJECT_ROOT, Settings, SettingsError
from penumbra.core.text.counts import format_count
from penumbra.core.text.masking import mask_text
from penumbra.data.batches import BatchRefused, DataStore
from penumbra.data.versioning import versions
from penumbra.storage import fingerprints
from penumbra.storage.cache import RunReceipts
from penumbra.training.doctor import checks, far_values, leakage, linear_leakage, notes
from penumbra.training.doctor.checks import Finding
from penumbra.training.doctor.pair_leakage import find_pair_leaks
from penumbra.training.fit import select_labelled_rows
from penumbra.training.split import format_batch_range

EXIT_FINDINGS = 3
DOCTOR_ROOMS: tuple[str, ...] = (
    "penumbra.features",
    "penumbra.core",
    "penumbra.data.batches",
    "penumbra.data.partitions.derivation",
    "penumbra.training",
)
DOCTOR_ROOMS += ("flows.steps.doctor",)


class ExaminedData:
    """The admitted batches of the source, with each part in the form that the checks take.

    `rows` are those of the data store, `rejected` the quarantined ones (String), `features` the derived features,
    `columns` these beside the contract's columns that they read, `days` the day of each row, `times` the event times by
    batch. Of the rows with an outcome, in the order of time: `label`, `inputs` (features), and `outcomes` (Float64, the
    label's raw columns), and `groups` by the sensitive columns (String).
    """

    def __init__(self, store: DataStore) -> None:
        """Read all batches of the source in a data store."""
        schema, self.features_read = store.problem.schema, store.problem.features.FEATURES
        target, self.batches = schema.target(), store.source_batches()
        self.key, row = schema.Row.primary_key(), schema.Row.columns()
        self.outcome_columns = [column for column in schema.Labelled.columns() if column not in row]
        self.rows = pl.concat([store.rows(batch) for batch in self.batches])
        rejected = [store.quarantine(batch) for batch in self.batches]
        self.rejected = pl.concat(rejected, how="diagonal_relaxed")
        self.features = self.rows[INPUTS_COLUMN].struct.unnest()
        read = sorted({column for kind in self.features_read for column in kind.columns})
        self.columns = self.rows.select(read).with_columns(self.features)
        self.has_outcome = self.rows.select(target.is_not_null()).to_series()
        self.days = self.rows[schema.TIME].dt.date()
        self.times = {batch: self.rows.filter(pl.col(BATCH_COLUMN) == batch)[schema.TIME] for batch in self.batches}
        labelled = select_labelled_rows(self.rows, target).sort(schema.TIME)
        self.label, self.inputs = labelled[LABEL_COLUMN], labelled[INPUTS_COLUMN].struct.unnest()
        self.groups = select_groups(schema, labelled)
        numeric = pl.selectors.numeric() | pl.selectors.boolean()
        self.outcomes = labelled.select(*self.outcome_columns, self.label).select(numeric.cast(pl.Float64))

    def count_outcomes(self) -> pl.DataFrame:
        """Count the rows and the outcomes of each day.

        Returns:
            The days: `day` (Date), the number of `rows`, and of those `known`, with an outcome.
        """
        days = pl.DataFrame({"day": self.days, "is_known": self.has_outcome})
        return days.group_by("day").agg(pl.len().alias("rows"), pl.col("is_known").sum().alias("known"))

    def __str__(self) -> str:
        """The numbers of features and rows, and the batches."""
        size = f"{format_count(self.rows.height, 'row')} ({self.label.len():,} with an outcome)"
        return f"{format_count(len(self.features_read), 'feature')} and {size} of {format_batch_range(self.batches)}"


def main(with_files: bool = True) -> None:
    """Print a line for each check that finds nothing or is skipped, and a block for each finding.

    Args:
        with_files: Whether to check every file of `data/` and `var/`, not the raw batches alone.
    """
    with hold_flow_locks("doctor", ["doctor", "run"]):
        _examine_data_folder(with_files)


def _examine_data_folder(with_files: bool = True) -> None:
    try:
        settings, problem = load_project()
        store = DataStore(settings.data, problem)
        if not store.batches():
            sys.exit(f"There is no data in {settings.data.folder}/ to examine: run `penumbra ingest` first.")
        examination, files = Examination(settings.gate.accept), Examination(settings.gate.accept)
        if with_files:
            from flows.steps.doctor import stored_files  # loads MLflow, logs and reports

            files.run("every file is what was written", partial(stored_files.examine_files, settings, problem))
        else:
            files.run("every raw file is what was admitted", partial(raw_files.examine_raw_files, store))
        examination.run("every feature reads only what a request has", partial(_check_feature_columns, problem))
        data = ExaminedData(store)
    except (SettingsError, ProblemError, BatchRefused, OSError, pl.exceptions.PolarsError) as error:
        sys.exit(f"The data can't be examined: {mask_text(str(error))}")
    for title, check in _list_checks(data):
        examination.run(title, check)
    _save_findings(settings, examination.findings)
    before = [*files.list_unaccepted(), *examination.list_unaccepted()]
    live_skew = partial(skew.examine_live_skew, data.rows, settings.registry, problem)
    examination.run("the service gives training's predictions", live_skew)
    for note in _list_notes(data, settings, problem):
        print(f"  note     {note}")
    if faults := [*files.list_unaccepted(), *examination.list_unaccepted()]:
        print(f"\n{len(faults)} found in {data}. {_advise(is_live_model=not before)}", file=sys.stderr)
        sys.exit(EXIT_FINDINGS)
    print(f"\nNothing to repair in {data}{examination.describe_skipped()}.")


def _advise(*, is_live_model: bool) -> str:
    """What to do about what was found, which may be of the live model alone: a new one is no worse for it."""
    if is_live_model:
        return "Repair it: it is of the live model alone, so no training stops at it, and the gate doesn't judge it."
    return (
        "Repair it, or accept it (gate.accept in settings.toml): the first training stops at it, and the gate refuses "
        "each model. `penumbra train --skip-doctor` trains all the same, and the gate records that."
    )


def _list_notes(data: ExaminedData, settings: Settings, problem: Problem) -> Iterator[str]:
    candidates, kinds = problem.candidates.CANDIDATES, problem.features.FEATURES
    tried = {name: candidates[name] for name in settings.training.candidates if name in candidates}
    yield from notes.note_slow_features(kinds)
    yield from notes.note_missing_key(data.key)
    yield from notes.note_one_class_values(data.inputs, data.label)
    yield from notes.note_constant_inputs(data.features, data.inputs)
    yield from far_values.note_far_values(data.features, data.label)
    yield from notes.note_waiting_outcomes(data.count_outcomes(), settings.labels.delay_hours)
    yield from notes.note_large_categories(data.features, kinds, tried)
    yield from notes.note_sensitive_features(kinds, problem.schema, data.inputs, data.groups)
    yield from notes.note_wide_margins(settings)
    yield from reference_days.note_short_reference(data.rows[BATCH_COLUMN], data.days, data.has_outcome, settings)


class Examination:
    """The checks that ran, in their order: their findings, and the titles of those that were skipped."""

    def __init__(self, accepted: Sequence[str] = ()) -> None:
        """Begin with nothing found; findings of `accepted` columns are said to be so."""
        self.accepted = accepted
        self.findings: list[Finding] = []
        self.skipped: list[str] = []

    def run(self, title: str, check: Callable[[], list[Finding]]) -> None:
        """Run a check, print its result, and keep its findings.

        Args:
            title: A sentence that holds if the check finds nothing.
            check: Returns the findings, or raises CheckSkipped with the reason.
        """
        try:
            findings = check()
        except skew.CheckSkipped as reason:
            self.skipped.append(title)
            print(f"  skipped  {title}: {reason}", flush=True)
            return
        self.findings += findings
        result = "ok" if not findings else "FOUND" if _select_unaccepted(findings, self.accepted) else "accepted"
        print(f"  {result:<7}  {title}{':' if findings else ''}", flush=True)
        for finding in findings:
            advice = f"remedy    {finding.remedy}"
            if finding.column in self.accepted:
                advice = "accepted  by gate.accept in settings.toml"
            print(
                f"           {finding.column}\n             evidence  {finding.evidence}\n             {advice}",
                flush=True,
            )

    def list_unaccepted(self) -> list[Finding]:
        """Return the findings whose column isn't accepted."""
        return _select_unaccepted(self.findings, self.accepted)

    def describe_skipped(self) -> str:
        """Describe what was not looked at, as the end of a sentence.

        Returns:
            The titles of the skipped checks, "" if every check ran.
        """
        return f"; not examined: whether {', '.join(self.skipped)}" if self.skipped else ""


def list_unaccepted_findings(settings: Settings, problem: Problem) -> list[str]:
    """Examine the data and list what is wrong with it; examined once for each data version and code.

    Train/serve skew isn't looked for.

    Args:
        settings: Sections [data], [training] (the folder of results) and [gate] (`accept`) are read.
        problem: The problem, with schema, source and features.

    Returns:
        A sentence for each finding whose column isn't accepted by `gate.accept`.
    """
    return [f"{each.column}: {each.evidence}" for each in find_unaccepted_findings(settings, problem)]


def find_unaccepted_findings(settings: Settings, problem: Problem) -> list[Finding]:
    """Examine the data; examined once for each data version and code.

    Train/serve skew isn't looked for.

    Args:
        settings: Sections [data], [training] (the folder of results) and [gate] (`accept`) are read.
        problem: The problem, with schema, source and features.

    Returns:
        The findings whose column isn't accepted by `gate.accept`.
    """
    shared_data.fill_data_folder(settings)
    receipts, key = RunReceipts(settings.training.folder), _compute_findings_key(settings)
    if receipts.facts(key) is None:
        _save_findings(settings, examine_store(DataStore(settings.data, problem)))
    return _select_unaccepted((Finding(**facts) for facts in receipts.facts(key)), settings.gate.accept)


def examine_store(store: DataStore) -> list[Finding]:
    """Run every check of data, contract and features; train/serve skew isn't looked for.

    Args:
        store: A data store with admitted batches.

    Returns:
        The findings.
    """
    data = ExaminedData(store)
    findings = _check_feature_columns(store.problem)
    for _, check in _list_checks(data):
        with suppress(skew.CheckSkipped):
            findings += check()
    return findings


def _select_unaccepted(findings: Iterable[Finding], accepted: Sequence[str]) -> list[Finding]:
    return [finding for finding in findings if finding.column not in accepted]


def _save_findings(settings: Settings, findings: list[Finding]) -> None:
    receipts, facts = RunReceipts(settings.training.folder), [dataclasses.asdict(finding) for finding in findings]
    receipts.save_facts(_compute_findings_key(settings), facts)


def _compute_findings_key(settings: Settings) -> str:
    return fingerprints.compute_fingerprint(
        PROJECT_ROOT, list_doctor_files(), versions.compute_data_version(settings.data)
    )


def list_doctor_files() -> list[str]:
    """List the files that decide what the doctor finds in the same data.

    Returns:
        Paths of modules, relative to the project.
    """
    return fingerprints.list_result_files(PROJECT_ROOT, ("problem", "flows.steps.doctor.examination"), DOCTOR_ROOMS)


def _list_checks(data: ExaminedData) -> Iterator[tuple[str, Callable[[], list[Finding]]]]:
    """Yield the checks of the data, each with a sentence that holds if it finds nothing."""
    numeric = [kind.name for kind in data.features_read if not kind.categorical]
    shared_gaps = partial(leakage.find_shared_missingness, data.columns, data.has_outcome)
    yield "no feature is missing just where the outcome is", shared_gaps
    yield "the target tells rows apart", partial(checks.find_constant_target, data.label)
    yield "the target has the dtype of its task", partial(checks.find_numeric_flag, data.label)
    yield "no feature alone predicts the target", partial(leakage.find_single_feature_leaks, data.inputs, data.label)
    yield "no two features tell the target once compared", partial(find_pair_leaks, data.inputs, data.label)
    yield (
        "no features add up to the target",
        partial(linear_leakage.find_linear_leaks, data.inputs.select(numeric), data.outcomes),
    )
    yield (
        "no feature is constant or nearly empty",
        partial(checks.find_constant_features, data.features, data.rows[BATCH_COLUMN], data.days),
    )
    unique = partial(checks.find_repeated_keys, data.rows, data.key)
    yield "every key is unique across batches", partial(_check_key, data.key, unique)
    yield "every batch lies after the one before", partial(checks.find_unordered_batches, data.times)
    keyless = partial(checks.find_keyless_labels, data.rejected, data.key, data.outcome_columns)
    yield "every label has a key", partial(_check_key, data.key, keyless)


def _check_key(key: Sequence[str], check: Callable[[], list[Finding]]) -> list[Finding]:
    if not key:
        raise skew.CheckSkipped("Row has no primary key")
    return check()


def _check_feature_columns(problem: Problem) -> list[Finding]:
    schema = problem.schema
    return leakage.find_unavailable_columns(problem.features.FEATURES, schema.target(), list(schema.Row.columns()))


if __name__ == "__main__":
    main()
