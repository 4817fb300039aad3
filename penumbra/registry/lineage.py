"""Lineage of an answer: prediction -> model version -> MLflow run -> settings -> revision -> data -> batches.

Everything is found by its position or by an index, however long the logs are; the registry isn't needed.

<service.state>/bundles/<version>  what the version was made from (see penumbra/registry/bundles/manifest.py)
<service.state>/runs/<version>     the id of its MLflow run, left there by the deployer
"""

import datetime as dt
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from penumbra.core.settings import Settings
from penumbra.core.text.masking import mask_settings
from penumbra.logs import append_log
from penumbra.logs.archiving import archive_parts
from penumbra.logs.queries.lookup import is_label_index_current, read_label_history, read_shadow_results
from penumbra.logs.replicas.log_union import find_logged_prediction
from penumbra.logs.schema import REVIEW_SOURCE
from penumbra.registry.bundles.manifest import BrokenBundle, read_bundle_limits, read_manifest
from penumbra.registry.pointers import BUNDLES_FOLDER, RUNS_FOLDER, read_note

REVIEW_FIELDS = ("prediction", "reviewers", "reasons", "probability", "sureness", "note")  # of a label of people
UNLOGGED_PREFIX = "unlogged-"
MAX_SHOWN_ID_LENGTH = 100
INDEX_BEHIND_MESSAGE = "the index is behind the logs: `penumbra labels` brings it up to date"


class UnknownPrediction(LookupError):
    """There is no such prediction; the message says why not."""


def explain_prediction(settings: Settings, prediction_id: str) -> dict[str, Any]:
    """Trace a prediction back to its model version, data and labels.

    Args:
        settings: Sections [service] and [labels] are read.
        prediction_id: The id that came with the answer.

    Returns:
        "prediction", the entry of the prediction log; "model", the facts of its version; "uncertainty", its prediction
        set or interval (see `describe_uncertainty`), or None where its version had none; "shadow", a list of results of
        models in the shadow; "labels", with "current" and "history", where labels of people have a "review": who said
        it, why the row was picked and with which chance, how sure they are, their note, and "corrected_by", the id of
        the outcome that arrived later and differs. A "problem" in "model" or "labels" says what can't be found out.

    Raises:
        UnknownPrediction: The id isn't in the log, or the archive that has it is damaged.
        StoreError: As `find_prediction` raises it.
    """
    prediction = find_prediction(settings, prediction_id)
    state, version = settings.service.state, prediction["model"]
    try:
        facts = read_manifest(state / BUNDLES_FOLDER / version)
        model, uncertainty = _describe_model(state, version, facts), _describe_uncertainty(facts, prediction)
    except BrokenBundle as error:
        model, uncertainty = {"version": version, "problem": f"the bundle is not here: {error}"}, None
    return {
        "prediction": prediction,
        "model": model,
        "uncertainty": uncertainty,
        "shadow": _read_shadow(settings.labels.folder, prediction_id),
        "labels": _describe_labels(settings, prediction_id),
    }


def find_prediction(settings: Settings, prediction_id: str) -> dict[str, Any]:
    """Find the entry of a prediction in the log or its archive, or in that of another replica.

    Args:
        settings: Sections [service] and [cluster] are read.
        prediction_id: The id that came with the answer.

    Returns:
        The entry.

    Raises:
        UnknownPrediction: The id isn't in the log of any replica, or the archive that has it is damaged.
        StoreError: It isn't here, and the store of what replicas share refuses, or is away.
    """
    try:
        prediction = find_logged_prediction(settings, prediction_id)
    except archive_parts.DamagedArchive as error:
        raise UnknownPrediction(f"{prediction_id[:MAX_SHOWN_ID_LENGTH]} can't be looked up: {error}") from None
    if prediction is None:
        raise UnknownPrediction(_explain_unknown_id(settings, prediction_id[:MAX_SHOWN_ID_LENGTH]))
    return prediction


def _explain_unknown_id(settings: Settings, prediction_id: str) -> str:
    if prediction_id.startswith(UNLOGGED_PREFIX):
        return f"{prediction_id} was answered while the prediction log could not be written: nothing is known of it"
    if not append_log.ENTRY_ID_PATTERN.fullmatch(prediction_id):
        return f"{prediction_id!r} is no prediction id, which is 17 hexadecimal digits, a dash and a position"
    if settings.cluster.state:
        return f"no replica has shipped a prediction {prediction_id} yet (cluster.ship_minutes), or there is none"
    return f"the prediction log has no prediction {prediction_id}"


def _describe_model(state: Path, version: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "version": version,
        "candidate": facts.get("candidate"),
        "threshold": facts.get("threshold"),
        "metrics": facts.get("metrics"),
        "run": _read_run_id(state, version),
        "settings": mask_settings(facts.get("settings")),
        "revision": facts.get("revision"),
        "data_version": facts.get("data_version"),
        "batches": [batch for part in ("train", "validation", "test", "release_only") for batch in facts.get(part, [])],
    }


def _describe_uncertainty(facts: Mapping[str, Any], prediction: dict[str, Any]) -> dict[str, Any] | None:
    """Describe the set or interval of an answer; None where its version has no limits, or no model was asked."""
    if not prediction["inputs"] or (limits := read_bundle_limits(facts)) is None:
        return None
    import numpy as np

    from penumbra.core.metrics.conformal import describe_uncertainty

    return describe_uncertainty(limits, np.array([prediction["output"]], float))[0]


def _read_run_id(state: Path, version: str) -> str | None:
    return read_note(state / RUNS_FOLDER / version) or None


def _read_shadow(labels: Path, prediction_id: str) -> list[dict[str, Any]]:
    try:
        return read_shadow_results(labels, prediction_id)
    except sqlite3.Error:  # the labels, which are in the same index, report it
        return []


def _describe_labels(settings: Settings, prediction_id: str) -> dict[str, Any]:
    """Return the label that counts in "current" (or None), and all that arrived in "history"."""
    folder = settings.labels.folder
    try:
        label_history, is_current = read_label_history(folder, prediction_id), is_label_index_current(folder)
    except sqlite3.Error as error:
        return {
            "current": None,
            "history": [],
            "problem": f"{folder} has no readable index ({error}): see `penumbra labels`",
        }
    problem = {} if label_history and is_current else {"problem": INDEX_BEHIND_MESSAGE}
    if not label_history:
        return {"current": None, "history": [], **problem}
    history = [_describe_label(folder, label, label_history.labels[n:]) for n, label in enumerate(label_history.labels)]
    counted = next((label for label in history if label["counts"]), None)
    if counted is None or label_history.first is None:
        return {"current": None, "history": history, **problem}
    delay = (label_history.first - label_history.since) / 3600
    return {
        **problem,
        "current": {key: counted[key] for key in ("label", "target")},
        "delay_hours": round(delay, 3),
        "late": delay > settings.labels.delay_hours,
        "history": history,
    }


def _describe_label(folder: Path, label: dict[str, Any], since: list[dict[str, Any]]) -> dict[str, Any]:
    """A label of the index, with what its entry in the log says of the people who gave it; `since` begins with it."""
    described = {**label, "time": dt.datetime.fromtimestamp(label["time"], dt.UTC)}
    if label["source"] != REVIEW_SOURCE or not label["label"]:
        return described
    try:
        entry = archive_parts.find_entry(folder, label["label_id"]) or {}
    except archive_parts.DamagedArchive:
        entry = {}
    outcome = next((each for each in since if each["source"] != REVIEW_SOURCE), label)
    corrected = {"corrected_by": outcome["label_id"]} if outcome["label"] != label["label"] else {}
    return {**described, "review": {name: entry[name] for name in REVIEW_FIELDS if name in entry} | corrected}
