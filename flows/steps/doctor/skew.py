"""Train/serve skew: the live model's service, started as `make serve` does, compared with training on the same rows."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import dataframely as dy
import msgspec
import polars as pl

from flows.steps.doctor.skew_sample import pick_skew_rows
from penumbra.core.problem import Problem
from penumbra.core.settings import RegistrySettings, remove_api_keys
from penumbra.core.system.http_client import OPEN_WITHOUT_PROXY, extract_prediction, find_free_port, is_service_ready
from penumbra.core.system.process_tree import kill_process_tree
from penumbra.features import Record
from penumbra.registry.bundles import bundle
from penumbra.registry.tracking.sqlite_registry import has_database
from penumbra.training.doctor import checks, serving_skew

NO_LIVE_MODEL = "there is no live model yet"
SKEW_ROWS = 200
START_TIMEOUT_SECONDS = 60.0  # seconds for the service to start
STOP_TIMEOUT_SECONDS = 30.0


class CheckSkipped(Exception):
    """A check can't be made now; the message says why."""


class ServiceNotStarted(RuntimeError):
    """The service didn't start; the message has the last lines of its output."""


def examine_live_skew(rows: pl.DataFrame, registry: RegistrySettings, problem: Problem) -> list[checks.Finding]:
    """Compare the predictions of the live model's service with those of training.

    Args:
        rows: Rows of the data store, with the contract's columns.
        registry: Section [registry] of the settings.
        problem: The problem, with schema and features.

    Returns:
        A finding for each way of asking that gives other predictions; also where the service doesn't start.

    Raises:
        CheckSkipped: There is no live model, or the registry can't be asked for it.
    """
    with tempfile.TemporaryDirectory() as temporary:
        version, folder = _download_live(registry, Path(temporary))
        try:
            live = bundle.read_bundle(folder, problem, version)
            return _compare_with_service(rows, live, problem.schema.Row, Path(temporary))
        except (bundle.BrokenBundle, ServiceNotStarted) as error:
            return [checks.Finding("skew", f"version {version}", str(error), "see that `make serve` gets ready")]


def _download_live(registry: RegistrySettings, folder: Path) -> tuple[str, Path]:
    """Return the live version and its bundle, which is downloaded into a folder."""
    if not has_database(registry.tracking):
        raise CheckSkipped(NO_LIVE_MODEL)
    from penumbra.registry.models import REGISTRY_ERRORS, ModelRegistry

    models = ModelRegistry(registry)
    try:
        version = models.version("live")
        if version is None:
            raise CheckSkipped(NO_LIVE_MODEL)
        models.download(version, folder / version)
    except REGISTRY_ERRORS as error:
        raise CheckSkipped(f"the registry can't be asked: {error}") from None
    return version, folder / version


def _compare_with_service(
    rows: pl.DataFrame, live: bundle.Bundle, contract: type[dy.Schema], folder: Path
) -> list[checks.Finding]:
    """Send records to a service that keeps its files in `folder`, and compare its answers with the live model's.

    `bundle.read_bundle` has made sure that the compiled model gives the fitted one's answers: it stands for training.
    """
    sample, sample_rows = make_skew_sample(rows, live, contract)
    with _run_service(folder) as url:
        answers = {
            "POST /predict with a list": _post_records(url, sample.records),
            "POST /predict with one record": [_post_records(url, [record])[0] for record in sample.records],
            "Bundle.score": live.score(sample_rows).tolist(),
        }
    return serving_skew.find_serving_skew(live.inputs, sample, answers)


def make_skew_sample(
    rows: pl.DataFrame, live: bundle.Bundle, contract: type[dy.Schema]
) -> tuple[serving_skew.SkewSample, pl.DataFrame]:
    """Make rows to ask a model about: real ones, some of them with gaps, and synthetic ones with new values.

    Args:
        rows: Rows of the data store, with the contract's columns and others.
        live: The model.
        contract: The contract of a request.

    Returns:
        The records with the model's features of them and the expected predictions; and the same rows as a frame with
        the contract's columns.
    """
    real, awkward = pick_skew_rows(rows, contract, SKEW_ROWS)
    sample_rows = pl.concat([real.select(awkward.columns), awkward])
    features = live.inputs.derive(sample_rows)
    expected = live.predictions(live.inputs.encode_frame(features))
    return serving_skew.SkewSample(sample_rows.to_dicts(), features, expected), sample_rows


@contextlib.contextmanager
def _run_service(folder: Path) -> Iterator[str]:
    """Run a service with all its files in `folder`, without an archive and business rules; yields its address.

    Raises:
        ServiceNotStarted: It ended, or wasn't ready in a minute.
    """
    port = find_free_port()
    settings = {
        **{"SERVICE__STATE": folder / "state", "SERVICE__PREDICTIONS": folder / "predictions"},
        **{"LABELS__FOLDER": folder / "labels", "LEDGER__FOLDER": folder / "ledger", "LOG__ARCHIVE": ""},
        **{"REVIEW__FOLDER": folder / "reviews", "CLUSTER__STATE": ""},
        **{"SERVICE__HOST": "127.0.0.1", "SERVICE__PORT": port, "SERVICE__WORKERS": 1, "SERVICE__MAX_RECORDS": 10_000},
        **{"RULES__APPLY": "false", "SHADOW__ENABLED": "false"},
    }
    environ = remove_api_keys(os.environ) | {f"PENUMBRA_{name}": str(value) for name, value in settings.items()}
    with (folder / "output").open("w") as output:
        process = subprocess.Popen([sys.executable, "-m", "service"], env=environ, stdout=output, stderr=output)
    try:
        _wait_until_ready(process, f"http://127.0.0.1:{port}", folder / "output")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_TIMEOUT_SECONDS)
        kill_process_tree(process)


def _wait_until_ready(process: subprocess.Popen[bytes], url: str, output: Path) -> None:
    end = time.monotonic() + START_TIMEOUT_SECONDS
    while not is_service_ready(url):
        if process.poll() is not None or time.monotonic() > end:
            raise ServiceNotStarted(f"the service isn't ready: {' / '.join(output.read_text().splitlines()[-3:])}")
        time.sleep(0.1)


def _post_records(url: str, records: Sequence[Record]) -> list[Any]:
    """Return the predictions, or the text of the refusal for each record. One record is sent as an object, several as
    a list."""
    body = msgspec.json.encode(records if len(records) > 1 else records[0])
    request = urllib.request.Request(url + "/predict", body, {"content-type": "application/json"})
    try:
        answer = json.load(OPEN_WITHOUT_PROXY(request, timeout=60))
    except urllib.error.HTTPError as refused:
        return [f"refused ({refused.read().decode()})"] * len(records)
    return [extract_prediction(each) for each in (answer if len(records) > 1 else [answer])]
