"""A watched model in a temporary folder: registry, predictions, shadow, labels, ledger and some windows."""

import datetime as dt
from pathlib import Path
from typing import Any

import dataframely as dy
import numpy as np

from counts import Slice
from problem import schema
from settings import Settings, load
from stores.labels import Label
from stores.ledger import Event, Ledger
from stores.predictions import Entry
from stores.windows import Distance, Estimated, Fault, Labels, Largest, Loss, Shadow, Window, Windows
from tests import labelling, promoted

FIRST = dt.date(2013, 4, 1)
ROWS = 40  # a week
VERDICTS = ("ok", "ok", "investigate", "retrain")
RATIOS = (0.4, 0.7, 0.9, 1.6)


def environment(folder: Path) -> dict[str, str]:
    places = {"PENUMBRA_MONITOR__FOLDER": folder / "monitor", "PENUMBRA_DATA__FOLDER": folder / "data"}
    return {**promoted.environment(folder), **{name: str(place) for name, place in places.items()}}


def settings(folder: Path) -> Settings:
    return load(environ=environment(folder))


def seeded(folder: Path, database: Path, weeks: int = 4) -> Settings:
    """Version 1 is live, 2 is the candidate; a window a week, the last of which retrains."""
    chosen = settings(folder)
    promoted.aliased(folder, database, live="1", candidate="2")
    answered(folder, weeks)
    ingested(folder)
    ledger = Ledger(chosen.ledger.folder)
    ledger.append(Event(kind="promotion", actor="ann", reason="the first", versions={"live": "1"}))
    ledger.append(_collecting())
    for number in range(weeks):
        Windows(chosen.monitor.folder).write(window(number, VERDICTS[number % 4], RATIOS[number % 4]))
    return chosen


def ingested(folder: Path) -> None:
    """Three batches that a pointer file names, as DVC writes it."""
    for month in (1, 2, 3):
        (folder / f"data/batches/2013-0{month}").mkdir(parents=True)
    md5 = "0123456789abcdef0123456789abcdef.dir"
    (folder / "data.dvc").write_text(f"outs:\n- md5: {md5}\n  hash: md5\n  path: data\n")


def answered(folder: Path, weeks: int) -> None:
    """Whole records, a few each week, with what the candidate said, and labels."""
    rng = np.random.default_rng(5)
    rows = schema.Row.sample(weeks * ROWS, generator=dy.random.Generator(5)).to_dicts()
    times = [_noon(number * 7 // ROWS) for number in range(len(rows))]
    chances = rng.uniform(0.05, 0.95, len(rows))
    entries = [
        Entry(time, "contract", {**row, "time_hour": time}, [], chance, chance >= 0.5, "1", 80)
        for row, time, chance in zip(rows, times, chances.tolist(), strict=True)
    ]
    ids = labelling.predict(folder, *entries)
    late = np.where(rng.random(len(ids)) < chances, 60, 0).tolist()
    five = dt.timedelta(hours=5)
    said = zip(ids, times, late, strict=True)
    labelling.report(
        folder, *(Label(time + five, "feedback", {"arr_delay": each}, prediction=name) for name, time, each in said)
    )
    promoted.shadowed(folder, "2", ids, times, np.clip(chances + rng.normal(0, 0.05, len(ids)), 0.01, 0.99).tolist())


def window(number: int, verdict: str = "ok", ratio: float = 0.5, **changes: Any) -> Window:
    """A week, as the monitor records it."""
    begin = FIRST + dt.timedelta(days=7 * number)
    fault = Fault(begin, "frozen", "temp", "61.2 in all of 120 rows", "a sensor that stopped")
    loss = 0.47 + ratio / 20
    fields: dict[str, Any] = {
        "reason": {"ok": "nothing is beyond its threshold", "investigate": "temp: frozen"}.get(verdict, "temp drifted"),
        "columns": {"temp": Distance(0.1 * ratio, 0.1), "carrier": Distance(0.02, 0.08)},
        "prediction": Distance(0.04, 0.09),
        "drift": Largest(ratio, "temp"),
        "loss": Loss(6_000, loss, loss - 0.02, loss + 0.02, 0.53),
        "estimated": Estimated(0.49, 0.46, 0.52, "that the scores are calibrated"),
        "labels": Labels(6_100, 6_050 - 20 * number),
        "calibration": 0.02,
        "shadow": Shadow(6_000, 0.03, 0.02),
        "slices": [Slice("carrier", "EV", 1_200, 0.61, 0.55, 0.67, 0.45)] if verdict == "retrain" else [],
        "faults": [fault] if verdict == "investigate" else [],
    }
    judged = dt.datetime.combine(begin + dt.timedelta(days=8), dt.time(6), dt.UTC)
    return Window(
        begin=begin,
        end=begin + dt.timedelta(days=7),
        model="1",
        rows=6_200,
        verdict=verdict,
        judged=judged,
        **{**fields, **changes},
    )


def _noon(day: int) -> dt.datetime:
    return dt.datetime.combine(FIRST + dt.timedelta(days=day), dt.time(12), dt.UTC)


def _collecting() -> Event:
    evidence = {"evidence": {"days": 9, "labels": 5_400, "better": 3.2, "worse": 0.4, "days_needed": 12}}
    reason = "keep collecting: 9 days, 5,400 labels; e-values 3.2 for better and 0.4 for worse; about 12 more days"
    versions = {"candidate": "2", "live": "1"}
    return Event(
        kind="verdict", verdict="keep collecting", actor="ann", reason=reason, versions=versions, evidence=evidence
    )
