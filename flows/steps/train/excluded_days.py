"""Which days of the batches nothing should be learnt from: those with a data fault that isn't accepted.

Each batch is judged day by day against the batches before it, so what comes of it depends on the data, the code and
`monitor.accept` alone: whoever trains on a data version again leaves out the same days.
"""

import polars as pl

import problem
import problem.features
import problem.schema
import problem.source
from monitoring.data_faults import find_data_faults, is_accepted_fault
from monitoring.expectations import MIN_WHOLE_DAY_SHARE, learn_expectations
from penumbra.core.settings import PROJECT_ROOT, Settings
from penumbra.data.batches import DataStore
from penumbra.registry import code_version
from penumbra.storage.receipts import RunReceipts

FAULT_CODE_FILES = [
    "monitoring/data_faults.py",
    "monitoring/expectations.py",
    "monitoring/units.py",
    "problem/schema.py",
    "penumbra/features.py",
]
EARLIER_BATCHES = 3  # batches say what is normal

ExcludedDays = dict[str, list[str]]


def find_excluded_days(settings: Settings) -> ExcludedDays:
    """The days (UTC, ISO 8601) to leave out, each with its faults in words; judged once for each batch."""
    store, receipts = DataStore(settings.data, problem), RunReceipts(settings.training.folder)
    found: ExcludedDays = {}
    batches = store.batches() if settings.monitor.on_faults else []
    sums = {batch: store.sums(batch) for batch in batches}
    for number, batch in enumerate(batches):
        earlier = batches[max(0, number - EARLIER_BATCHES) : number]
        about = {name: sums[name] for name in [*earlier, batch]}
        key = code_version.compute_fingerprint(PROJECT_ROOT, FAULT_CODE_FILES, about, settings.monitor.accept, found)
        if receipts.facts(key) is None:
            receipts.save_facts(key, _find_batch_faults(settings, store, batch, earlier, found))
        found |= receipts.facts(key)
    return found


def drop_excluded_days(rows: pl.DataFrame, days: ExcludedDays) -> pl.DataFrame:
    """The rows of all other days."""
    return rows.filter(~pl.col(problem.schema.TIME).dt.date().cast(pl.String).is_in(list(days))) if days else rows


def describe_excluded_days(days: ExcludedDays) -> str:
    """What to say of them, "" where there are none."""
    listed = "\n".join(f"  {day}: {'; '.join(faults)}" for day, faults in days.items())
    names = ", ".join(f'"{day}"' for day in days)
    said = f"Nothing is learnt from {len(days)} days with data faults:\n{listed}\n"
    advice = "`make reingest` fetches a batch that was mended; what is no fault is accepted by"
    return said + f"{advice} monitor.accept = [{names}] in settings.toml." if days else ""


def _find_batch_faults(
    settings: Settings, store: DataStore, batch: str, earlier: list[str], found: ExcludedDays
) -> ExcludedDays:
    try:
        norms = learn_expectations(
            drop_excluded_days(pl.concat([store.rows(name) for name in earlier]), found), problem.schema
        )
    except ValueError:  # there is nothing before it, or less than two days
        return {}
    days = store.rows(batch).with_columns(day=pl.col(problem.schema.TIME).dt.date()).partition_by("day")
    usual = sorted(day.height for day in days)[len(days) // 2]
    faults = {day["day"][0]: find_data_faults(day, norms) for day in days if day.height >= MIN_WHOLE_DAY_SHARE * usual}
    kept = {
        day: [each for each in some if not is_accepted_fault(each, day, settings.monitor.accept)]
        for day, some in faults.items()
    }
    return {str(day): [f"{each.text} ({each.cause})" for each in some] for day, some in sorted(kept.items()) if some}
