"""Where an answer came from: prediction -> model version -> MLflow run -> settings -> revision -> data -> batches.

Everything is found by its position or by an index, however long the logs are; the registry isn't asked.

<service.state>/bundles/<version>  what the version was made from (see stores/sealed.py)
<service.state>/runs/<version>     the id of its MLflow run, left there by the deployer
"""

import datetime as dt
import re
import sqlite3
from pathlib import Path
from typing import Any

from settings import Settings
from stores import archive, log
from stores.lookup import is_current, labels_of, shadow_of
from stores.sealed import BrokenBundle, sealed

BUNDLES, RUNS = "bundles", "runs"
UNLOGGED = "unlogged-"
MAX_SHOWN = 100
PASSWORD = re.compile(r"(://[^/:@]*:)[^/@]+@")
BEHIND = "the index is behind the logs: `make labels` brings it up to date"


class Unknown(LookupError):
    """There is no such prediction; says why not."""


def explain(settings: Settings, prediction_id: str) -> dict[str, Any]:
    """What is known of one prediction, in the order of the chain; "problem" says what is not to be found out.

    Raises Unknown for an id that isn't in the log.
    """
    prediction = archive.find(settings.service.predictions, prediction_id)
    if prediction is None:
        raise Unknown(_why_not(settings, prediction_id[:MAX_SHOWN]))
    return {
        "prediction": prediction,
        "model": _model(settings.service.state, prediction["model"]),
        "shadow": _shadow(settings.labels.folder, prediction_id),
        "labels": _labels(settings, prediction_id),
    }


def _why_not(settings: Settings, prediction_id: str) -> str:
    if prediction_id.startswith(UNLOGGED):
        return f"{prediction_id} was answered while the prediction log could not be written: nothing is known of it"
    if not log.ID.fullmatch(prediction_id):
        return f"{prediction_id!r} is no prediction id, which is 17 hexadecimal digits, a dash and a position"
    return f"{settings.service.predictions} has no prediction {prediction_id}"


def _model(state: Path, version: str) -> dict[str, Any]:
    try:
        facts = sealed(state / BUNDLES / version)
    except BrokenBundle as error:
        return {"version": version, "problem": f"the bundle is not here: {error}"}
    return {
        "version": version,
        "candidate": facts.get("candidate"),
        "threshold": facts.get("threshold"),
        "metrics": facts.get("metrics"),
        "run": _run(state, version),
        "settings": _without_passwords(facts.get("settings")),
        "revision": facts.get("revision"),
        "data_version": facts.get("data_version"),
        "batches": [batch for part in ("train", "validation", "test") for batch in facts.get(part, [])],
    }


def _without_passwords(settings: Any) -> Any:
    """A registry's address may hold one."""
    if isinstance(settings, dict):
        return {key: _without_passwords(value) for key, value in settings.items()}
    return PASSWORD.sub(r"\1***@", settings) if isinstance(settings, str) else settings


def _run(state: Path, version: str) -> str | None:
    try:
        return (state / RUNS / version).read_text()
    except OSError:
        return None


def _shadow(labels: Path, prediction_id: str) -> list[dict[str, Any]]:
    try:
        return shadow_of(labels, prediction_id)
    except sqlite3.Error:  # said of the labels, which are in the same index
        return []


def _labels(settings: Settings, prediction_id: str) -> dict[str, Any]:
    """The label that counts in "current" (or None), and all that arrived in "history"."""
    try:
        found, current = labels_of(settings.labels.folder, prediction_id), is_current(settings.labels.folder)
    except sqlite3.Error as error:
        return {
            "current": None,
            "history": [],
            "problem": f"{settings.labels.folder} has no readable index ({error}): see `make labels`",
        }
    problem = {} if found and current else {"problem": BEHIND}
    if not found or not found[1]:
        return {"current": None, "history": [], **problem}
    since, history = found
    delay = (history[0]["time"] - since) / 3600
    return {
        **problem,
        "current": {key: history[-1][key] for key in ("label", "target")},
        "delay_hours": round(delay, 3),
        "late": delay > settings.labels.delay_hours,
        "history": [{**label, "time": dt.datetime.fromtimestamp(label["time"], dt.UTC)} for label in history],
    }
