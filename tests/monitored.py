"""A live model with an honest reference, what it answered since, and the labels, in a temporary folder."""

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from flows.watch import watching
from problem import features, schema
from settings import Settings, load
from stores import bundle
from stores.labels import Label
from stores.ledger import Entry, Ledger
from stores.models import Models
from stores.predictions import Entry as Answer
from stores.sealed import sealed
from stores.windows import Window, Windows
from tests import labelling, promoted, serving
from tests.flown import day

FIRST = dt.date(2013, 4, 4)  # of a window
ONE = dt.timedelta(days=1)
REFERENCE, BEGINNING = range(30), 34  # numbers of days since 2013-03-01
HOUR = dt.timedelta(hours=1)


def settings(folder: Path, today: dt.date, **monitor: Any) -> Settings:
    return load(environ=environment(folder, today, **monitor))


def environment(folder: Path, today: dt.date, **monitor: Any) -> dict[str, str]:
    places = {"PENUMBRA_MONITOR__FOLDER": folder / "monitor", "PENUMBRA_DATA__TODAY": today}
    places |= {"PENUMBRA_DATA__FOLDER": folder / "data", "PENUMBRA_MONITOR__EVERY_DAYS": 0}
    changed = {f"PENUMBRA_MONITOR__{name.upper()}": value for name, value in monitor.items()}
    every = {**promoted.environment(folder), **places, **changed}
    return {name: str(value) for name, value in every.items()}


def live(folder: Path, database: Path) -> Models:
    """Version 1, which has seen the days of the reference."""
    models = promoted.aliased(folder, database, live="1")
    rows = pl.concat([day(number) for number in REFERENCE])
    chances, late = fate(rows.height, 0)
    deployed(folder, rows.with_columns(label=pl.Series(late), prediction=pl.Series(chances)))
    return models


def deployed(folder: Path, reference: pl.DataFrame, threshold: float = 0.5) -> None:
    """The bundle of version 1, with this reference."""
    made = serving.make_bundle(folder / "state/bundles/1")
    tables = sealed(made)["tables"]
    bundle.write_reference(made, reference)
    learnt = {"train": ["2013-01"], "validation": ["2013-02"], "test": []}
    bundle.seal(made, {"threshold": threshold, "data_version": "data-1", **learnt}, features.FEATURES, tables)


def answered(
    folder: Path,
    days: int,
    changed: dict[int, pl.DataFrame] | None = None,
    wrong: bool = False,
    wrong_at: str = "",
    model: str = "1",
    beside: str = "",
) -> None:
    """So many days from the first window on, with all labels; `changed` are other rows of some days, counted from 0.
    `wrong`: what happens is the opposite of what was said; `wrong_at`: from this origin only. `beside`: who says 0.05
    more of each, in the shadow."""
    for number in range(days):
        rows = (changed or {}).get(number, day(BEGINNING + number))
        chances, late = fate(rows.height, BEGINNING + number)
        opposite = wrong | (rows["origin"] == wrong_at).to_numpy()
        ids = _log(folder, rows, chances, late ^ opposite, model)
        if beside:
            promoted.shadowed(folder, beside, ids, rows["time_hour"].to_list(), (chances + 0.05).tolist())


def fate(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Chances of being late, and who was."""
    rng = np.random.default_rng(seed)
    chances = rng.uniform(0.1, 0.9, n)
    return chances, rng.random(n) < chances


def _log(folder: Path, rows: pl.DataFrame, chances: np.ndarray, late: np.ndarray, model: str) -> list[str]:
    records = rows.to_dicts()
    answers = [
        Answer(record["time_hour"] - HOUR, "contract", record, [], chance, chance >= 0.5, model, 80)
        for record, chance in zip(records, chances.tolist(), strict=True)
    ]
    labels = [
        Label(record["time_hour"] + 5 * HOUR, "batch", {"arr_delay": 60 if was else 0}, [record[k] for k in KEY])
        for record, was in zip(records, late.tolist(), strict=True)
    ]
    labelling.report(folder, *labels)
    return labelling.predict(folder, *answers)


KEY = schema.Row.primary_key()


def watch(folder: Path, today: dt.date, **monitor: Any) -> list[str]:
    """A pass on that day; the alarms that are new."""
    return watching.watch(settings(folder, today, **monitor))


def windows(folder: Path) -> list[Window]:
    return Windows(folder / "monitor").read()


def entries(folder: Path) -> list[Entry]:
    return Ledger(folder / "ledger").entries()
