"""Versions in a registry, what they said of the same rows, and the labels, in a temporary folder."""

import datetime as dt
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from settings import Settings, load
from stores.labels import Label
from stores.ledger import Event, Ledger
from stores.models import Models, Run
from stores.predictions import Entry
from stores.shadow import Batch, Began, Row, ShadowLog
from tests import labelling, serving

FIRST = dt.datetime(2013, 4, 1, 12, tzinfo=dt.UTC)
ROWS, DAYS = 50, 22
DAY = dt.timedelta(days=1)
NOW = FIRST + dt.timedelta(days=DAYS + 5)

Says = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def good(chances: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return chances


def poor(chances: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The chances, with much noise."""
    return np.asarray(np.clip(chances + rng.normal(0, 0.3, len(chances)), 0.05, 0.95))


def environment(folder: Path) -> dict[str, str]:
    return {**serving.environment(folder), "PENUMBRA_REGISTRY__ARTIFACTS": str(folder / "artifacts")}


def settings(folder: Path) -> Settings:
    return load(environ=environment(folder))


def registered(folder: Path, recipes: str) -> Path:
    """A database with a version for each of the recipes, a letter each; `aliased` makes copies of it."""
    models = Models(settings(folder).registry)
    for number, recipe in enumerate(recipes, 1):
        made = serving.make_bundle(folder / f"made/{number}", number, recipe=recipe, data_version=f"data-{number}")
        run = models.record(Run("train", 0, 1), artifacts={"bundle": made})
        models.register(run, "bundle", {"data_version": f"data-{number}"})
    return folder / "mlflow.db"


def aliased(folder: Path, database: Path, **aliases: str) -> Models:
    """A registry of the test's own."""
    shutil.copy(database, folder / "mlflow.db")
    models = Models(settings(folder).registry)
    for alias, version in aliases.items():
        models.point(alias, version)
    return models


def entered(folder: Path, kind: Any, verdict: str = "", **versions: str) -> None:
    """An earlier event, in the ledger alone."""
    event = Event(kind=kind, actor="ann", reason="earlier", verdict=verdict, versions=versions)
    Ledger(settings(folder).ledger.folder).append(event)


def later(time: dt.datetime) -> dt.datetime:
    """So many days later that all of it is after what the ledger has by now."""
    return time + ((dt.datetime.now(dt.UTC) - FIRST).days + 2) * DAY


def answered(
    folder: Path,
    live: str,
    others: dict[str, Says],
    says: Says = good,
    first: dt.datetime = FIRST,
    canary: dict[str, Says] | None = None,
    **marks: Any,
) -> None:
    """Some rows a day: what the live version answered (and the canary, of every fifth row), what others say in the
    shadow, and all labels. `marks` are fields of the answers."""
    rng = np.random.default_rng(3)
    chances = rng.uniform(0.05, 0.95, DAYS * ROWS)
    times = [first + dt.timedelta(days=number // ROWS) for number in range(DAYS * ROWS)]
    said = says(chances, rng).tolist()
    models = [live] * len(said)
    for version, model in (canary or {}).items():
        said[::5], models[::5] = model(chances, rng).tolist()[::5], [version] * len(said[::5])
    answers = zip(times, models, said, strict=True)
    entries = [_entry(number, *answer, marks) for number, answer in enumerate(answers)]
    ids = labelling.predict(folder, *entries)
    minutes = np.where(rng.random(len(ids)) < chances, 60, 0).tolist()
    labels = [
        Label(time + dt.timedelta(hours=5), "feedback", {"arr_delay": each}, prediction=name)
        for name, time, each in zip(ids, times, minutes, strict=True)
    ]
    labelling.report(folder, *labels)
    for version, model in others.items():
        shadowed(folder, version, ids, times, model(chances, rng).tolist())


def _entry(number: int, time: dt.datetime, model: str, output: float, marks: dict[str, Any]) -> Entry:
    record = {"carrier": "UA", "flight": number % ROWS, "time_hour": time}
    return Entry(time, "contract", record, [], output, output >= serving.THRESHOLD, model, 80, **marks)


def shadowed(folder: Path, version: str, ids: list[str], times: list[dt.datetime], said: list[Any]) -> None:
    """NaN is logged as an error."""
    kept = ShadowLog(folder / "shadow", folder / "predictions")
    segment = ids[0].partition("-")[0]
    end = (folder / "predictions" / f"{segment}.jsonl").stat().st_size
    rows = [
        Row(name, version, time, output, output >= serving.THRESHOLD)
        if output == output
        else Row(name, version, time, status="error", reason="it raised")
        for name, time, output in zip(ids, times, said, strict=True)
    ]
    counts = {"ok": sum(row.status == "ok" for row in rows), "error": sum(row.status != "ok" for row in rows)}
    kept.append(Began(version, times[0], {segment: 0}, []))
    kept.append(Batch(version, segment, 0, end, counts), rows)
    kept.close()
