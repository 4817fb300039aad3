"""Versions in a registry, their answers to the same rows, and the labels, in a temporary folder."""

import datetime as dt
import functools
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from penumbra.core.settings import Settings, load_settings
from penumbra.logs.schema import BEHIND_REASON, LabelEntry, PredictionEntry, ShadowBatch, ShadowRow, ShadowStart
from penumbra.logs.shadow.shadow_log import ShadowLog
from penumbra.registry.history.ledger import Ledger
from penumbra.registry.history.ledger_entries import LedgerEntry, LedgerEvent
from penumbra.registry.models import ModelRegistry
from penumbra.registry.tracking.run_records import FinishedRun
from tests.helpers.logs import prediction_logs
from tests.helpers.servers import local_service

FIRST_TIME = dt.datetime(2013, 4, 1, 12, tzinfo=dt.UTC)
ROWS_PER_DAY, NUMBER_OF_DAYS, SEEN_DAYS = 50, 26, 20
DAY = dt.timedelta(days=1)
NOW = FIRST_TIME + dt.timedelta(days=NUMBER_OF_DAYS + 5)

ScoreSimulator = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def score_calibrated(chances: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return chances


def score_noisy(chances: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The chances, with much noise."""
    return np.asarray(np.clip(chances + rng.normal(0, 0.3, len(chances)), 0.05, 0.95))


def score_with_failures(chances: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.where(rng.random(len(chances)) < 0.2, np.nan, chances)


def make_registry_environment(folder: Path) -> dict[str, str]:
    own = {"PENUMBRA_REGISTRY__ARTIFACTS": str(folder / "artifacts"), "PENUMBRA_PROMOTION__SEEN_DAYS": str(SEEN_DAYS)}
    return {**local_service.make_service_environment(folder), **own}


def make_registry_settings(folder: Path) -> Settings:
    return load_settings(environ=make_registry_environment(folder))


def register_versions(folder: Path, recipes: str) -> Path:
    """A database with a version for each of the recipes, a letter each; `aliased` makes copies of it."""
    models = ModelRegistry(make_registry_settings(folder).registry)
    for number, recipe in enumerate(recipes, 1):
        register_version(models, folder, number, recipe=recipe)
    return folder / "mlflow.db"


def register_version(models: ModelRegistry, folder: Path, number: int, **facts: str) -> None:
    """The next version of a registry, whose bundle has more facts."""
    data = {"data_version": f"data-{number}"}
    bundle = local_service.make_bundle(folder / f"made/{number}", number, **facts, **data)
    run = models.record(FinishedRun("train", 0, 1), artifacts={"bundle": bundle})
    models.register(run, "bundle", data)


def make_aliased_registry(folder: Path, database: Path, **aliases: str) -> ModelRegistry:
    """A registry of the test's own."""
    (folder / "mlflow.db").write_bytes(_set_aliases(database, tuple(aliases.items())))
    return ModelRegistry(make_registry_settings(folder).registry)


@functools.cache
def _set_aliases(database: Path, aliases: tuple[tuple[str, str], ...]) -> bytes:
    """What a database becomes with these aliases, each of which takes MLflow a tenth of a second."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copy(database, folder))
        models = ModelRegistry(make_registry_settings(copy.parent).registry)
        for alias, version in aliases:
            models.set_alias(alias, version)
        return copy.read_bytes()


def append_earlier_event(folder: Path, kind: Any, verdict: str = "", **versions: str) -> None:
    """An earlier event, in the ledger alone."""
    event = LedgerEvent(kind=kind, actor="ann", reason="earlier", verdict=verdict, versions=versions)
    Ledger(make_registry_settings(folder).ledger.folder).append(event)


def read_ledger_entries(folder: Path) -> list[LedgerEntry]:
    """Read the ledger.

    Args:
        folder: The temporary folder.

    Returns:
        The entries, the earliest first.
    """
    return Ledger(folder / "ledger").entries()


def shift_after_ledger(time: dt.datetime) -> dt.datetime:
    """So many days later that all of it is after what the ledger has by now."""
    return time + ((dt.datetime.now(dt.UTC) - FIRST_TIME).days + 2) * DAY


def log_compared_days(
    folder: Path,
    live: str,
    others: dict[str, ScoreSimulator],
    says: ScoreSimulator = score_calibrated,
    first: dt.datetime = FIRST_TIME,
    canary: dict[str, ScoreSimulator] | None = None,
    reviewed: int = 0,
    **marks: Any,
) -> None:
    """Some rows a day: what the live version answered (and the canary, of every fifth row), what others say in the
    shadow, and all labels, the first `reviewed` of which people gave. `marks` are fields of the answers."""
    rng = np.random.default_rng(3)
    chances = rng.uniform(0.05, 0.95, NUMBER_OF_DAYS * ROWS_PER_DAY)
    times = [first + dt.timedelta(days=number // ROWS_PER_DAY) for number in range(NUMBER_OF_DAYS * ROWS_PER_DAY)]
    outputs = says(chances, rng).tolist()
    models = [live] * len(outputs)
    for version, model in (canary or {}).items():
        outputs[::5], models[::5] = model(chances, rng).tolist()[::5], [version] * len(outputs[::5])
    answers = zip(times, models, outputs, strict=True)
    entries = [_make_entry(number, *answer, marks) for number, answer in enumerate(answers)]
    ids = prediction_logs.log_predictions(folder, *entries)
    minutes = np.where(rng.random(len(ids)) < chances, 60, 0).tolist()
    sources = ["review"] * reviewed + ["feedback"] * (len(ids) - reviewed)
    labels = [
        LabelEntry(time + dt.timedelta(hours=5), source, {"arr_delay": each}, prediction=name)
        for name, time, each, source in zip(ids, times, minutes, sources, strict=True)
    ]
    prediction_logs.log_labels(folder, *labels)
    for version, model in others.items():
        log_shadow_answers(folder, version, ids, times, model(chances, rng).tolist())


def _make_entry(number: int, time: dt.datetime, model: str, output: float, marks: dict[str, Any]) -> PredictionEntry:
    record = {"carrier": "UA", "flight": number % ROWS_PER_DAY, "time_hour": time}
    return PredictionEntry(time, "contract", record, [], output, output >= local_service.THRESHOLD, model, 80, **marks)


def make_shadow_row(name: str, version: str, time: dt.datetime, output: Any) -> ShadowRow:
    if output != output:
        return ShadowRow(name, version, time, status="error", reason="it raised")
    if output == float("inf"):
        return ShadowRow(name, version, time, status="skipped", reason=f"{BEHIND_REASON} 300 s behind")
    return ShadowRow(name, version, time, output, output >= local_service.THRESHOLD)


def log_shadow_answers(
    folder: Path, version: str, ids: list[str], times: list[dt.datetime], outputs: list[Any]
) -> None:
    """NaN is logged as an error, and infinity as left out by a shadow that was behind."""
    log = ShadowLog(folder / "shadow", folder / "predictions")
    segment = ids[0].partition("-")[0]
    end = (folder / "predictions" / f"{segment}.jsonl").stat().st_size
    rows = [
        make_shadow_row(name, version, time, output) for name, time, output in zip(ids, times, outputs, strict=True)
    ]
    counts = Counter(row.status for row in rows)
    log.append(ShadowStart(version, times[0], {segment: 0}, []))
    log.append(ShadowBatch(version, segment, 0, end, counts), rows)
    log.close()


def write_example_ledger(folder: Path) -> Ledger:
    """Version 2 was promoted over 1, and rolled back; 3 came through the gate."""
    append_earlier_event(folder, "verdict", "pass", candidate="1")
    append_earlier_event(folder, "promotion", "promote", live="1")
    append_earlier_event(folder, "verdict", "not enough data", candidate="2", live="1")
    append_earlier_event(folder, "promotion", "promote", live="2", previous="1")
    append_earlier_event(folder, "rollback", "rollback", live="1", previous="2")
    append_earlier_event(folder, "verdict", "pass", candidate="3", live="1")
    return Ledger(folder / "ledger")
