"""Which days of the batches nothing should be learnt from: those with a data fault that isn't accepted.

Each batch is judged day by day against the batches before it, so what comes of it depends on the data, the code and
`monitor.accept` alone: whoever trains on a data version again leaves out the same days.
"""

import polars as pl

import problem
import problem.features
import problem.schema
import problem.source
from monitoring.data_faults import accepted, find, known
from monitoring.norms import WHOLE
from settings import ROOT, Settings
from stores import code
from stores.data import DataStore
from stores.receipts import Receipts

CODE = ["monitoring/data_faults.py", "monitoring/norms.py", "monitoring/units.py", "problem/schema.py", "kinds.py"]
BEFORE = 3  # batches say what is normal

Days = dict[str, list[str]]


def left_out(chosen: Settings) -> Days:
    """The days (UTC, ISO 8601) to leave out, each with its faults in words; judged once for each batch."""
    store, receipts = DataStore(chosen.data, problem), Receipts(chosen.training.folder)
    found: Days = {}
    batches = store.batches() if chosen.monitor.on_faults else []
    sums = {batch: store.sums(batch) for batch in batches}
    for number, batch in enumerate(batches):
        earlier = batches[max(0, number - BEFORE) : number]
        about = {name: sums[name] for name in [*earlier, batch]}
        key = code.fingerprint(ROOT, CODE, about, chosen.monitor.accept, found)
        if receipts.facts(key) is None:
            receipts.keep_facts(key, _judge(chosen, store, batch, earlier, found))
        found |= receipts.facts(key)
    return found


def without(rows: pl.DataFrame, days: Days) -> pl.DataFrame:
    """The rows of all other days."""
    return rows.filter(~pl.col(problem.schema.TIME).dt.date().cast(pl.String).is_in(list(days))) if days else rows


def words(days: Days) -> str:
    """What to say of them, "" where there are none."""
    listed = "\n".join(f"  {day}: {'; '.join(faults)}" for day, faults in days.items())
    names = ", ".join(f'"{day}"' for day in days)
    said = f"Nothing is learnt from {len(days)} days with data faults:\n{listed}\n"
    advice = "`make reingest` fetches a batch that was mended; what is no fault is accepted by"
    return said + f"{advice} monitor.accept = [{names}] in settings.toml." if days else ""


def _judge(chosen: Settings, store: DataStore, batch: str, earlier: list[str], found: Days) -> Days:
    try:
        norms = known(without(pl.concat([store.rows(name) for name in earlier]), found), problem.schema)
    except ValueError:  # there is nothing before it, or less than two days
        return {}
    days = store.rows(batch).with_columns(day=pl.col(problem.schema.TIME).dt.date()).partition_by("day")
    usual = sorted(day.height for day in days)[len(days) // 2]
    faults = {day["day"][0]: find(day, norms) for day in days if day.height >= WHOLE * usual}
    kept = {
        day: [each for each in some if not accepted(each, day, chosen.monitor.accept)] for day, some in faults.items()
    }
    return {str(day): [f"{each.text} ({each.cause})" for each in some] for day, some in sorted(kept.items()) if some}
